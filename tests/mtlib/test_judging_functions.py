"""How Functions are judged: a kernel of the reader's with forward and backward, each in turn."""

import numpy as np
import pytest
from numba import njit

import mtlib
from mtlib.exercises.chapters import EXERCISES
from mtlib.exercises.chapters.fusing.row_dots_function import around
from mtlib.exercises.functions import with_methods

ROW_DOTS, TRANSPOSED = EXERCISES["row_dots_function"], EXERCISES["matmul_transposed"]


def said(exercise, **methods):
    verdict = exercise.check(with_methods(exercise.given, **methods))
    return verdict.state, verdict.message


# --- The kernel -----------------------------------------------------------------------------------


@njit
def rebinding(out, a, b):
    out = (a * b).sum(1)  # noqa: F841


@njit
def empty(out, a, b):
    pass


@njit
def into_its_own(out, a, b):
    out = np.zeros(a.shape[0])
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            out[i] += a[i, k] * b[i, k]


@njit
def never_reset(out, a, b):
    total = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            total += a[i, k] * b[i, k]
        out[i] = total


@njit
def halved(out, a, b):
    for i in range(a.shape[0]):
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * b[i, k]
        out[i] = total / 2


@njit
def misspelt(out, a, b):
    for i in range(a.shap[0]):
        out[i] = 0.0


@njit
def by_generator(out, a, b):
    for i in range(a.shape[0]):
        out[i] = sum(a[i, k] * b[i, k] for k in range(a.shape[1]))


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        (rebinding, "in the arrays that it is given; out[i] = … does; forward is wrong (at [0] it"),
        (empty, "the kernel stores nothing in the arrays that it is given"),
        (into_its_own, "the kernel stores nothing in the arrays that it is given"),
        (never_reset, "forward is wrong: the total is not set back to 0 before the next"),
        (halved, "forward is wrong: each value is 0.5 times what it should be (at [0] it is "),
        (misspelt, "'array' object has no attribute 'shap'"),
        (by_generator, "Numba knows no generator expression, as in sum(x for …); write the loop"),
    ],
)
def test_a_wrong_kernel_is_told_why(kernel, told):
    state, message = said(ROW_DOTS, forward=around(kernel))
    assert state == "wrong"
    assert told in message
    assert "values are right" not in message


# --- What is written, and what is not yet ---------------------------------------------------------


def not_returning(ctx, a, b):
    ROW_DOTS.given.forward(ctx, a, b)


def stub(ctx, *given):
    return None


def unwritten(ctx, *given):
    raise NotImplementedError


def both_none(ctx, d):
    return None, None


HINT = "hint('row_dots_function') gives a nudge"
FORWARD_RIGHT = "not yet: forward is right for m = 3, k = 5; backward is still to be written; "
BACKWARD_RIGHT = "not yet: backward gives the right gradients; forward is still to be written; "
JUDGED_AFTER = "not yet: forward is still to be written, and backward is judged after it; "


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ({"backward": both_none}, FORWARD_RIGHT + HINT),
        ({"backward": stub}, FORWARD_RIGHT + HINT),
        ({"backward": unwritten}, FORWARD_RIGHT + HINT),
        ({"forward": stub}, BACKWARD_RIGHT + HINT),
        ({"forward": unwritten}, BACKWARD_RIGHT + HINT),
        ({"forward": stub, "backward": lambda ctx, d: (d, d)}, JUDGED_AFTER + HINT),
        ({"forward": stub, "backward": both_none}, f"not yet; {HINT}"),
    ],
)
def test_which_part_is_still_to_be_written(methods, told):
    assert said(ROW_DOTS, **methods) == ("not yet", told)


def test_a_return_that_is_missing():
    told = ("wrong", "nothing comes back from forward; is the return missing?")
    assert said(ROW_DOTS, forward=not_returning) == told
    told = ("wrong", "nothing comes back from backward; is the return missing?")
    for exercise in (ROW_DOTS, TRANSPOSED):
        assert said(exercise, backward=lambda ctx, d: print(end="")) == told


# --- Backward -------------------------------------------------------------------------------------


def as_for_a_product(ctx, d):
    A, B = ctx.saved_tensors
    return d @ B.T, A.T @ d


def not_a_column(ctx, d):
    a, b = ctx.saved_tensors
    return d * b, d * a


def times(number):
    def backward(ctx, d):
        A, B = ctx.saved_tensors
        return d @ B, number * (d.T @ A)

    return backward


@pytest.mark.parametrize(
    ("exercise", "backward", "told"),
    [
        (
            TRANSPOSED,
            as_for_a_product,
            "inner dimensions 2 and 5 differ. The shapes are d (3, 2), A (3, 5) and B (2, 5); each "
            "gradient has its operand's",
        ),
        (
            ROW_DOTS,
            not_a_column,
            "The shapes are d (3,), a (3, 5) and b (3, 5); each gradient has its operand's. Zipped "
            "with a, d must be a view of shape (3, 1)",
        ),
        (
            TRANSPOSED,
            times(2.0),
            "the gradient of B has the right shape and wrong values: each value is 2 times what",
        ),
        (TRANSPOSED, times(-1.0), "wrong values: the sign is wrong (at [0, 0] it is "),
    ],
)
def test_a_wrong_backward_is_told_why(exercise, backward, told):
    state, message = said(exercise, backward=backward)
    assert state == "wrong"
    assert told in message


def test_an_error_that_is_not_of_shapes_is_told_no_shapes():
    _, message = said(TRANSPOSED, backward=lambda ctx, d: mtlib.nothing)
    assert message.startswith("AttributeError")
    assert "The shapes are" not in message

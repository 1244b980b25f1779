"""fuse: how a fused function is called, how gradients flow through it, and what it refuses."""

import copy
from typing import NamedTuple

import numpy as np
import pytest

import mtlib

from .fused_programs import check, operands, shown, softmax
from .strategies import fill

pytestmark = pytest.mark.nojit


def test_arguments_of_all_kinds():
    fused = mtlib.fuse(lambda x, *more, dim=0, how="sum", **named: getattr(x, how)(dim) + sum(more))
    x = mtlib.rand(3, 4, seed=0)
    np.testing.assert_allclose(fused(x, dim=1), x.sum(1))
    np.testing.assert_allclose(fused(x, 1, how="mean"), x.mean(0) + 1)
    np.testing.assert_allclose(fused(x, x[0], x[1], y=x), x.sum(0) + x[0] + x[1])


@pytest.mark.usefixtures("plain")
def test_arguments_that_are_equal_and_not_the_same():
    """0.0 equals -0.0, and True equals 1 equals 1.0."""
    divide = mtlib.fuse(lambda x, by: x / by)
    assert divide(mtlib.ones(1), 0.0).item() == np.inf
    assert divide(mtlib.ones(1), -0.0).item() == -np.inf
    named = mtlib.fuse(lambda x, how: x * len(repr(how)))
    ones = mtlib.ones(1)
    assert [named(ones, how).item() for how in ((1,), (1.0,), (True,))] == [4, 6, 7]


def test_one_tensor_for_two_arguments():
    x = mtlib.rand(3, requires_grad=True, seed=0)
    mtlib.fuse(lambda a, b: a * b)(x, x).backward(mtlib.ones(3))
    np.testing.assert_allclose(x.grad, x * 2)


def test_fused_inside_fused():
    inner = mtlib.fuse(lambda x: x.exp())
    outer = shown(lambda x: inner(x).sum(1), (3, 4))
    assert len(outer.schedule.steps) == 1


def test_a_function_of_the_reader():
    class Cube(mtlib.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_tensors
            return d * 3 * x * x

    check(lambda x, y, w: Cube.apply(x).sum(1), operands(), rtol=1e-9)


def test_gradients_only_where_they_are_wanted():
    fused = mtlib.fuse(lambda x, y: x * y)
    x, y = mtlib.rand(3, requires_grad=True), mtlib.rand(3)
    with mtlib.no_grad():
        assert not fused(x, y).requires_grad
    assert fused.backward == ()
    fused(x, y).backward(mtlib.ones(3))
    assert x.grad is not None
    assert y.grad is None
    assert len(fused.backward) == 1


def test_backward_twice():
    x = mtlib.rand(3, 4, requires_grad=True)
    y = mtlib.fuse(softmax)(x)
    y.backward(mtlib.ones(3, 4), retain_graph=True)
    y.backward(mtlib.ones(3, 4))
    with pytest.raises(RuntimeError, match=r"^backward: what softmax had saved was freed"):
        y.backward(mtlib.ones(3, 4))


def test_a_gradient_is_read_as_it_lies():
    """That of a sum is one number, stretched; it is not written down element by element."""
    x = mtlib.rand(20, 30, requires_grad=True, seed=0)
    y = mtlib.fuse(softmax)(x)
    with mtlib.trace() as t:
        y.sum().backward()
    names = [e.name for e in t.events if e.phase == "backward"]
    assert names == ["expand", "softmax_backward"]
    for d in (mtlib.rand(30, 20).T, mtlib.rand(20, 60)[:, ::-2], mtlib.ones(1, 1).expand(20, 30)):
        grads = []
        for fn in (softmax, mtlib.fuse(softmax)):
            x.grad = None
            fn(x).backward(d)
            grads.append(x.grad)
        np.testing.assert_allclose(*grads, rtol=1e-9, atol=1e-12)


def test_a_gradient_that_has_to_be_copied_first():
    """Its elements do not lie in the order in which the program would look at them."""
    x = mtlib.rand(24, requires_grad=True, seed=0)
    square = mtlib.fuse(lambda x: x.view(4, 6))
    for fn in (square, lambda x: x.view(4, 6)):
        with mtlib.trace() as t:
            y = fn(x)
            y.backward(mtlib.rand(6, 4, seed=1).T)
        assert "contiguous" in [e.name for e in t.events]
    np.testing.assert_allclose(x.grad, 2 * mtlib.rand(6, 4, seed=1).numpy().T.reshape(-1))


def test_gradcheck():
    x = mtlib.rand(3, 4, requires_grad=True, seed=0)
    assert mtlib.gradcheck(mtlib.fuse(softmax), [x])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_nothing_to_do(shape):
    arrays = [np.ones(shape), np.ones(shape)]
    check(lambda x, y: ((x * y).sum(1), (x + y).sum(0), x.exp(), (x * y).sum()), arrays)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_infinity():
    x = np.array([[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf, 0, 1], [0, -1, np.inf]])
    check(lambda x: (x.max(1), x.min(1), x.sum(1), 1 / x, x.relu(), x.exp()), [x])


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_quotients_by_0():
    """Also by a 0 that is written in the kernel, and by the sum of nothing."""
    x = np.array([[-1.0, 0, 2, np.inf]])
    check(lambda x: (x.relu() / x.relu(), 1 / mtlib.maximum(x, 0), 1 / x[:0].sum(0)), [x])
    check(lambda x: mtlib.where(x > 0, 0, 1) / mtlib.where(x > 0, 0.0, x), [x])


def test_parameters_with_the_names_of_others():
    def program(i, ni, exp, sum3, each, part):
        return (i * ni + exp).sum(1) * sum3 + each[0] - part[0]

    arrays = [fill("any", (3, 4), np.float64, k) for k in range(3)]
    arrays += [fill("any", (3,), np.float64, k) for k in range(3)]
    check(program, arrays, rtol=1e-9)


def test_made_once_and_read_at_every_call():
    fused = mtlib.fuse(lambda x: x + mtlib.arange(3))
    assert fused(mtlib.zeros(3)).tolist() == fused(mtlib.zeros(3)).tolist() == [0, 1, 2]


def test_what_it_makes_is_as_it_was_when_it_was_used():
    """Its array can be written to in between."""

    def program(x):
        made = mtlib.zeros(3)
        y = x + made
        made.numpy()[1:] = 5
        return y, x + made, made, made[::-1]

    x = mtlib.ones(3)
    for one, other in zip(mtlib.fuse(program)(x), program(x), strict=True):
        assert one.tolist() == other.tolist()


def test_what_it_makes_is_returned_as_one():
    """Views of one constant share memory, as without fuse, and at each call anew."""
    fused = mtlib.fuse(lambda x: (lambda made: (made, made[1:], made))(mtlib.arange(3)))
    first, second = fused(mtlib.ones(3)), fused(mtlib.ones(3))
    first[0].numpy()[1] = 7
    assert [x.tolist() for x in first] == [[0, 7, 2], [7, 2], [0, 7, 2]]
    assert [x.tolist() for x in second] == [[0, 1, 2], [1, 2], [0, 1, 2]]


class Pair(NamedTuple):
    one: mtlib.Tensor
    other: mtlib.Tensor


@pytest.mark.parametrize("kind", [tuple, list, Pair._make])
def test_several_results_come_as_they_are_returned(kind):
    fn = lambda x: kind([x * 2, x + 1])  # noqa: E731
    result, expected = mtlib.fuse(fn)(mtlib.ones(2)), fn(mtlib.ones(2))
    assert type(result) is type(expected)
    assert [x.tolist() for x in result] == [x.tolist() for x in expected]


def test_what_is_returned_can_be_written_to():
    """It is no argument and no constant of the program, as step by step it would be neither."""
    fused = mtlib.fuse(lambda x: (x * 1, mtlib.arange(3), x + 1, x + 1))
    x = mtlib.zeros(3)
    for result in fused(x):
        result.numpy()[...] = 7
    assert x.tolist() == [0, 0, 0]
    assert [result.tolist() for result in fused(x)] == [[0] * 3, [0, 1, 2], [1] * 3, [1] * 3]


def test_it_keeps_the_name_and_words_of_the_function():
    fused = mtlib.fuse(softmax)
    assert fused.__name__ == "softmax"
    assert fused.__wrapped__ is softmax
    assert repr(fused) == "fuse(softmax)"
    assert copy.copy(fused)(mtlib.zeros(1, 2)).tolist() == [[0.5, 0.5]]


# --- What is refused ------------------------------------------------------------------------------

OUTSIDE = mtlib.ones(2, 3)


def traced(x):
    with mtlib.trace() as t:
        x.exp()
    return t


@pytest.mark.parametrize(
    ("fn", "error", "says"),
    [
        (
            lambda x: x + OUTSIDE,
            ValueError,
            r"a tensor of shape \(2, 3\) that is not among its arg",
        ),
        (
            lambda x: x if x.sum() else -x,
            TypeError,
            r"asks for the values of a tensor of shape \(\)",
        ),
        (lambda x: x * x.sum().item(), TypeError, r"asks for the values of a tensor of shape \(\)"),
        (
            lambda x: x * np.asarray(x),
            TypeError,
            r"asks for the values of a tensor of shape \(2, 3",
        ),
        (lambda x: None, TypeError, r"must return a tensor or several, got NoneType"),
        (lambda x: [x, 1], TypeError, r"must return a tensor or several, got list"),
        (
            lambda x: x * mtlib.ones(3, requires_grad=True),
            ValueError,
            r"makes a tensor of shape \(3,\) that requires a gradient",
        ),
        (
            lambda x: x * mtlib.rand(3, requires_grad=True),
            ValueError,
            r"makes a tensor of shape \(3,\) that requires a gradient",
        ),
        (lambda x: x * len(traced(x).events), TypeError, r"opens a trace while it is read"),
        (lambda x: x.view(4), ValueError, r"^view: shape \(2, 3\) has 6 elements"),
        (lambda x: x @ x, ValueError, r"^matmul: .*inner dimensions 3 and 2 differ"),
    ],
)
def test_programs_that_cannot_be_read(fn, error, says):
    x = mtlib.ones(2, 3)
    with mtlib.trace() as t, pytest.raises(error, match=says) as caught:
        mtlib.fuse(fn)(x)
    assert "\n" not in str(caught.value)
    assert t.buffers == t.events == []
    assert (x + 1).tolist() == [[2.0] * 3] * 2  # and everything runs as before


def test_arguments_that_are_refused():
    fused = mtlib.fuse(lambda x, y=1: x)
    with pytest.raises(TypeError, match=r"^fuse: x is a NumPy array; pass a tensor"):
        fused(np.ones(3))
    with pytest.raises(TypeError, match=r"^fuse: y is a list; pass tensors one by one"):
        fused(mtlib.ones(3), [mtlib.ones(3)])
    with pytest.raises(TypeError, match=r"^fuse: expected a function, got int"):
        mtlib.fuse(3)
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        fused()


def test_before_the_first_call():
    fused = mtlib.fuse(softmax)
    for name in ("graph", "schedule", "source", "backward"):
        with pytest.raises(RuntimeError, match=r"^fuse: call softmax once first"):
            getattr(fused, name)
    with pytest.raises(RuntimeError, match=r"^fuse: call softmax once first"):
        fused.explain()


def test_a_symbol_says_what_it_is():
    said = []
    mtlib.fuse(lambda x: said.append(repr(x)) or x)(mtlib.ones(2, 3))
    assert said == ["symbol(x, shape=(2, 3))"]

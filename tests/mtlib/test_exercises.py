"""The exercises' checks: right answers pass, stubs are tolerated, wrong answers are explained."""

import ast

import numpy as np
import pytest

import mtlib
from mtlib.exercises import EXERCISES, LINES, check, lines_of

from .processes import ROOT, python


def row_dots(a, b):
    out = np.zeros(len(a))
    for i in range(len(out)):
        for k in range(a.shape[1]):
            out[i] += a[i, k] * b[i, k]
    return out


class Transposed(mtlib.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b.T

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        return d @ b, d.T @ a


def transposed(backward):
    return type("Transposed", (Transposed,), {"backward": staticmethod(backward)})


def in_place(a, b):
    a *= b
    return a.sum(1)


def backward_in_place(ctx, d):
    """Its results are right; what came in is not left as it was."""
    a, b = ctx.saved_tensors
    results = d @ b, d.T @ a
    d.storage[:] *= 2
    return results


RIGHT = {
    "bytes_kept": lambda m, k, n: 8 * (m * k + k * n + m * k * n),
    "row_dots": row_dots,
    "matmul_transposed": Transposed,
}
STUBS = {
    "bytes_kept": lambda m, k, n: None,
    "row_dots": lambda a, b: None,
    "matmul_transposed": transposed(lambda ctx, d: (None, None)),
}
WRONG = [
    ("bytes_kept", lambda m, k, n: 8 * m * k * n, "the zip keeps its two operands too"),
    ("bytes_kept", lambda m, k, n: m * k + k * n + m * k * n, "a float64 takes 8 bytes"),
    ("bytes_kept", lambda m, k, n: 0, r"bytes_kept\(2, 4, 3\) gives 0, the ledger says 352"),
    ("row_dots", lambda a, b: (a * b).sum(1), "an intermediate was made"),
    ("row_dots", lambda a, b: a * b, r"has shape \(3, 5\), not \(3,\)"),
    ("row_dots", lambda a, b: a.sum(1), "and should be"),
    ("row_dots", in_place, r"^row_dots: the values are right, but a was changed on the way"),
    ("matmul_transposed", transposed(lambda ctx, d: (d, d)), r"shape \(3, 2\) for argument 0"),
    ("matmul_transposed", transposed(lambda ctx, d: d), "returned 1 gradients"),
    (
        "matmul_transposed",
        transposed(lambda ctx, d: (d @ ctx.saved_tensors[1], None)),
        "no gradient for B",
    ),
    (
        "matmul_transposed",
        transposed(lambda ctx, d: (d @ ctx.saved_tensors[1] * 2, d.T @ ctx.saved_tensors[0])),
        "right shape and wrong values",
    ),
    ("matmul_transposed", transposed(backward_in_place), "values are right, but d was changed"),
]


def test_every_exercise_is_tested():
    names = set(EXERCISES)
    assert names == set(LINES) == set(RIGHT) == set(STUBS) == {name for name, _, _ in WRONG}


@pytest.mark.parametrize("name", list(EXERCISES))
def test_right_answers_and_stubs(name, capsys):
    check(name, RIGHT[name])
    check(name, STUBS[name])
    assert capsys.readouterr().out == f"{name}: correct\n{name}: not attempted yet\n"


@pytest.mark.parametrize(("name", "answer", "why"), WRONG)
def test_wrong_answers(name, answer, why):
    with pytest.raises(AssertionError, match=why):
        check(name, answer)


def test_what_should_be_is_worked_out_before_the_answer_runs():
    """An answer that writes into its operands is not told wrong numbers."""
    rng = np.random.default_rng(0)  # as in the check
    a, b = rng.random((3, 5)), rng.random((5, 3)).T
    with pytest.raises(AssertionError) as told:
        check("row_dots", lambda a, b: (in_place(a, b), a.fill(0))[0] + 1)
    assert str(told.value).endswith(f"and should be\n{(a * b).sum(1)}")


OPTIMIZED = """
from mtlib.exercises import check
wrong = {
    "bytes_kept": lambda m, k, n: 0,
    "row_dots": lambda a, b: a.sum(1),
}
for name, answer in wrong.items():
    try:
        check(name, answer)
    except AssertionError as error:
        print(str(error).splitlines()[0])
"""


def test_checks_hold_when_python_leaves_assertions_out():
    done = python("-O", "-c", OPTIMIZED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "bytes_kept(2, 4, 3) gives 0, the ledger says 352",
        "row_dots: for operands of shape (3, 5) the result is",
    ]


def no_assertions_in(folder):
    return not [
        (path.name, node.lineno)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]


def test_nothing_in_the_packages_is_held_by_an_assertion():
    assert no_assertions_in(ROOT / "mtlib")
    assert no_assertions_in(ROOT / "diagrams")
    assert not no_assertions_in(ROOT / "tests" / "mtlib")


def test_an_answer_that_is_right_but_long():
    def answer(m, k, n):
        """The docstring does not count."""
        left = m * k

        # Nor does a comment.
        right = k * n
        products = m * k * n
        return 8 * (left + right + products)

    assert lines_of(answer) == 4
    with pytest.raises(AssertionError, match="right, but in 4 lines; 2 are enough"):
        check("bytes_kept", answer)


def test_an_unknown_exercise():
    with pytest.raises(ValueError, match="no exercise is called 'x', only bytes_kept"):
        check("x", row_dots)

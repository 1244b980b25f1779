"""Exercises of the chapter on fusing a matrix multiplication.

Each check takes the reader's answer, returns NotImplemented for a stub that was not attempted, and
raises ``AssertionError`` with an explanation for a wrong one.
"""

from __future__ import annotations

import tracemalloc

import numpy as np

import mtlib


def bytes_kept(answer) -> object:
    """How many bytes save_for_backward holds after ``naive.matmul`` of (m, k) and (k, n)."""
    for m, k, n in [(2, 4, 3), (5, 1, 2), (7, 6, 5)]:
        a = mtlib.ones(m, k, requires_grad=True)
        b = mtlib.ones(k, n, requires_grad=True)
        with mtlib.trace() as t:
            mtlib.naive.matmul(a, b)
        wanted = t.saved_bytes
        said = answer(m, k, n)
        if said is None:
            return NotImplemented
        if said != wanted:
            hint = ""
            if said == 8 * m * k * n:
                hint = ": that is what the reduce keeps; the zip keeps its two operands too"
            elif said * 8 == wanted:
                hint = ": right in elements; a float64 takes 8 bytes"
            raise AssertionError(
                f"bytes_kept({m}, {k}, {n}) gives {said}, the ledger says {wanted}{hint}"
            )
    return None


def row_dots(answer) -> object:
    """``out[i] = Σ_k a[i, k] · b[i, k]`` for NumPy arrays, without an (m, k) intermediate."""
    rng = np.random.default_rng(0)
    for shape in [(3, 5), (1, 7), (4, 1), (6, 0)]:
        a, b = rng.random(shape), rng.random(shape[::-1]).T
        wanted = (a * b).sum(1)
        given = a.copy(), b.copy()
        said = answer(*given)
        if said is None:
            return NotImplemented
        if np.shape(said) != wanted.shape:
            raise AssertionError(
                f"row_dots: for operands of shape {shape} the result has shape {np.shape(said)}, "
                f"not {wanted.shape}"
            )
        if not np.allclose(said, wanted):
            raise AssertionError(
                f"row_dots: for operands of shape {shape} the result is\n{np.asarray(said)}\n"
                f"and should be\n{wanted}"
            )
        _check_unchanged("row_dots", a=(a, given[0]), b=(b, given[1]))
    a = rng.random((150, 200))
    tracemalloc.start()
    try:
        answer(a, a)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak >= a.nbytes / 2:
        raise AssertionError(
            f"row_dots: the values are right, but {peak:,} bytes were allocated at once for "
            f"operands of {a.nbytes:,}: an intermediate was made; add the products up as they are "
            "made"
        )
    return None


def matmul_transposed(answer) -> object:
    """A Function for f(A, B) = A Bᵀ: its backward."""
    a = mtlib.rand(3, 4, seed=1, requires_grad=True)
    b = mtlib.rand(2, 4, seed=2, requires_grad=True)
    d = mtlib.rand(3, 2, seed=3)
    left, right, above = (x.detach().numpy().copy() for x in (a, b, d))
    wanted = {"A": above @ right, "B": above.T @ left}
    out = answer.apply(a, b)
    if not np.allclose(out.numpy(), left @ right.T):
        raise AssertionError("matmul_transposed: forward does not give A @ B.T; leave it as it was")
    try:
        out.backward(d)
    except (ValueError, TypeError) as error:
        raise AssertionError(f"matmul_transposed: {error}") from None
    if a.grad is None and b.grad is None:
        return NotImplemented
    for name, gradient in (("A", a.grad), ("B", b.grad)):
        if gradient is None:
            raise AssertionError(
                f"matmul_transposed: backward gives no gradient for {name}: which product of d "
                "and the other operand has its shape?"
            )
        if not np.allclose(gradient, wanted[name]):
            raise AssertionError(
                f"matmul_transposed: the gradient of {name} has the right shape and wrong values"
            )
    _check_unchanged("matmul_transposed", A=(left, a), B=(right, b), d=(above, d))
    mtlib.gradcheck(answer.apply, [a, b])
    return None


def _check_unchanged(exercise: str, **operands) -> None:
    """Of each operand what it was, and what it is now."""
    for name, (before, after) in operands.items():
        if not np.array_equal(before, np.asarray(after)):
            raise AssertionError(
                f"{exercise}: the values are right, but {name} was changed on the way; "
                "leave the operands as they are"
            )


EXERCISES = {
    "bytes_kept": bytes_kept,
    "row_dots": row_dots,
    "matmul_transposed": matmul_transposed,
}
LINES = {"bytes_kept": 2, "row_dots": 7, "matmul_transposed": 3}  # of code in the body

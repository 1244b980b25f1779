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
        said = answer(m, k, n)
        if said is None:
            return NotImplemented
        a = mtlib.ones(m, k, requires_grad=True)
        b = mtlib.ones(k, n, requires_grad=True)
        with mtlib.trace() as t:
            mtlib.naive.matmul(a, b)
        hint = ""
        if said == 8 * m * k * n:
            hint = ": that is what the reduce keeps; the zip keeps its two operands too"
        elif said * 8 == t.saved_bytes:
            hint = ": right in elements; a float64 takes 8 bytes"
        assert said == t.saved_bytes, (
            f"bytes_kept({m}, {k}, {n}) gives {said}, the ledger says {t.saved_bytes}{hint}"
        )
    return None


def row_dots(answer) -> object:
    """``out[i] = Σ_k a[i, k] · b[i, k]`` for NumPy arrays, without an (m, k) intermediate."""
    rng = np.random.default_rng(0)
    for shape in [(3, 5), (1, 7), (4, 1), (6, 0)]:
        a, b = rng.random(shape), rng.random(shape[::-1]).T
        said = answer(a, b)
        if said is None:
            return NotImplemented
        wanted = (a * b).sum(1)
        shape_said = np.shape(said)
        assert shape_said == wanted.shape, (
            f"row_dots: for operands of shape {shape} the result has shape {shape_said}, "
            f"not {wanted.shape}"
        )
        assert np.allclose(said, wanted), (
            f"row_dots: for operands of shape {shape} the result is\n{np.asarray(said)}\n"
            f"and should be\n{wanted}"
        )
    a = rng.random((150, 200))
    tracemalloc.start()
    try:
        answer(a, a)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < a.nbytes / 2, (
        f"row_dots: the values are right, but {peak:,} bytes were allocated at once for operands "
        f"of {a.nbytes:,}: an intermediate was made; add the products up as they are made"
    )
    return None


def matmul_transposed(answer) -> object:
    """A Function for f(A, B) = A Bᵀ: its backward."""
    a = mtlib.rand(3, 4, seed=1, requires_grad=True)
    b = mtlib.rand(2, 4, seed=2, requires_grad=True)
    out = answer.apply(a, b)
    assert np.allclose(out.numpy(), a.numpy() @ b.numpy().T), (
        "matmul_transposed: forward does not give A @ B.T; leave it as it was"
    )
    d = mtlib.rand(3, 2, seed=3)
    try:
        out.backward(d)
    except (ValueError, TypeError) as error:
        raise AssertionError(f"matmul_transposed: {error}") from None
    if a.grad is None and b.grad is None:
        return NotImplemented
    for name, x, wanted in (("A", a, d.numpy() @ b.numpy()), ("B", b, d.numpy().T @ a.numpy())):
        assert x.grad is not None, (
            f"matmul_transposed: backward gives no gradient for {name}: which product of d and "
            "the other operand has its shape?"
        )
        assert np.allclose(x.grad, wanted), (
            f"matmul_transposed: the gradient of {name} has the right shape and wrong values"
        )
    mtlib.gradcheck(answer.apply, [a, b])
    return None


EXERCISES = {
    "bytes_kept": bytes_kept,
    "row_dots": row_dots,
    "matmul_transposed": matmul_transposed,
}
LINES = {"bytes_kept": 2, "row_dots": 7, "matmul_transposed": 3}  # of code in the body

"""The backward of A Bᵀ."""

from __future__ import annotations

import mtlib
from mtlib.exercises.functions import Derivative


class MatMulTransposed(mtlib.Function):
    """What the reader is given."""

    @staticmethod
    def forward(ctx, A, B):
        ctx.save_for_backward(A, B)
        return A @ B.T


MATMUL_TRANSPOSED = Derivative(
    name="matmul_transposed",
    task="The backward of f(A, B) = A Bᵀ, for A of shape (m, k) and B of shape (n, k).",
    given=MatMulTransposed,
    inputs={"A": "m k", "B": "n k"},
    result="m n",
    forward=lambda a, b: a @ b.T,
    gradients={"A": lambda d, a, b: d @ b, "B": lambda d, a, b: d.T @ a},
    lines=3,
    hints=(
        "Each gradient has the shape of its operand. Write the shapes of d, A and B side by side.",
        "The gradient of A is d times the other operand. Which index do the two share, and is it "
        "where a product of matrices wants it?",
        "For A no transpose is needed. For B it is d that stands the wrong way round, and A comes "
        "second.",
    ),
)


@MATMUL_TRANSPOSED.solution
def matmul_transposed(ctx, d):
    A, B = ctx.saved_tensors
    return d @ B, d.T @ A


MATMUL_TRANSPOSED.stub(lambda ctx, d: (None, None))
MATMUL_TRANSPOSED.wrong(
    "those are the operands; each gradient is made of d and the other one",
    lambda ctx, d: ctx.saved_tensors,
)
MATMUL_TRANSPOSED.refused(
    "the gradient of A has shape (2, 5), and A has (3, 5)",
    lambda ctx, d: matmul_transposed(ctx, d)[::-1],
)
MATMUL_TRANSPOSED.refused(
    "backward gives no gradient for B", lambda ctx, d: (matmul_transposed(ctx, d)[0], None)
)
MATMUL_TRANSPOSED.refused(
    "backward gives 1 gradient, and forward takes 2 operands",
    lambda ctx, d: matmul_transposed(ctx, d)[0],
)
MATMUL_TRANSPOSED.refused(
    "the gradient of A is of type ndarray",
    lambda ctx, d: [x.numpy() for x in matmul_transposed(ctx, d)],
)


@MATMUL_TRANSPOSED.wrong("d has no part in it; it says how much each result counts")
def without_d(ctx, d):
    A, B = ctx.saved_tensors
    ones = mtlib.ones(d.shape)
    return ones @ B, ones.T @ A


@MATMUL_TRANSPOSED.refused("inner dimensions 2 and 3 differ")
def not_transposed(ctx, d):
    A, B = ctx.saved_tensors
    return d @ B, d @ A


@MATMUL_TRANSPOSED.refused("d was changed on the way")
def changing_d(ctx, d):
    results = matmul_transposed(ctx, d)
    d *= 2
    return results

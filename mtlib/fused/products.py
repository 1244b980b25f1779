"""Products of matrices, fused: no product of two elements is ever written down."""

from __future__ import annotations

from operator import mul

import numpy as np

from mtlib.autograd import Function
from mtlib.kernels.matmul import matmul as kernel
from mtlib.layout import collapse
from mtlib.operands import matmul_operands
from mtlib.tensor import Tensor


class MatMul(Function):
    """f(M, N) = M N, for stacks of matrices (…, m, k) and (…, k, n) of one batch shape.

    With d the gradient of the product, that of M is d Nᵀ and that of N is Mᵀ d: two more products,
    for the same kernel.  The transposes are views.
    """

    name = "matmul"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        out = Tensor.empty((*a.layout.shape[:-1], b.layout.shape[-1]), a.storage.dtype, "matmul")
        _run(out, a, b)
        return out

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        da = matmul(d, b.transpose(-1, -2)) if need_a else None
        db = matmul(a.transpose(-1, -2), d) if need_b else None
        return da, db

    @staticmethod
    def traffic(inputs, output):
        k = inputs[0].shape[-1]
        return 2 * k * output.size, output.size


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a (…, m, k) @ b (…, k, n) = (…, m, n), as one loop nest; what ``@`` calls.

    NumPy's rules for 1-D, batched and broadcast operands; raises ``ValueError`` where they do not
    fit.  Operands are read through their strides and never copied.

    >>> import mtlib
    >>> a, b = mtlib.arange(8).view(2, 4), mtlib.arange(12).view(4, 3)
    >>> a @ b
    tensor([[ 42.,  48.,  54.],
            [114., 136., 158.]])
    """
    if _plain(a, b):  # the common case: for a small product the checks would take longer
        return MatMul.apply(a, b)
    a, b, batch, shape = matmul_operands(a, b)
    a, b = (x if x.shape[:-2] == batch else x.expand(*batch, *x.shape[-2:]) for x in (a, b))
    product = MatMul.apply(a, b)
    return product if product.shape == shape else product.view(shape)


def _plain(a, b) -> bool:
    """Whether these are (stacks of) matrices of one batch shape and dtype that fit."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return False
    left, right = a.layout.shape, b.layout.shape
    return (
        len(left) == len(right) > 1
        and left[-1] == right[-2]
        and left[:-2] == right[:-2]
        and a.storage.dtype == b.storage.dtype
    )


def _run(out: Tensor, a: Tensor, b: Tensor) -> None:
    """Call the kernel, which wants one batch dimension, on as few and large stacks as there are."""
    c, x, y = out.storage, a.storage, b.storage
    (*batch, m, k), a_strides, a_at = a.layout
    (*_, n), b_strides, b_at = b.layout
    if not batch:
        kernel(c, x, y, (1, m, k, n), 0, (a_at, 0, *a_strides), (b_at, 0, *b_strides))
    elif c.size:
        lengths, steps = collapse(batch, *(t.strides[:-2] for t in (out, a, b)))
        sizes, (_, a_step, b_step) = (lengths[-1], m, k, n), (step[-1] for step in steps)
        for which in np.ndindex(lengths[:-1]):
            # How far into each of the three, beside its offset, this stack begins.
            at, more_a, more_b = (sum(map(mul, which, step)) for step in steps)
            a_steps = (a_at + more_a, a_step, *a_strides[-2:])
            b_steps = (b_at + more_b, b_step, *b_strides[-2:])
            kernel(c, x, y, sizes, at, a_steps, b_steps)

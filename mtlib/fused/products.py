"""Products of matrices, fused: no product of two elements is ever written down."""

from __future__ import annotations

import numpy as np

from mtlib.autograd import Function
from mtlib.kernels.matmul import matmul as kernel
from mtlib.layout import Layout, collapse
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
        out = Tensor.empty((*a.shape[:-1], b.shape[-1]), a.dtype, "matmul")
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
    """Whether these are two matrices of one dtype that fit."""
    return (
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and len(a.layout.shape) == len(b.layout.shape) == 2
        and a.layout.shape[1] == b.layout.shape[0]
        and a.storage.dtype == b.storage.dtype
    )


def _run(out: Tensor, a: Tensor, b: Tensor) -> None:
    """Call the kernel, which wants one batch dimension, on as few and large stacks as there are."""
    batch = out.shape[:-2]
    if not batch:
        kernel(_stack_of_one(out), _stack_of_one(a), _stack_of_one(b))
        return
    if len(batch) == 1:
        kernel(out.numpy(), a.numpy(), b.numpy())
        return
    if not out.size:
        return
    lengths, steps = collapse(batch, *(x.strides[:-2] for x in (out, a, b)))
    for which in np.ndindex(lengths[:-1]):
        arrays = (_stack(x, which, lengths[-1], s) for x, s in zip((out, a, b), steps, strict=True))
        kernel(*arrays)


def _stack_of_one(x: Tensor) -> np.ndarray:
    """``x.numpy()[None]``, made in one step."""
    shape, (row, column), offset = x.layout
    if 0 in shape:
        return np.ndarray((1, *shape), x.dtype)
    storage, size = x.storage, x.storage.itemsize
    strides = (0, row * size, column * size)
    return np.ndarray((1, *shape), storage.dtype, storage, offset * size, strides)


def _stack(x: Tensor, which: tuple[int, ...], length: int, steps: tuple[int, ...]) -> np.ndarray:
    """The innermost run of matrices of ``x``, as a (length, rows, columns) array."""
    offset = x.layout.offset + sum(i * step for i, step in zip(which, steps[:-1], strict=True))
    layout = Layout((length, *x.shape[-2:]), (steps[-1], *x.strides[-2:]), offset)
    return Tensor(x.storage, layout).numpy()

"""Layer normalization, fused: each row is brought in once and sent back once."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from mtlib import naive
from mtlib.autograd import Function
from mtlib.checks import layer_norm_operands
from mtlib.kernels.plans.rows import per_row
from mtlib.kernels.rows import layer_norm as kernels
from mtlib.layout import contiguous, expand
from mtlib.tensor import Tensor, empty_like


class LayerNorm(Function):
    """y = x̂ w + b with x̂ = (x - mean) / σ, for the mean and the spread of each row.

    With g = d w, dx = (g - mean g - x̂ mean(g x̂)) / σ; summed over all rows, dw = Σ d x̂ and
    db = Σ d.  Kept of each row are its mean, the rest of it that rounding left, and 1 / σ.

    The plain loop nest, that the ledger counts, goes over each row three times: for the mean, for
    the variance and for y.  Backward goes over it twice: for the two means, adding to dw and db on
    the way, and for dx.
    """

    name = "layer_norm"

    @staticmethod
    def forward(ctx, x, weight, bias, dims, eps):
        name, dtype = "layer_norm", x.dtype
        y = empty_like(x, name)
        numbers = [Tensor.empty(x.shape[: dims[0]], dtype, name) for _ in range(3)]
        w, b = or_number(weight, 1, dtype), or_number(bias, 0, dtype)
        affine = (expand(t.layout, x.shape) for t in (w, b))
        layouts = (y.layout, x.layout, per_row(numbers[0].layout, x.shape, dims), *affine)
        kept = tuple([t.storage for t in numbers])
        arrays = y.storage, x.storage, kept, w.storage, b.storage
        kernels.layer_norm(name, dims, layouts, *arrays, dtype.type(eps))
        ctx.save_for_backward(x, weight, *numbers)
        ctx.dims = dims
        return y

    @staticmethod
    def backward(ctx, d):
        x, weight, *numbers = ctx.saved_tensors
        name, dtype, dims = "layer_norm_backward", x.dtype, ctx.dims
        shape, needs = x.shape[dims[0] :], ctx.needs_input_grad[1:3]
        w = or_number(weight, 1, dtype)
        dx = empty_like(x, name)
        dw, db = (
            Tensor.empty(shape if needed else (0,), dtype, name, zero=True) for needed in needs
        )
        rows = per_row(numbers[0].layout, x.shape, dims)
        sums = expand(contiguous(shape), x.shape)
        layouts = (dx.layout, x.layout, rows, expand(w.layout, x.shape), d.layout, sums)
        kept = tuple([t.storage for t in numbers])
        arrays = (t.storage for t in (dx, dw, db, x, d))
        kernels.layer_norm_backward(name, dims, layouts, *arrays, kept, w.storage)
        return dx, dw if needs[0] else None, db if needs[1] else None, None, None

    @staticmethod
    def traffic(ctx, inputs, output):
        n, rows, affine = output.size, prod(output.shape[: ctx.dims[0]]), len(inputs) - 1
        return (3 + affine) * n, n + 3 * rows

    @staticmethod
    def backward_traffic(ctx, inputs, gradients):
        x, *sums = gradients
        n, rows, weights = x.size, prod(x.shape[: ctx.dims[0]]), len(inputs) - 5
        return (4 + 2 * weights + len(sums)) * n + 3 * rows, (1 + len(sums)) * n

    @staticmethod
    def decompose(x, weight, bias, dims, eps):
        return naive.layer_norm(x, x.shape[dims[0] :], weight, bias, eps)


@lru_cache
def _number(value: float, dtype: np.dtype) -> Tensor:
    return Tensor(np.full(1, value, dtype), contiguous(()))


def or_number(x: Tensor | None, value: float, dtype: np.dtype) -> Tensor:
    """``x``, or if it was not given the number that does nothing."""
    return _number(value, dtype) if x is None else x


def layer_norm(
    x: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(variance + eps) · weight + bias, over the last dimensions of ``x``.

    ``normalized_shape``, an integer or several, is how they must end; ``weight`` and ``bias`` have
    that shape.  Raises ``ValueError`` where shapes do not fit or ``eps`` is negative.

    Source: Ba, Kiros and Hinton, "Layer Normalization" (2016).

    >>> import mtlib
    >>> layer_norm(mtlib.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), 3)
    tensor([[-1.2247,  0.    ,  1.2247],
            [-1.2247,  0.    ,  1.2247]])
    """
    x, weight, bias, dims = layer_norm_operands(x, normalized_shape, weight, bias, eps)
    return LayerNorm.apply(x, weight, bias, dims, eps)

"""RMS normalization, fused: each row is brought in once and sent back once."""

from __future__ import annotations

from math import prod

from mtlib import naive
from mtlib.autograd import Function
from mtlib.checks import rms_norm_operands
from mtlib.fused.layer_norm import or_number
from mtlib.kernels.plans.rows import per_row
from mtlib.kernels.rows import rms_norm as kernels
from mtlib.layout import contiguous, expand
from mtlib.tensor import Tensor, empty_like


class RMSNorm(Function):
    """y = x̂ w with x̂ = x / σ, where σ² is the mean square of each row, and eps.

    With g = d w, dx = (g - x̂ mean(g x̂)) / σ; summed over all rows, dw = Σ d x̂.  Kept of each row
    is 1 / σ.

    The plain loop nest, that the ledger counts, goes over each row twice: for the mean square and
    for y.  Backward does too: for the mean, adding to dw on the way, and for dx.
    """

    name = "rms_norm"

    @staticmethod
    def forward(ctx, x, weight, dims, eps):
        name, dtype = "rms_norm", x.dtype
        y, scales = empty_like(x, name), Tensor.empty(x.shape[: dims[0]], dtype, name)
        w = or_number(weight, 1, dtype)
        rows = per_row(scales.layout, x.shape, dims)
        layouts = (y.layout, x.layout, rows, expand(w.layout, x.shape))
        arrays = (t.storage for t in (y, x, scales, w))
        kernels.rms_norm(name, dims, layouts, *arrays, dtype.type(eps))
        ctx.save_for_backward(x, weight, scales)
        ctx.dims = dims
        return y

    @staticmethod
    def backward(ctx, d):
        x, weight, scales = ctx.saved_tensors
        name, dtype, dims = "rms_norm_backward", x.dtype, ctx.dims
        shape, needed = x.shape[dims[0] :], ctx.needs_input_grad[1]
        w = or_number(weight, 1, dtype)
        dx = empty_like(x, name)
        dw = Tensor.empty(shape if needed else (0,), dtype, name, zero=True)
        rows = per_row(scales.layout, x.shape, dims)
        sums = expand(contiguous(shape), x.shape)
        layouts = (dx.layout, x.layout, rows, expand(w.layout, x.shape), d.layout, sums)
        arrays = (t.storage for t in (dx, dw, x, d, scales, w))
        kernels.rms_norm_backward(name, dims, layouts, *arrays)
        return dx, dw if needed else None, None, None

    @staticmethod
    def traffic(ctx, inputs, output):
        n, rows, weights = output.size, prod(output.shape[: ctx.dims[0]]), len(inputs) - 1
        return (2 + weights) * n, n + rows

    @staticmethod
    def backward_traffic(ctx, inputs, gradients):
        x, *dw = gradients
        n, rows, weights = x.size, prod(x.shape[: ctx.dims[0]]), len(inputs) - 3
        return (4 + 2 * weights + len(dw)) * n + rows, (1 + len(dw)) * n

    @staticmethod
    def decompose(x, weight, dims, eps):
        return naive.rms_norm(x, x.shape[dims[0] :], weight, eps)


def rms_norm(
    x: Tensor, normalized_shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean x² + eps) · weight, over the last dimensions of ``x``.

    ``normalized_shape``, an integer or several, is how they must end; ``weight`` has that shape.
    ``eps`` is that of the dtype unless given.  Raises ``ValueError`` where shapes do not fit or
    ``eps`` is negative.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.

    >>> import mtlib
    >>> rms_norm(mtlib.tensor([[3.0, 4.0, 0.0, 0.0]]), 4)
    tensor([[1.2, 1.6, 0. , 0. ]])
    """
    x, weight, dims, eps = rms_norm_operands(x, normalized_shape, weight, eps)
    return RMSNorm.apply(x, weight, dims, eps)

"""x Wᵀ + b, fused: the sums of the product start from the bias."""

from __future__ import annotations

from math import prod

from mtlib.autograd import Function
from mtlib.checks import linear_operands
from mtlib.fused.matmul import matmul, product
from mtlib.layout import expand, permute, view
from mtlib.tensor import Tensor


class Linear(Function):
    """f(x, W, b) = x Wᵀ + b for x (…, in), W (out, in) and b (out,), which may be None.

    With d the gradient of the result, that of x is d W, that of W is dᵀ x and that of b is Σ d,
    both over all the rows.
    """

    name = "linear"

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        stretched = (*x.shape[:-2], *reversed(weight.shape))
        columns = expand(permute(weight.layout, (1, 0)), stretched)
        return product("linear", x, Tensor(weight.storage, columns), bias)

    @staticmethod
    def backward(ctx, d):
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias = ctx.needs_input_grad
        rows = prod(x.shape[:-1])
        dx = matmul(d, weight) if need_x else None
        d = d.reshape(rows, weight.shape[0])
        dweight = matmul(d.T, x.reshape(rows, weight.shape[1])) if need_weight else None
        return dx, dweight, d.sum(0) if need_bias else None

    @staticmethod
    def traffic(ctx, inputs, output):
        x, _, *bias = inputs
        return (2 * x.shape[-1] + len(bias)) * output.size, output.size

    @staticmethod
    def decompose(x, weight, bias):
        """The product stays whole: no loop nest that ``fuse`` writes is as fast as its kernel."""
        y = matmul(x, weight.T)
        return y if bias is None else y + bias


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b for x (…, in), weight W (out, in) and bias b (out,): y is (…, out).

    A weight (in,) gives (…) and takes a scalar bias.  Raises ``ValueError`` where the shapes do not
    fit.  The bias is no pass of its own: the sums start from it.

    >>> import mtlib
    >>> x, weight, bias = mtlib.arange(4).view(2, 2), mtlib.ones(3, 2), mtlib.arange(3)
    >>> mtlib.fused.linear(x, weight, bias)
    tensor([[1., 2., 3.],
            [5., 6., 7.]])
    """
    x, weight, bias = linear_operands(x, weight, bias)
    shape, rows = (*x.shape[:-1], *weight.shape[:-1]), (prod(x.shape[:-1]), x.shape[-1])
    if x.shape != rows and view(x.layout, rows):
        x = x.view(rows)  # one matrix, rather than a stack of them
    if weight.ndim == 1:
        weight, bias = weight.view(1, rows[1]), None if bias is None else bias.view(1)
    y = Linear.apply(x, weight, None if bias is None else bias.contiguous())
    return y if y.shape == shape else y.view(shape)

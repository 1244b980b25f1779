"""Products of matrices, fused: no product of two elements is ever written down."""

from __future__ import annotations

from math import prod

from mtlib.autograd import Function
from mtlib.checks import linear_operands, matmul_operands
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.products.matmul import matmul as kernel
from mtlib.layout import expand, permute, view
from mtlib.runtime.memory import allocate
from mtlib.tensor import BOOL, Tensor


class MatMul(Function):
    """f(M, N) = M N, for stacks of matrices (…, m, k) and (…, k, n) of one batch shape.

    With d the gradient of the product, that of M is d Nᵀ and that of N is Mᵀ d: two more products,
    for the same kernel.  The transposes are views.
    """

    name = "matmul"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return _product("matmul", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        da = matmul(d, b.transpose(-1, -2)) if need_a else None
        db = matmul(a.transpose(-1, -2), d) if need_b else None
        return da, db

    @staticmethod
    def traffic(ctx, inputs, output):
        k = inputs[0].shape[-1]
        return 2 * k * output.size, output.size


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
        return _product("linear", x, Tensor(weight.storage, columns), bias)

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
    tensors = isinstance(a, Tensor) and isinstance(b, Tensor)
    if tensors and a.storage.dtype is b.storage.dtype != BOOL:
        left, right = a.layout.shape, b.layout.shape
        if len(left) == len(right) == 2 and left[1] == right[0]:
            return MatMul.apply(a, b)  # for a small product, more checks would take longer
    a, b, batch, shape = matmul_operands(a, b)
    a, b = (x if x.shape[:-2] == batch else x.expand(*batch, *x.shape[-2:]) for x in (a, b))
    product = MatMul.apply(a, b)
    return product if product.shape == shape else product.view(shape)


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


def _product(name: str, a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b + bias for stacks of one batch shape."""
    start = None if bias is None else bias.storage[bias.layout.offset :][: bias.size]
    x, y = a.storage, b.storage
    how = plans.product(a.layout, b.layout, x.itemsize)
    out = Tensor(allocate(how.layout.shape, x.dtype, name), how.layout)
    kernel(out.storage, x, y, how, start)
    return out

"""The product of matrices, fused: no product of two elements is ever written down."""

from __future__ import annotations

from mtlib.autograd import Function
from mtlib.checks import matmul_operands
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.products.matmul import matmul as kernel
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
        return product("matmul", a, b)

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


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a (…, m, k) @ b (…, k, n) = (…, m, n), as one loop nest; what ``@`` calls.

    NumPy's rules for 1-D, batched and broadcast operands; raises ``ValueError`` where they do not
    fit.  Operands are read through their strides; where they lie badly, a strip at a
    time is copied to a small workspace.

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
    c = MatMul.apply(a, b)
    return c if c.shape == shape else c.view(shape)


def product(name: str, a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b + bias for stacks of one batch shape; ``name`` is what asks for the memory."""
    start = None if bias is None else bias.storage[bias.layout.offset :][: bias.size]
    x, y = a.storage, b.storage
    how = plans.product(a.layout, b.layout, x.itemsize)
    out = Tensor(allocate(how.layout.shape, x.dtype, name), how.layout)
    kernel(out.storage, x, y, how, start)
    return out

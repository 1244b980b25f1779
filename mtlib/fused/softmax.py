"""softmax and its logarithm, fused: each row is brought in once and sent back once."""

from __future__ import annotations

from mtlib import naive
from mtlib.autograd import Function
from mtlib.checks import row_operand
from mtlib.kernels.rows import softmax as kernels
from mtlib.ops.aliases import numpy_names
from mtlib.tensor import Tensor, empty_like


class _OfRows(Function):
    """softmax or its logarithm; the result y is all that backward needs.

    The plain loop nest, that the ledger counts, goes over each row three times: for its largest
    element m, for Σ eˣ⁻ᵐ and for y.  Backward goes over it twice, for the sum and for dx.
    """

    logarithm: bool

    @staticmethod
    def forward(ctx, x, dim):
        function, y = ctx.function, empty_like(x, ctx.function.name)
        ctx.dims = (dim,) if x.ndim else ()  # a scalar is a row of one element
        layouts, arrays = (y.layout, x.layout), (y.storage, x.storage)
        kernels.softmax(function.name, ctx.dims, layouts, *arrays, function.logarithm)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, d):
        (y,), function = ctx.saved_tensors, ctx.function
        name = f"{function.name}_backward"
        dx = empty_like(y, name)
        layouts = (dx.layout, y.layout, d.layout)
        arrays = (dx.storage, y.storage, d.storage)
        kernels.softmax_backward(name, ctx.dims, layouts, *arrays, function.logarithm)
        return dx, None

    @staticmethod
    def traffic(ctx, inputs, output):
        return 3 * output.size, output.size

    @staticmethod
    def backward_traffic(ctx, inputs, gradients):
        return (3 if ctx.function.logarithm else 4) * gradients[0].size, gradients[0].size


class Softmax(_OfRows):
    """y = eˣ / Σ eˣ, dx = y (d - Σ d y)"""

    name, logarithm = "softmax", False
    decompose = staticmethod(naive.softmax)


class LogSoftmax(_OfRows):
    """y = x - ln Σ eˣ, dx = d - eʸ Σ d"""

    name, logarithm = "log_softmax", True
    decompose = staticmethod(naive.log_softmax)


@numpy_names
def softmax(x: Tensor, dim: int) -> Tensor:
    """y = eˣ / Σ eˣ along ``dim``: positive numbers that add up to 1.

    Raises ``ValueError`` for a ``dim`` that ``x`` does not have.

    >>> import mtlib
    >>> softmax(mtlib.tensor([[0.0, 0.0], [1000.0, 0.0]]), 1)
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    return Softmax.apply(*row_operand(x, dim, "softmax"))


@numpy_names
def log_softmax(x: Tensor, dim: int) -> Tensor:
    """y = x - ln Σ eˣ along ``dim``: the logarithm of :func:`softmax`, with all its digits.

    Raises ``ValueError`` for a ``dim`` that ``x`` does not have.

    >>> import mtlib
    >>> log_softmax(mtlib.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    return LogSoftmax.apply(*row_operand(x, dim, "log_softmax"))

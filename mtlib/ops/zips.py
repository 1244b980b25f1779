"""Zip: an operation on the elements that meet at one place of two operands (or three)."""

from __future__ import annotations

import operator
from collections.abc import Callable

from mtlib.kernels.functions import powers, scalars
from mtlib.kernels.strided.elementwise import PowerKernel, zip3_kernel, zip_kernel
from mtlib.ops.elementwise import Zip, run
from mtlib.ops.operands import common_dtype, operands, stretched
from mtlib.tensor import BOOL, Tensor


class And(Zip):
    """a & b for bools, broadcast: whether both are true.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> (x > 0) & (x < 3)
    tensor([False,  True,  True, False])
    """

    name, kernel, symbol, takes = "logical_and", zip_kernel(scalars.logical_and), "&", "bools"


logical_and = And.operation()


class Or(Zip):
    """a | b for bools, broadcast: whether one of them is true, or both.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> (x < 1) | (x > 2)
    tensor([ True, False, False,  True])
    """

    name, kernel, symbol, takes = "logical_or", zip_kernel(scalars.logical_or), "|", "bools"


logical_or = Or.operation()


class Xor(Zip):
    """a ^ b for bools, broadcast: whether they differ.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> (x > 0) ^ (x > 2)
    tensor([False,  True,  True, False])
    """

    name, kernel, symbol, takes = "logical_xor", zip_kernel(scalars.logical_xor), "^", "bools"


logical_xor = Xor.operation()


class Add(Zip):
    """y = a + b, broadcast; of bools, whether one of them is true.

    >>> import mtlib
    >>> mtlib.ones(2, 1) + mtlib.arange(3)
    tensor([[1., 2., 3.],
            [1., 2., 3.]])
    """

    name, kernel, symbol, takes = "add", zip_kernel(scalars.add), "+", "both"

    @staticmethod
    def backward(ctx, d):
        need_a, need_b = ctx.needs_input_grad
        return d if need_a else None, d if need_b else None

    @classmethod
    def of_bools(cls, a, b):
        return Or.apply(a, b)


add = Add.operation()


class Sub(Zip):
    """y = a - b, broadcast.

    >>> import mtlib
    >>> 1 - mtlib.arange(3)
    tensor([ 1.,  0., -1.])
    """

    name, kernel, symbol, takes = "sub", zip_kernel(scalars.sub), "-", "both"

    @staticmethod
    def backward(ctx, d):
        need_a, need_b = ctx.needs_input_grad
        return d if need_a else None, -d if need_b else None

    @classmethod
    def of_bools(cls, a, b):
        raise TypeError("sub: bools have no difference; ^ tells where they differ, ~ inverts them")


sub = Sub.operation()


class Mul(Zip):
    """y = a · b, broadcast: each operand's gradient is the other, times what came in.

    Of bools, whether both are true.

    >>> import mtlib
    >>> mtlib.arange(3) * 2
    tensor([0., 2., 4.])
    """

    name, kernel, symbol, takes = "mul", zip_kernel(scalars.mul), "*", "both"
    saves = "operands"

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        return d * b if need_a else None, d * a if need_b else None

    @classmethod
    def of_bools(cls, a, b):
        return And.apply(a, b)


mul = Mul.operation()


class Div(Zip):
    """y = a / b, broadcast; division by zero gives inf or nan, as IEEE 754 says.

    dy/db is taken as -y / b: the square and the inverse of b may leave the range of numbers.

    >>> import mtlib
    >>> mtlib.tensor([1.0, 0.0]) / 0
    tensor([inf, nan])
    """

    name, kernel, symbol, saves = "div", zip_kernel(scalars.div), "/", "operands"

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        return d / b if need_a else None, d * (-a / b) / b if need_b else None


div = Div.operation()


class Pow(Zip):
    """y = aᵇ, broadcast, dy/da = b aᵇ⁻¹, dy/db = y ln a; both 0 where a power is constant.

    >>> import mtlib
    >>> mtlib.arange(4) ** 2
    tensor([0., 1., 4., 9.])
    """

    name, kernel, symbol = "pow", PowerKernel(powers.pow, powers.pow_by), "**"
    saves = "operands"

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        da = d * PowSlope.apply(a, b) if need_a else None
        db = where((a == 0) & (b >= 0), 0, d * a**b * a.log()) if need_b else None
        return da, db


pow = Pow.operation()


class PowSlope(Zip):
    """The derivative of aᵇ by a: b aᵇ⁻¹, and 0 where b is"""

    name, kernel = "pow_slope", PowerKernel(powers.pow_slope, powers.pow_slope_by)


class _Extreme(Zip):
    """One of each pair; operands that tie share the gradient, and which ``loses`` gets none."""

    saves, takes = "operands", "both"
    loses: Callable

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        loses = ctx.function.loses
        da = _shared(d, loses(a, b), a == b) if need_a else None
        db = _shared(d, loses(b, a), a == b) if need_b else None
        return da, db


def _shared(d: Tensor, loses: Tensor, ties: Tensor) -> Tensor:
    """The part of ``d`` for one operand; chosen and not multiplied, as 0 times infinity is nan.

    Where one is nan neither loses, and both get all of it, as in PyTorch.
    """
    return where(loses, 0, where(ties, d * 0.5, d))


class Maximum(_Extreme):
    """The larger of each pair, broadcast; nan if either is.

    >>> import mtlib
    >>> mtlib.maximum(mtlib.arange(4), 2)
    tensor([2., 2., 2., 3.])
    """

    name, kernel, loses = "maximum", zip_kernel(scalars.maximum), operator.lt


maximum = Maximum.operation()


class Minimum(_Extreme):
    """The smaller of each pair, broadcast; nan if either is.

    >>> import mtlib
    >>> mtlib.minimum(mtlib.arange(4), 2)
    tensor([0., 1., 2., 2.])
    """

    name, kernel, loses = "minimum", zip_kernel(scalars.minimum), operator.gt


minimum = Minimum.operation()


# --- Whose operands or result are of other dtypes than one ----------------------------------------


class Where(Zip):
    """y = a where the condition is true (of numbers: not 0), else b"""

    name, kernel = "where", zip3_kernel(scalars.where)

    @staticmethod
    def forward(ctx, condition, a, b):
        ctx.save_for_backward(condition)
        return run(Where.kernel, "where", condition, a, b)

    @staticmethod
    def backward(ctx, d):
        (condition,) = ctx.saved_tensors
        _, need_a, need_b = ctx.needs_input_grad
        da = where(condition, d, 0) if need_a else None
        db = where(condition, 0, d) if need_b else None
        return None, da, db


def where(condition, a, b) -> Tensor:
    """a where the condition is true (of numbers: not 0), else b, broadcast.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> mtlib.where(x > 1, x, -1)
    tensor([-1., -1.,  2.,  3.])
    """
    dtype = common_dtype("where", a, b, bools=True)
    own = common_dtype("where", condition, bools=True)  # which it lends to none
    return Where.apply(*stretched("where", (condition, own), (a, dtype), (b, dtype)))


_COMPARED = (scalars.eq, scalars.ne, scalars.lt, scalars.le, scalars.gt, scalars.ge)
COMPARISONS = {function.__name__: zip_kernel(function) for function in _COMPARED}


class Compare(Zip):
    """Whether the comparison holds: bools, which have no slope, so no backward."""

    name = "compare"

    @staticmethod
    def forward(ctx, a, b, name):
        return run(COMPARISONS[name], name, a, b, dtype=BOOL)


def compare(a, b, name: str) -> Tensor:
    """Whether ``a name b`` holds, as bools; ``name`` is one of eq ne lt le gt ge.

    >>> import mtlib
    >>> mtlib.arange(3) >= 1
    tensor([False,  True,  True])
    """
    return Compare.apply(*operands(name, a, b, takes="both"), name)

"""Zip: an operation on the elements that meet at one place of two operands (or three).

A zip broadcasts its operands first.  That is a view operation of its own
(:class:`mtlib.ops.views.Expand`), with a backward of its own, so the derivatives here take their
operands to be of one shape.
"""

from __future__ import annotations

from mtlib.autograd import Function
from mtlib.kernels.strided import elementwise
from mtlib.ops.operands import bool_operands, common_dtype, operands, run, stretched
from mtlib.tensor import BOOL, Tensor


class _Zip(Function):
    kind = "zip"


class Add(_Zip):
    """y = a + b"""

    name = "add"

    @staticmethod
    def forward(ctx, a, b):
        return run(elementwise.add, "add", a, b)

    @staticmethod
    def backward(ctx, d):
        need_a, need_b = ctx.needs_input_grad
        return d if need_a else None, d if need_b else None


class Sub(_Zip):
    """y = a - b"""

    name = "sub"

    @staticmethod
    def forward(ctx, a, b):
        return run(elementwise.sub, "sub", a, b)

    @staticmethod
    def backward(ctx, d):
        need_a, need_b = ctx.needs_input_grad
        return d if need_a else None, -d if need_b else None


class Mul(_Zip):
    """y = a · b: each operand's gradient is the other, times what came in"""

    name = "mul"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return run(elementwise.mul, "mul", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        return d * b if need_a else None, d * a if need_b else None


class Div(_Zip):
    """y = a / b, dy/db = -y / b: the square and the inverse of b may leave the range of numbers"""

    name = "div"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return run(elementwise.div, "div", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        return d / b if need_a else None, d * (-a / b) / b if need_b else None


class Pow(_Zip):
    """y = aᵇ, dy/da = b aᵇ⁻¹, dy/db = y ln a; both 0 where a power is constant"""

    name = "pow"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return run(elementwise.pow, "pow", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        da = d * PowSlope.apply(a, b) if need_a else None
        db = where((a == 0) & (b >= 0), 0, d * a**b * a.log()) if need_b else None
        return da, db


class PowSlope(_Zip):
    """The derivative of aᵇ by a: b aᵇ⁻¹, and 0 where b is"""

    name = "pow_slope"

    @staticmethod
    def forward(ctx, a, b):
        return run(elementwise.pow_slope, "pow_slope", a, b)


class Maximum(_Zip):
    """y = the larger; equal operands share the gradient"""

    name = "maximum"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return run(elementwise.maximum, "maximum", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        da = _shared(d, a < b, a == b) if need_a else None
        db = _shared(d, b < a, a == b) if need_b else None
        return da, db


class Minimum(_Zip):
    """y = the smaller; equal operands share the gradient"""

    name = "minimum"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return run(elementwise.minimum, "minimum", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        da = _shared(d, a > b, a == b) if need_a else None
        db = _shared(d, b > a, a == b) if need_b else None
        return da, db


def _shared(d: Tensor, loses: Tensor, ties: Tensor) -> Tensor:
    """The part of ``d`` for one operand; chosen and not multiplied, as 0 times infinity is nan.

    Where one is nan neither loses, and both get all of it, as in PyTorch.
    """
    return where(loses, 0, where(ties, d * 0.5, d))


class Where(_Zip):
    """y = a where the condition is true (of numbers: not 0), else b"""

    name = "where"

    @staticmethod
    def forward(ctx, condition, a, b):
        ctx.save_for_backward(condition)
        return run(elementwise.where, "where", condition, a, b)

    @staticmethod
    def backward(ctx, d):
        (condition,) = ctx.saved_tensors
        _, need_a, need_b = ctx.needs_input_grad
        da = where(condition, d, 0) if need_a else None
        db = where(condition, 0, d) if need_b else None
        return None, da, db


class Compare(_Zip):
    """Whether the comparison holds: bools, which have no slope, so no backward."""

    name = "compare"

    @staticmethod
    def forward(ctx, a, b, name):
        return run(getattr(elementwise, name), name, a, b, dtype=BOOL)


class And(_Zip):
    """Whether both are true."""

    name = "logical_and"

    @staticmethod
    def forward(ctx, a, b):
        return run(elementwise.logical_and, "logical_and", a, b)


class Or(_Zip):
    """Whether one of them is true, or both."""

    name = "logical_or"

    @staticmethod
    def forward(ctx, a, b):
        return run(elementwise.logical_or, "logical_or", a, b)


class Xor(_Zip):
    """Whether one of them is true, and not both."""

    name = "logical_xor"

    @staticmethod
    def forward(ctx, a, b):
        return run(elementwise.logical_xor, "logical_xor", a, b)


# --- As they are called ---------------------------------------------------------------------------


def add(a, b) -> Tensor:
    """a + b, broadcast; of bools, whether one of them is true.

    >>> import mtlib
    >>> mtlib.ones(2, 1) + mtlib.arange(3)
    tensor([[1., 2., 3.],
            [1., 2., 3.]])
    """
    a, b = operands("add", a, b, bools=True)
    return (Or if a.storage.dtype == BOOL else Add).apply(a, b)


def sub(a, b) -> Tensor:
    """a - b, broadcast.

    >>> import mtlib
    >>> 1 - mtlib.arange(3)
    tensor([ 1.,  0., -1.])
    """
    a, b = operands("sub", a, b, bools=True)
    if a.storage.dtype == BOOL:
        raise TypeError("sub: bools have no difference; ^ tells where they differ, ~ inverts them")
    return Sub.apply(a, b)


def mul(a, b) -> Tensor:
    """a · b, broadcast; of bools, whether both are true.

    >>> import mtlib
    >>> mtlib.arange(3) * 2
    tensor([0., 2., 4.])
    """
    a, b = operands("mul", a, b, bools=True)
    return (And if a.storage.dtype == BOOL else Mul).apply(a, b)


def div(a, b) -> Tensor:
    """a / b, broadcast; division by zero gives inf or nan, as IEEE 754 says.

    >>> import mtlib
    >>> mtlib.tensor([1.0, 0.0]) / 0
    tensor([inf, nan])
    """
    return Div.apply(*operands("div", a, b))


def pow(a, b) -> Tensor:
    """aᵇ, broadcast.

    >>> import mtlib
    >>> mtlib.arange(4) ** 2
    tensor([0., 1., 4., 9.])
    """
    return Pow.apply(*operands("pow", a, b))


def maximum(a, b) -> Tensor:
    """The larger of each pair, broadcast; nan if either is.

    >>> import mtlib
    >>> mtlib.maximum(mtlib.arange(4), 2)
    tensor([2., 2., 2., 3.])
    """
    return Maximum.apply(*operands("maximum", a, b, bools=True))


def minimum(a, b) -> Tensor:
    """The smaller of each pair, broadcast; nan if either is.

    >>> import mtlib
    >>> mtlib.minimum(mtlib.arange(4), 2)
    tensor([0., 1., 2., 2.])
    """
    return Minimum.apply(*operands("minimum", a, b, bools=True))


def where(condition, a, b) -> Tensor:
    """a where the condition is true (of numbers: not 0), else b, broadcast.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> mtlib.where(x > 1, x, -1)
    tensor([-1., -1.,  2.,  3.])
    """
    dtype = common_dtype("where", a, b, bools=True)
    own = common_dtype(
        "where", condition, bools=True
    )  # a condition keeps its own dtype, and lends it to none
    return Where.apply(*stretched("where", (condition, own), (a, dtype), (b, dtype)))


def compare(a, b, name: str) -> Tensor:
    """Whether ``a name b`` holds, as bools; ``name`` is one of eq ne lt le gt ge.

    >>> import mtlib
    >>> mtlib.arange(3) >= 1
    tensor([False,  True,  True])
    """
    return Compare.apply(*operands(name, a, b, bools=True), name)


def logical_and(a, b) -> Tensor:
    """a & b for bools, broadcast: whether both are true.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> (x > 0) & (x < 3)
    tensor([False,  True,  True, False])
    """
    return And.apply(*bool_operands("logical_and", a, b))


def logical_or(a, b) -> Tensor:
    """a | b for bools, broadcast: whether one of them is true, or both.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> (x < 1) | (x > 2)
    tensor([ True, False, False,  True])
    """
    return Or.apply(*bool_operands("logical_or", a, b))


def logical_xor(a, b) -> Tensor:
    """a ^ b for bools, broadcast: whether they differ.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> (x > 0) ^ (x > 2)
    tensor([False,  True,  True, False])
    """
    return Xor.apply(*bool_operands("logical_xor", a, b))

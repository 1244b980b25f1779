"""Zip: an operation on the elements that meet at one place of two operands (or three).

A zip broadcasts its operands first.  That is a view operation of its own
(:class:`mtlib.ops.views.Expand`), with a backward of its own, so the derivatives here take their
operands to be of one shape.
"""

from __future__ import annotations

from mtlib.autograd import Function, no_grad
from mtlib.kernels import elementwise
from mtlib.ops.lift import common_dtype, operands, run, stretched
from mtlib.tensor import Tensor


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
    """y = a / b, dy/db = -a / b²"""

    name = "div"

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return run(elementwise.div, "div", a, b)

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        return d / b if need_a else None, -d * a / (b * b) if need_b else None


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
        db = where((a == 0) * (b >= 0), 0, d * a**b * a.log()) if need_b else None
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
        return d * _share(a > b, a == b) if need_a else None, d * _share(
            b > a, a == b
        ) if need_b else None


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
        return d * _share(a < b, a == b) if need_a else None, d * _share(
            b < a, a == b
        ) if need_b else None


def _share(wins: Tensor, ties: Tensor) -> Tensor:
    return wins + ties * 0.5


class Where(_Zip):
    """y = a where the condition is not 0, else b"""

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
    """1 where the comparison holds, else 0.  A step has no slope to speak of, so no backward."""

    name = "compare"

    @staticmethod
    def forward(ctx, a, b, name):
        return run(getattr(elementwise, name), name, a, b)


# --- As they are called ---------------------------------------------------------------------------


def add(a, b) -> Tensor:
    """a + b, broadcast.

    >>> import mtlib
    >>> mtlib.ones(2, 1) + mtlib.arange(3)
    tensor([[1., 2., 3.],
            [1., 2., 3.]])
    """
    return Add.apply(*operands("add", a, b))


def sub(a, b) -> Tensor:
    """a - b, broadcast.

    >>> import mtlib
    >>> 1 - mtlib.arange(3)
    tensor([ 1.,  0., -1.])
    """
    return Sub.apply(*operands("sub", a, b))


def mul(a, b) -> Tensor:
    """a · b, broadcast.

    >>> import mtlib
    >>> mtlib.arange(3) * 2
    tensor([0., 2., 4.])
    """
    return Mul.apply(*operands("mul", a, b))


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
    return Maximum.apply(*operands("maximum", a, b))


def minimum(a, b) -> Tensor:
    """The smaller of each pair, broadcast; nan if either is.

    >>> import mtlib
    >>> mtlib.minimum(mtlib.arange(4), 2)
    tensor([0., 1., 2., 2.])
    """
    return Minimum.apply(*operands("minimum", a, b))


def where(condition, a, b) -> Tensor:
    """a where the condition is not 0, else b, broadcast.

    >>> import mtlib
    >>> x = mtlib.arange(4)
    >>> mtlib.where(x > 1, x, -1)
    tensor([-1., -1.,  2.,  3.])
    """
    dtype = common_dtype("where", a, b)
    own = common_dtype("where", condition)  # a condition keeps its own dtype, and lends it to none
    return Where.apply(*stretched("where", (condition, own), (a, dtype), (b, dtype)))


def compare(a, b, name: str) -> Tensor:
    """1 where ``a name b`` holds, else 0; ``name`` is one of eq ne lt le gt ge.

    >>> import mtlib
    >>> mtlib.arange(3) >= 1
    tensor([0., 1., 1.])
    """
    with no_grad():
        return Compare.apply(*operands(name, a, b), name)

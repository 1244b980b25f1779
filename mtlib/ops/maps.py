"""Map: an operation on each element by itself, forward and backward."""

from __future__ import annotations

from mtlib.autograd import Function
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.strided import elementwise
from mtlib.ops.operands import bool_operands, operands, run
from mtlib.ops.zips import where
from mtlib.tensor import BOOL, Tensor, tensor_dtype


class _Map(Function):
    kind = "map"


class _Backward(Function):
    """The gradient d of a result, times the slope there: one kernel where a product takes two."""

    kind = "zip"

    @staticmethod
    def forward(ctx, d, a):
        return run(ctx.function.kernel, ctx.function.name, d, a)


class Cast(_Map):
    """The same values as another dtype."""

    name = "to"

    @staticmethod
    def forward(ctx, a, dtype):
        ctx.dtype = a.dtype
        out = Tensor.empty(a.shape, dtype, "to")
        if out.size:
            both = plans.iteration(out.layout, a.layout)
            elementwise.copy(out.storage, a.storage, both, work=a.size)
        return out

    @staticmethod
    def backward(ctx, d):
        return d.to(ctx.dtype), None


class Neg(_Map):
    """y = -a"""

    name = "neg"

    @staticmethod
    def forward(ctx, a):
        return run(elementwise.neg, "neg", a)

    @staticmethod
    def backward(ctx, d):
        return -d


class Not(_Map):
    """Whether it is not true."""

    name = "logical_not"

    @staticmethod
    def forward(ctx, a):
        return run(elementwise.logical_not, "logical_not", a)


class Exp(_Map):
    """y = eᵃ, and so is dy/da"""

    name = "exp"

    @staticmethod
    def forward(ctx, a):
        out = run(elementwise.exp, "exp", a)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return d * y


class Log(_Map):
    """y = ln a, dy/da = 1 / a"""

    name = "log"

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return run(elementwise.log, "log", a)

    @staticmethod
    def backward(ctx, d):
        (a,) = ctx.saved_tensors
        return d / a


class Sqrt(_Map):
    """y = √a, dy/da = 1 / 2y"""

    name = "sqrt"

    @staticmethod
    def forward(ctx, a):
        out = run(elementwise.sqrt, "sqrt", a)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return d / (y * 2)


class ReLU(_Map):
    """y = max(a, 0); the slope at 0 is taken as 0"""

    name = "relu"

    @staticmethod
    def forward(ctx, a):
        out = run(elementwise.relu, "relu", a)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return where(y <= 0, 0, d)


class Sigmoid(_Map):
    """y = 1 / (1 + e⁻ᵃ), dy/da = y (1 - y)"""

    name = "sigmoid"

    @staticmethod
    def forward(ctx, a):
        out = run(elementwise.sigmoid, "sigmoid", a)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return SigmoidBackward.apply(d, y)


class SigmoidBackward(_Backward):
    """d y (1 - y)"""

    name, kernel = "sigmoid_backward", elementwise.sigmoid_backward


class Tanh(_Map):
    """y = tanh a, dy/da = 1 - y²"""

    name = "tanh"

    @staticmethod
    def forward(ctx, a):
        out = run(elementwise.tanh, "tanh", a)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return TanhBackward.apply(d, y)


class TanhBackward(_Backward):
    """d (1 - y²)"""

    name, kernel = "tanh_backward", elementwise.tanh_backward


class GELU(_Map):
    """y = a Φ(a), Φ the normal distribution function (Hendrycks and Gimpel, 2016)"""

    name = "gelu"

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return run(elementwise.gelu, "gelu", a)

    @staticmethod
    def backward(ctx, d):
        (a,) = ctx.saved_tensors
        return GELUBackward.apply(d, a)


class GELUBackward(_Backward):
    """d (Φ(a) + a φ(a)), φ the normal density"""

    name, kernel = "gelu_backward", elementwise.gelu_backward


# --- As they are called ---------------------------------------------------------------------------


def to(a: Tensor, dtype) -> Tensor:
    """This tensor if it has ``dtype`` (float32, float64 or bool) already, else a copy that does.

    As bools, all but 0 is true.

    >>> import mtlib
    >>> mtlib.ones(2).to("float32")
    tensor([1., 1.], dtype=float32)
    """
    dtype = tensor_dtype(dtype, "to")
    return a if a.dtype == dtype else Cast.apply(a, dtype)


def _tensor(a, name: str) -> Tensor:
    """``a`` as a tensor of floats; bools count as 0 and 1."""
    floats = isinstance(a, Tensor) and a.storage.dtype != BOOL
    return a if floats else operands(name, a)[0]


def neg(a) -> Tensor:
    """-a.

    >>> import mtlib
    >>> -mtlib.tensor([1.0, -2.0])
    tensor([-1.,  2.])
    """
    if isinstance(a, Tensor) and a.dtype == BOOL:
        raise TypeError("neg: a bool tensor has no negative; ~ inverts it")
    return Neg.apply(_tensor(a, "neg"))


def logical_not(a) -> Tensor:
    """~a for bools: whether it is not true.

    >>> import mtlib
    >>> ~(mtlib.arange(3) > 1)
    tensor([ True,  True, False])
    """
    return Not.apply(*bool_operands("logical_not", a))


def exp(a) -> Tensor:
    """eᵃ.

    >>> import mtlib
    >>> mtlib.tensor([0.0, 1.0]).exp()
    tensor([1.    , 2.7183])
    """
    return Exp.apply(_tensor(a, "exp"))


def log(a) -> Tensor:
    """The natural logarithm: -inf at 0, nan below.

    >>> import mtlib
    >>> mtlib.tensor([1.0, 0.0]).log()
    tensor([  0., -inf])
    """
    return Log.apply(_tensor(a, "log"))


def sqrt(a) -> Tensor:
    """The square root: nan below 0.

    >>> import mtlib
    >>> mtlib.tensor([4.0]).sqrt()
    tensor([2.])
    """
    return Sqrt.apply(_tensor(a, "sqrt"))


def relu(a) -> Tensor:
    """max(a, 0).

    >>> import mtlib
    >>> mtlib.tensor([-1.0, 2.0]).relu()
    tensor([0., 2.])
    """
    return ReLU.apply(_tensor(a, "relu"))


def sigmoid(a) -> Tensor:
    """1 / (1 + e⁻ᵃ).

    >>> import mtlib
    >>> mtlib.tensor([0.0, 100.0]).sigmoid()
    tensor([0.5, 1. ])
    """
    return Sigmoid.apply(_tensor(a, "sigmoid"))


def tanh(a) -> Tensor:
    """The hyperbolic tangent.

    >>> import mtlib
    >>> mtlib.tensor([0.0, 1.0]).tanh()
    tensor([0.    , 0.7616])
    """
    return Tanh.apply(_tensor(a, "tanh"))


def gelu(a) -> Tensor:
    """The Gaussian error linear unit, a Φ(a), in its exact form.

    >>> import mtlib
    >>> mtlib.tensor([0.0, 1.0]).gelu()
    tensor([0.    , 0.8413])
    """
    return GELU.apply(_tensor(a, "gelu"))

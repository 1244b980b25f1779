"""Map: an operation on each element by itself, forward and backward."""

from __future__ import annotations

from mtlib.autograd import Function
from mtlib.kernels.functions import scalars, transcendental
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.strided import elementwise
from mtlib.kernels.strided.elementwise import map_kernel, zip_kernel
from mtlib.ops.elementwise import Map, Zip
from mtlib.ops.zips import where
from mtlib.tensor import Tensor, tensor_dtype


class Neg(Map):
    """-a.

    >>> import mtlib
    >>> -mtlib.tensor([1.0, -2.0])
    tensor([-1.,  2.])
    """

    name, kernel, symbol, takes = "neg", map_kernel(scalars.neg), "-", "both"

    @staticmethod
    def backward(ctx, d):
        return -d

    @classmethod
    def of_bools(cls, a):
        raise TypeError("neg: a bool tensor has no negative; ~ inverts it")


neg = Neg.operation()


class Not(Map):
    """~a for bools: whether it is not true.

    >>> import mtlib
    >>> ~(mtlib.arange(3) > 1)
    tensor([ True,  True, False])
    """

    name, kernel, symbol, takes = "logical_not", map_kernel(scalars.logical_not), "~", "bools"


logical_not = Not.operation()


class Exp(Map):
    """y = eᵃ, and so is dy/da.

    >>> import mtlib
    >>> mtlib.tensor([0.0, 1.0]).exp()
    tensor([1.    , 2.7183])
    """

    name, kernel, saves = "exp", map_kernel(transcendental.exp, costly=True), "result"

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return d * y


exp = Exp.operation()


class Log(Map):
    """The natural logarithm, y = ln a: -inf at 0, nan below.  dy/da = 1 / a.

    >>> import mtlib
    >>> mtlib.tensor([1.0, 0.0]).log()
    tensor([  0., -inf])
    """

    name, kernel, saves = "log", map_kernel(transcendental.log, costly=True), "operands"

    @staticmethod
    def backward(ctx, d):
        (a,) = ctx.saved_tensors
        return d / a


log = Log.operation()


class Sqrt(Map):
    """The square root, y = √a: nan below 0.  dy/da = 1 / 2y.

    >>> import mtlib
    >>> mtlib.tensor([4.0]).sqrt()
    tensor([2.])
    """

    name, kernel, saves = "sqrt", map_kernel(scalars.sqrt), "result"

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return d / (y * 2)


sqrt = Sqrt.operation()


class ReLU(Map):
    """y = max(a, 0); the slope at 0 is taken as 0.

    >>> import mtlib
    >>> mtlib.tensor([-1.0, 2.0]).relu()
    tensor([0., 2.])
    """

    name, kernel, saves = "relu", map_kernel(scalars.relu), "result"

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return where(y <= 0, 0, d)


relu = ReLU.operation()


class Sigmoid(Map):
    """y = 1 / (1 + e⁻ᵃ), dy/da = y (1 - y).

    >>> import mtlib
    >>> mtlib.tensor([0.0, 100.0]).sigmoid()
    tensor([0.5, 1. ])
    """

    name, kernel, saves = "sigmoid", map_kernel(transcendental.sigmoid, costly=True), "result"

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return SigmoidBackward.apply(d, y)


sigmoid = Sigmoid.operation()


class Tanh(Map):
    """The hyperbolic tangent, y = tanh a, dy/da = 1 - y².

    >>> import mtlib
    >>> mtlib.tensor([0.0, 1.0]).tanh()
    tensor([0.    , 0.7616])
    """

    name, kernel, saves = "tanh", map_kernel(transcendental.tanh, costly=True), "result"

    @staticmethod
    def backward(ctx, d):
        (y,) = ctx.saved_tensors
        return TanhBackward.apply(d, y)


tanh = Tanh.operation()


class GELU(Map):
    """The Gaussian error linear unit in its exact form, y = a Φ(a), Φ the normal distribution.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).

    >>> import mtlib
    >>> mtlib.tensor([0.0, 1.0]).gelu()
    tensor([0.    , 0.8413])
    """

    name, kernel, saves = "gelu", map_kernel(transcendental.gelu, costly=True), "operands"

    @staticmethod
    def backward(ctx, d):
        (a,) = ctx.saved_tensors
        return GELUBackward.apply(d, a)


gelu = GELU.operation()


# --- The gradient d of a result, times the slope there: one kernel where a product takes two ------


class SigmoidBackward(Zip):
    """d y (1 - y)"""

    name, kernel = "sigmoid_backward", zip_kernel(transcendental.sigmoid_backward)


class TanhBackward(Zip):
    """d (1 - y²)"""

    name, kernel = "tanh_backward", zip_kernel(transcendental.tanh_backward)


class GELUBackward(Zip):
    """d (Φ(a) + a φ(a)), φ the normal density"""

    name, kernel = "gelu_backward", zip_kernel(transcendental.gelu_backward, costly=True)


# --- To another dtype -----------------------------------------------------------------------------


class Cast(Function):
    """The same values as another dtype."""

    name, kind = "to", "map"

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


def to(a: Tensor, dtype) -> Tensor:
    """This tensor if it has ``dtype`` (float32, float64 or bool) already, else a copy that does.

    As bools, all but 0 is true.

    >>> import mtlib
    >>> mtlib.ones(2).to("float32")
    tensor([1., 1.], dtype=float32)
    """
    dtype = tensor_dtype(dtype, "to")
    return a if a.dtype == dtype else Cast.apply(a, dtype)

"""The one table of operations: how each is called, and what NumPy says that it gives.

:mod:`test_operations` holds it against what is public, so an operation that is missing here fails.
``names`` are the public names that an entry stands for.  ``call`` and ``reference`` take the same
arguments, tensors and arrays.  ``ulps`` is how far a result may be off, in units of the last place;
0 where IEEE 754 leaves no choice.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import mtlib
from mtlib.ops import maps, views, zips

erfc = np.vectorize(math.erfc, otypes=[np.float64])


def public_functions(module) -> dict[str, object]:
    """Functions that ``module``, a file or a folder, itself defines for others."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
        and not name.startswith("_")
    }


@dataclass(frozen=True)
class Operation:
    """An operation on elements: a map of one operand or a zip of several."""

    names: tuple[str, ...]
    call: Callable
    reference: Callable
    domains: tuple[str, ...] = ("any",)
    ulps: int = 0
    slopes: Callable | None = None  # the derivatives by hand, one for each operand

    @property
    def id(self) -> str:
        return self.names[0]


def _gelu(a):
    return a * erfc(-a * 0.5**0.5) / 2


def _gelu_slope(a):
    return erfc(-a * 0.5**0.5) / 2 + a * np.exp(-a * a / 2) / (2 * math.pi) ** 0.5


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


# A library's exp, log and tanh are good to a few units in the last place, and NumPy has its own.
MAPS = [
    Operation(("neg", "Tensor.__neg__"), maps.neg, np.negative, slopes=lambda a: -np.ones_like(a)),
    Operation(("exp",), mtlib.exp, np.exp, ulps=4, slopes=np.exp),
    Operation(("log",), mtlib.log, np.log, ("positive",), 4, slopes=lambda a: 1 / a),
    Operation(("sqrt",), mtlib.sqrt, np.sqrt, ("positive",), slopes=lambda a: 0.5 / np.sqrt(a)),
    Operation(
        ("relu",), mtlib.relu, lambda a: np.maximum(a, 0), ("nonzero",), slopes=lambda a: a > 0
    ),
    Operation(
        ("sigmoid",), mtlib.sigmoid, _sigmoid, ulps=8, slopes=lambda a: _sigmoid(a) * _sigmoid(-a)
    ),
    Operation(("tanh",), mtlib.tanh, np.tanh, ulps=8, slopes=lambda a: np.cosh(a) ** -2.0),
    Operation(("gelu",), mtlib.gelu, _gelu, ulps=16, slopes=_gelu_slope),
]


def _zip(names, call, reference, domains=("any", "any"), ulps=0, slopes=None) -> Operation:
    return Operation(names, call, reference, domains, ulps, slopes)


ZIPS = [
    _zip(
        ("add", "Tensor.__add__", "Tensor.__radd__"),
        operator.add,
        np.add,
        slopes=lambda a, b: (1, 1),
    ),
    _zip(
        ("sub", "Tensor.__sub__", "Tensor.__rsub__"),
        operator.sub,
        np.subtract,
        slopes=lambda a, b: (1, -1),
    ),
    _zip(
        ("mul", "Tensor.__mul__", "Tensor.__rmul__"),
        operator.mul,
        np.multiply,
        slopes=lambda a, b: (b, a),
    ),
    _zip(
        ("div", "Tensor.__truediv__", "Tensor.__rtruediv__"),
        operator.truediv,
        np.divide,
        ("any", "nonzero"),
        slopes=lambda a, b: (1 / b, -a / b**2),
    ),
    _zip(
        ("pow", "Tensor.__pow__", "Tensor.__rpow__"),
        operator.pow,
        np.power,
        ("positive", "any"),
        8,
        slopes=lambda a, b: (b * a ** (b - 1), a**b * np.log(a)),
    ),
    _zip(
        ("maximum",),
        mtlib.maximum,
        np.maximum,
        ("any", "any"),
        slopes=lambda a, b: (a > b, b > a),
    ),
    _zip(
        ("minimum",),
        mtlib.minimum,
        np.minimum,
        ("any", "any"),
        slopes=lambda a, b: (a < b, b < a),
    ),
]

WHERE = Operation(
    ("where",), mtlib.where, lambda c, a, b: np.where(c != 0, a, b), ("tied", "any", "any")
)

COMPARISONS = [
    Operation(
        (f"Tensor.__{name}__", "compare"),
        getattr(operator, name),
        getattr(operator, name),
        ("tied", "tied"),
    )
    for name in ("eq", "ne", "lt", "le", "gt", "ge")
]

# Of bools; tested in test_bools.
LOGIC = [
    Operation(("logical_not", "Tensor.__invert__"), operator.invert, np.logical_not),
    *(
        Operation(
            (f"logical_{name}", f"Tensor.__{name}__", f"Tensor.__r{name}__"),
            getattr(operator, f"{name}_" if name != "xor" else name),
            getattr(np, f"logical_{name}"),
            ("any", "any"),
        )
        for name in ("and", "or", "xor")
    ),
]


@dataclass(frozen=True)
class Reduction:
    """A fold of some dimensions; ``call(a, dim=, keepdim=)`` and NumPy's with ``axis=``."""

    names: tuple[str, ...]
    call: Callable
    reference: Callable
    domain: str = "any"  # where the gradient is checked
    exact: bool = False
    degree: int = 1  # how the result grows with the elements
    of_nothing: bool = True  # whether nothing can be folded

    @property
    def id(self) -> str:
        return "-".join(self.names)


def _fold(how: str):
    return partial(_reduce, how)


def _reduce(how, a, dim=None, keepdim=False):
    return mtlib.reduce(a, how, dim, keepdim)


REDUCTIONS = [
    Reduction(("sum",), mtlib.Tensor.sum, np.sum),
    Reduction(("reduce", "add"), _fold("add"), np.sum),
    Reduction(("mean",), mtlib.Tensor.mean, np.mean),
    Reduction(("prod",), mtlib.Tensor.prod, np.prod, "nonzero", degree=0),
    Reduction(("reduce", "mul"), _fold("mul"), np.prod, "nonzero", degree=0),
    Reduction(("max",), mtlib.Tensor.max, np.max, "distinct", exact=True, of_nothing=False),
    Reduction(("reduce", "max"), _fold("max"), np.max, "distinct", exact=True, of_nothing=False),
    Reduction(("min",), mtlib.Tensor.min, np.min, "distinct", exact=True, of_nothing=False),
    Reduction(("reduce", "min"), _fold("min"), np.min, "distinct", exact=True, of_nothing=False),
    Reduction(("var",), mtlib.Tensor.var, partial(np.var, ddof=1), degree=2),
    Reduction(("var", "correction"), partial(mtlib.Tensor.var, correction=0), np.var, degree=2),
]


@dataclass(frozen=True)
class View:
    """An operation on layouts; ``arguments`` is the strategy in :mod:`test_views` that draws."""

    names: tuple[str, ...]
    call: Callable
    reference: Callable

    @property
    def id(self) -> str:
        return self.names[0]


def _reshape(a, *shape):
    return a.reshape(*shape or [()])


VIEWS = [
    View(("view",), mtlib.Tensor.view, _reshape),
    View(("reshape",), mtlib.Tensor.reshape, _reshape),
    View(("permute",), mtlib.Tensor.permute, lambda a, *dims: a.transpose(*dims)),
    View(("transpose",), mtlib.Tensor.transpose, np.swapaxes),
    View(("Tensor.T", "reversed_dims"), lambda t: t.T, lambda a: a.T),
    View(("squeeze",), mtlib.Tensor.squeeze, lambda a, *dim: a.squeeze(*dim)),
    View(("unsqueeze",), mtlib.Tensor.unsqueeze, np.expand_dims),
    View(("expand",), mtlib.Tensor.expand, lambda a, *shape: np.broadcast_to(a, shape)),
    View(("broadcast_to",), mtlib.Tensor.broadcast_to, lambda a, *shape: np.broadcast_to(a, shape)),
    View(("Tensor.__getitem__", "index"), operator.getitem, operator.getitem),
    View(("contiguous",), mtlib.Tensor.contiguous, np.ascontiguousarray),
]


# Not operations on elements; each is tested in the module that is named, by that name.
ELSEWHERE = {
    "Function": "test_functions",
    "Tensor": "test_tensor",
    "arange": "test_make",
    "from_numpy": "test_make",
    "full": "test_make",
    "fuse": "test_fusion",
    "fused": "test_composites",
    "gradcheck": "test_gradcheck",
    "methods": "test_operations",
    "naive": "test_composites",
    "no_grad": "test_autograd",
    "ones": "test_make",
    "rand": "test_make",
    "randn": "test_make",
    "tensor": "test_make",
    "trace": "test_trace",
    "zeros": "test_make",
    "to": "test_maps",
    "add_": "test_inplace",
    "sub_": "test_inplace",
    "mul_": "test_inplace",
    "div_": "test_inplace",
    "pow_": "test_inplace",
    "logical_and_": "test_bools",
    "logical_or_": "test_bools",
    "logical_xor_": "test_bools",
    "copy_": "test_inplace",
    "fill_": "test_inplace",
    "zero_": "test_inplace",
    "setitem": "test_inplace",
    "Tensor.__iadd__": "test_inplace",
    "Tensor.__isub__": "test_inplace",
    "Tensor.__imul__": "test_inplace",
    "Tensor.__itruediv__": "test_inplace",
    "Tensor.__ipow__": "test_inplace",
    "Tensor.__iand__": "test_bools",
    "Tensor.__ior__": "test_bools",
    "Tensor.__ixor__": "test_bools",
    "Tensor.__array_wrap__": "test_numpy",
    "Tensor.__array_function__": "test_numpy",
    "Tensor.__init__": "test_tensor",
    "Tensor.empty": "test_tensor",
    "Tensor.shape": "test_tensor",
    "Tensor.strides": "test_tensor",
    "Tensor.dtype": "test_tensor",
    "Tensor.ndim": "test_tensor",
    "Tensor.size": "test_tensor",
    "Tensor.nbytes": "test_tensor",
    "Tensor.layout": "test_tensor",
    "Tensor.storage": "test_tensor",
    "Tensor.numpy": "test_tensor",
    "Tensor.item": "test_tensor",
    "Tensor.tolist": "test_tensor",
    "Tensor.is_contiguous": "test_layout",
    "Tensor.is_shared": "test_tensor",
    "Tensor.owned": "test_tensor",
    "Tensor.detach": "test_autograd",
    "Tensor.backward": "test_autograd",
    "Tensor.grad": "test_autograd",
    "Tensor.grad_fn": "test_autograd",
    "Tensor.is_leaf": "test_autograd",
    "Tensor.requires_grad": "test_autograd",
    "Tensor.__array__": "test_tensor",
    "Tensor.__array_priority__": "test_tensor",
    "Tensor.__bool__": "test_tensor",
    "Tensor.__float__": "test_tensor",
    "Tensor.__format__": "test_tensor",
    "Tensor.__int__": "test_tensor",
    "Tensor.__iter__": "test_tensor",
    "Tensor.__len__": "test_tensor",
    "Tensor.__matmul__": "test_matmul",
    "Tensor.__rmatmul__": "test_matmul",
    "Tensor.__reduce__": "test_tensor",
    "Tensor.__repr__": "test_tensor",
}

# Where a bare name of the table is found.
PLACES = (mtlib.Tensor, mtlib, maps, zips, views, mtlib.fused)

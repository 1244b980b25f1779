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
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

import mtlib
from mtlib.methods import BINARY, UNARY
from mtlib.ops import inplace, maps, views, zips
from mtlib.ops.elementwise import OPERATIONS

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

    function: type[mtlib.Function]
    names: tuple[str, ...]
    call: Callable
    reference: Callable
    domains: tuple[str, ...]
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


def _row(function, reference, domains=None, ulps=0, slopes=None) -> Operation:
    """The entry of a Function, whose names and call follow from it as they do in mtlib."""
    count = 1 if function.kind == "map" else 2
    words = (UNARY if count == 1 else BINARY).get(function.symbol)
    names = [function.name]
    if function.symbol:
        names += [f"Tensor.__{words}__"] + [f"Tensor.__r{words}__"] * (count == 2)
    # Of numbers alone Python's own - would be called.
    by_symbol = function.symbol and function is not maps.Neg
    call = getattr(operator, f"__{words}__") if by_symbol else OPERATIONS[function]
    return Operation(
        function, tuple(names), call, reference, domains or ("any",) * count, ulps, slopes
    )


# A library's exp, log and tanh are good to a few units in the last place, and NumPy has its own.
MAPS = [
    _row(maps.Neg, np.negative, slopes=lambda a: -np.ones_like(a)),
    _row(maps.Exp, np.exp, ulps=4, slopes=np.exp),
    _row(maps.Log, np.log, ("positive",), 4, slopes=lambda a: 1 / a),
    _row(maps.Sqrt, np.sqrt, ("positive",), slopes=lambda a: 0.5 / np.sqrt(a)),
    _row(maps.ReLU, lambda a: np.maximum(a, 0), ("nonzero",), slopes=lambda a: a > 0),
    _row(maps.Sigmoid, _sigmoid, ulps=8, slopes=lambda a: _sigmoid(a) * _sigmoid(-a)),
    _row(maps.Tanh, np.tanh, ulps=8, slopes=lambda a: np.cosh(a) ** -2.0),
    _row(maps.GELU, _gelu, ulps=16, slopes=_gelu_slope),
]


def _pow_slopes(a, b):
    return b * a ** (b - 1), a**b * np.log(a)


ZIPS = [
    _row(zips.Add, np.add, slopes=lambda a, b: (1, 1)),
    _row(zips.Sub, np.subtract, slopes=lambda a, b: (1, -1)),
    _row(zips.Mul, np.multiply, slopes=lambda a, b: (b, a)),
    _row(zips.Div, np.divide, ("any", "nonzero"), slopes=lambda a, b: (1 / b, -a / b**2)),
    _row(zips.Pow, np.power, ("positive", "any"), 8, _pow_slopes),
    _row(zips.Maximum, np.maximum, slopes=lambda a, b: (a > b, b > a)),
    _row(zips.Minimum, np.minimum, slopes=lambda a, b: (a < b, b < a)),
]

# Of bools; tested in test_bools.
LOGIC = [
    _row(maps.Not, np.logical_not),
    _row(zips.And, np.logical_and),
    _row(zips.Or, np.logical_or),
    _row(zips.Xor, np.logical_xor),
]

WHERE = Operation(
    zips.Where,
    ("where",),
    mtlib.where,
    lambda c, a, b: np.where(c != 0, a, b),
    ("tied", "any", "any"),
)

COMPARISONS = [
    Operation(
        zips.Compare,
        (f"Tensor.__{name}__", "compare"),
        getattr(operator, name),
        getattr(operator, name),
        ("tied", "tied"),
    )
    for name in zips.COMPARISONS
]


def _in_place(twin) -> Operation:
    """The entry of a Function in place: what it does to an array, and what it may be done to."""
    (row,) = (row for row in (*ZIPS, *LOGIC) if issubclass(twin, row.function))
    word = f"__i{BINARY[twin.symbol]}__"
    return replace(
        row, function=twin, names=(twin.name, f"Tensor.{word}"), call=getattr(operator, word)
    )


IN_PLACE = [_in_place(f) for f in OPERATIONS if issubclass(f, inplace.InPlace) and f.symbol]


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
    "copy_": "test_inplace",
    "fill_": "test_inplace",
    "zero_": "test_inplace",
    "setitem": "test_inplace",
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

"""The operations that fuse can take apart: how each is written in a loop, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mtlib import layout as layouts
from mtlib.kernels.functions import folds, powers, scalars, transcendental
from mtlib.layout import Layout
from mtlib.ops import maps, reductions, views, zips

COSTLY = 4  # what a function costs that is not mere arithmetic, in loads


@dataclass(frozen=True)
class Written:
    """How a map or a zip is written: a template for its operands, and how tightly it binds.

    A higher ``binding`` binds tighter, as in Python.  ``wide`` functions can give float64 where
    they are given float32.  ``by`` is the template for a number as last operand, if there is one.
    """

    template: str
    binding: int = 9
    cost: int = 0
    wide: bool = False
    by: str = ""


def _call(name: str, operands: int, cost: int = 0, wide: bool = False) -> Written:
    places = ", ".join(f"{{{i}}}" for i in range(operands))
    return Written(f"{name}({places})", 9, cost, wide)


WRITTEN = {
    "to": Written("{0}"),
    "contiguous": Written("{0}"),
    "copy": Written("{0}"),
    "neg": Written("-{0}", 7),
    "exp": _call("exp", 1, COSTLY),
    "log": _call("log", 1, COSTLY),
    "sqrt": _call("sqrt", 1),
    "relu": _call("relu", 1, wide=True),
    "sigmoid": _call("sigmoid", 1, COSTLY),
    "tanh": _call("tanh", 1, COSTLY),
    "gelu": _call("gelu", 1, COSTLY),
    "tanh_backward": _call("tanh_backward", 2),
    "sigmoid_backward": _call("sigmoid_backward", 2),
    "gelu_backward": _call("gelu_backward", 2, COSTLY),
    "add": Written("{0} + {1}", 5),
    "sub": Written("{0} - {1}", 5),
    "mul": Written("{0} * {1}", 6),
    "div": Written("{0} / {1}", 6),
    "pow": Written("pow({0}, {1})", cost=COSTLY, by="pow_by({0}, {1})"),
    "pow_slope": Written("pow_slope({0}, {1})", cost=COSTLY, by="pow_slope_by({0}, {1})"),
    "maximum": _call("maximum", 2),
    "minimum": _call("minimum", 2),
    "where": _call("where", 3),
    "logical_not": _call("logical_not", 1),
    **{name: _call(name, 2) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: _call(name, 2) for name in ("logical_and", "logical_or", "logical_xor")},
}

# What a reduction starts from, and the function that it folds with.
FOLDS = {"sum": ("0", "add"), "reduce": ("0", "add"), "prod": ("1", "mul")} | {
    "max": ("-inf", "maximum"),
    "min": ("inf", "minimum"),
}

# The Functions that are read by what they are called; a comparison says itself which it is.
PRIMITIVES = (
    *(maps.Cast, maps.Neg, maps.Exp, maps.Log, maps.Sqrt, maps.ReLU, maps.Sigmoid, maps.Tanh),
    *(maps.GELU, maps.TanhBackward, maps.SigmoidBackward, maps.GELUBackward, maps.Not),
    *(views.Contiguous, views.Scatter),
    *(zips.Add, zips.Sub, zips.Mul, zips.Div, zips.Pow, zips.PowSlope, zips.Maximum, zips.Minimum),
    *(zips.Where, zips.Compare, zips.And, zips.Or, zips.Xor),
    *(reductions.Sum, reductions.ReduceAdd, reductions.Prod, reductions.Max, reductions.Min),
    *(views.View, views.Permute, views.Expand, views.Index),
)

VIEWS: dict[str, Callable[[Layout, object], Layout | None]] = {
    "view": layouts.view,
    "permute": layouts.permute,
    "expand": layouts.expand,
    "index": layouts.index,
}


# What a kernel or an argument of one cannot be called without hiding what kernels use.
RESERVED = frozenset({"range", "part", "parts", "__builtins__", "__debug__"})


def namespace(each) -> dict[str, object]:
    """What the source of a kernel can name; ``each`` is the loop that threads share."""
    plain = ("sqrt", "relu", "maximum", "minimum", "where")
    costly = ("exp", "log", "sigmoid", "tanh", "gelu")
    backward = ("tanh_backward", "sigmoid_backward", "gelu_backward")
    exponents = ("pow", "pow_slope", "pow_by", "pow_slope_by")
    compared = ("eq", "ne", "lt", "le", "gt", "ge")
    logical = ("logical_not", "logical_and", "logical_or", "logical_xor")
    return {
        **{name: getattr(scalars, name) for name in (*plain, *compared, *logical)},
        **{name: getattr(transcendental, name) for name in (*costly, *backward)},
        **{name: getattr(powers, name) for name in exponents},
        **{f"fold_{name}": getattr(folds, name) for name in ("add", "mul", "maximum", "minimum")},
        **{name: getattr(folds, name) for name in ("share", "blocks", "block", "add_block")},
        "zeros": np.zeros,
        "float32": np.float32,
        "float64": np.float64,
        "bool": bool,
        "inf": np.inf,
        "nan": np.nan,
        "each": each,
    }

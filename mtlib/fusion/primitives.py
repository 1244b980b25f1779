"""The operations that fuse can take apart: how each is written in a loop, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mtlib import layout as layouts
from mtlib.autograd import Function
from mtlib.kernels.functions import folds
from mtlib.layout import Layout
from mtlib.ops import maps, reductions, views, zips
from mtlib.ops.elementwise import Elementwise

COSTLY = 4  # what a function costs that is not mere arithmetic, in loads
WIDE = {"relu"}  # of float32 these give float64, as Numba compiles them
BINDING = {"+": 5, "-": 5, "*": 6, "/": 6}  # what is written with its symbol, not as a call


def _functions(*modules: ModuleType) -> list[type[Function]]:
    """The Functions that ``modules`` define, but for those that others are made of."""
    values = [x for module in modules for x in vars(module).values() if isinstance(x, type)]
    found = dict.fromkeys(x for x in values if issubclass(x, Function))
    return [x for x in found if found.keys().isdisjoint(x.__subclasses__())]


# The Functions that are read by what they are called; a comparison says itself which it is.
PRIMITIVES = tuple(_functions(maps, zips, reductions, views))
OF_ELEMENTS = [f for f in PRIMITIVES if issubclass(f, Elementwise) and f is not zips.Compare]
KERNELS = {f.name: f.kernel for f in OF_ELEMENTS} | zips.COMPARISONS
INFIX = {f.name: f.symbol for f in OF_ELEMENTS if f.symbol in BINDING}


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


def _written(name: str) -> Written:
    kernel, symbol = KERNELS[name], INFIX.get(name)
    places = [f"{{{i}}}" for i in range(kernel.scalar.__code__.co_argcount)]
    if symbol and len(places) == 1:
        return Written(f"{symbol}{{0}}", 7)
    if symbol:
        return Written(f"{{0}} {symbol} {{1}}", BINDING[symbol])
    call, cost = f"({', '.join(places)})", COSTLY if kernel.costly else 0
    by = f"{name}_by{call}" if hasattr(kernel, "by") else ""
    return Written(f"{name}{call}", cost=cost, wide=name in WIDE, by=by)


WRITTEN = {name: Written("{0}") for name in ("to", "contiguous", "copy")}
WRITTEN |= {name: _written(name) for name in KERNELS}

# What those that are written as calls call.
CALLED = {name: kernel.scalar for name, kernel in KERNELS.items() if name not in INFIX}
CALLED |= {f"{name}_by": kernel.by for name, kernel in KERNELS.items() if hasattr(kernel, "by")}

# What a reduction starts from, and the function that it folds with.
FOLDS = {"sum": ("0", "add"), "reduce": ("0", "add"), "prod": ("1", "mul")} | {
    "max": ("-inf", "maximum"),
    "min": ("inf", "minimum"),
}

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
    return {
        **CALLED,
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

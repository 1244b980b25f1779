"""Cases: every map, zip and reduction, over 4 million elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import mtlib
from benchmarks.kinds import Comparison
from benchmarks.peers import with_numexpr, with_torch
from benchmarks.products import operand

ROWS, COLUMNS = 4096, 1024
FEW = 1e-5  # of the largest element: some tens of roundings in float32


def _numpy_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _numpy_gelu(x):
    """With the error function after Abramowitz and Stegun, 7.1.26: NumPy has none."""
    size = np.abs(x) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = np.float32(0)
    for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(c)) * t
    below = series * np.exp(-size * size) / 2
    return x * np.where(x > 0, 1 - below, below)


@dataclass(frozen=True)
class Elementwise:
    """An operation as mtlib and NumPy write it, and as the others do.

    PyTorch, asked as ``in_torch(torch, *operands)``, writes it as mtlib does if that is not given;
    numexpr is left out without a ``text``.  ``positive`` operands are above 0.
    """

    in_mtlib: Callable
    in_numpy: Callable
    text: str = ""
    in_torch: Callable | None = None
    positive: bool = False

    def of(self, *arrays: np.ndarray) -> dict:
        """The contenders on these operands."""
        if self.positive:
            arrays = (np.abs(arrays[0]) + np.float32(0.01), *arrays[1:])
        tensors = [mtlib.from_numpy(a) for a in arrays]

        def in_torch(torch):
            call = partial(self.in_torch, torch) if self.in_torch else self.in_mtlib
            return partial(call, *(_torch_view(torch, a) for a in arrays))

        named = dict(zip("xy", arrays, strict=False))
        return {
            "mtlib": partial(self.in_mtlib, *tensors),
            "NumPy": partial(self.in_numpy, *arrays),
            **with_torch(in_torch),
            **(with_numexpr(self.text, **named) if self.text else {}),
        }


def _power(y: float) -> Elementwise:
    return Elementwise(lambda x: x**y, lambda x: x**y, f"x ** {y}", positive=True)


# In every layout.
MAPS = {
    "exp": Elementwise(lambda x: x.exp(), np.exp, "exp(x)"),
    "tanh": Elementwise(lambda x: x.tanh(), np.tanh, "tanh(x)"),
    "sigmoid": Elementwise(lambda x: x.sigmoid(), _numpy_sigmoid, "1 / (1 + exp(-x))"),
    "relu": Elementwise(lambda x: x.relu(), lambda x: np.maximum(x, 0), "where(x > 0, x, 0)"),
    "neg": Elementwise(lambda x: -x, np.negative, "-x"),
}
ZIPS = {
    "add": Elementwise(lambda x, y: x + y, np.add, "x + y"),
    "mul": Elementwise(lambda x, y: x * y, np.multiply, "x * y"),
}
# Contiguous only.
OTHER_MAPS = {
    "gelu": Elementwise(
        lambda x: x.gelu(), _numpy_gelu, in_torch=lambda torch, x: torch.nn.functional.gelu(x)
    ),
    "log": Elementwise(lambda x: x.log(), np.log, "log(x)", positive=True),
    "sqrt": Elementwise(lambda x: x.sqrt(), np.sqrt, "sqrt(x)", positive=True),
    **{f"x ** {y}": _power(y) for y in (2, 3, -1, 0.5, 2.5)},
    "to float64": Elementwise(
        lambda x: x.to("float64"),
        lambda x: x.astype(np.float64),
        in_torch=lambda torch, x: x.double(),
    ),
}
OTHER_ZIPS = {
    "sub": Elementwise(lambda x, y: x - y, np.subtract, "x - y"),
    "div": Elementwise(lambda x, y: x / y, np.divide, "x / y"),
    "pow": Elementwise(lambda x, y: x**y, np.power, "x ** y", positive=True),
    "maximum": Elementwise(
        mtlib.maximum, np.maximum, "where(x > y, x, y)", lambda torch, x, y: torch.maximum(x, y)
    ),
    "minimum": Elementwise(
        mtlib.minimum, np.minimum, "where(x < y, x, y)", lambda torch, x, y: torch.minimum(x, y)
    ),
    "greater": Elementwise(lambda x, y: x > y, np.greater, "x > y"),
    "where": Elementwise(
        lambda x, y: mtlib.where(x > 0, x, y),
        lambda x, y: np.where(x > 0, x, y),
        "where(x > 0, x, y)",
        lambda torch, x, y: torch.where(x > 0, x, y),
    ),
}
# A copy of what lies otherwise.
COPY = Elementwise(lambda x: x.contiguous(), np.ascontiguousarray)


# How an operand of (ROWS, COLUMNS) lies in memory.
LAYOUTS = {
    "contiguous": lambda: operand(ROWS, COLUMNS, dtype="float32", seed=1),
    "transposed": lambda: operand(COLUMNS, ROWS, dtype="float32", seed=1).T,
    "one row": lambda: np.broadcast_to(operand(COLUMNS, dtype="float32", seed=1), (ROWS, COLUMNS)),
    "one column": lambda: np.broadcast_to(
        operand(ROWS, 1, dtype="float32", seed=1), (ROWS, COLUMNS)
    ),
}


def maps() -> list[Comparison]:
    cases = [(name, lies) for name in MAPS for lies in ("contiguous", "transposed", "one row")]
    cases += [(name, "contiguous") for name in OTHER_MAPS]
    named = {**MAPS, **OTHER_MAPS, "copy": COPY}
    quick = ("exp", "neg", "gelu", "x ** 2", "copy")
    return [
        Comparison(f"{name}, {lies}", partial(_map, named[name], lies), FEW, quick=name in quick)
        for name, lies in [*cases, ("copy", "transposed")]
    ]


def _map(each: Elementwise, lies: str):
    return each.of(LAYOUTS[lies]())


def zips() -> list[Comparison]:
    cases = [(name, lies) for name in ZIPS for lies in LAYOUTS]
    cases += [(name, "contiguous") for name in OTHER_ZIPS]
    named = {**ZIPS, **OTHER_ZIPS}
    return [
        Comparison(f"{name}, {lies}", partial(_zip, named[name], lies), FEW, quick=name == "add")
        for name, lies in cases
    ]


def _zip(each: Elementwise, lies: str):
    return each.of(operand(ROWS, COLUMNS, dtype="float32", seed=0), LAYOUTS[lies]())


def _torch_view(torch, a: np.ndarray):
    """``a`` as a PyTorch tensor of the same strides; of a stretched array, which is read-only."""
    owner = a
    while owner.base is not None:
        owner = owner.base
    steps = [stride // a.itemsize for stride in a.strides]
    return torch.from_numpy(owner.reshape(-1)).as_strided(a.shape, steps)


# By name: in mtlib, in NumPy, in PyTorch, and how numexpr calls it.
REDUCTIONS = {
    "sum": ("sum", np.sum, "sum", "sum"),
    "mean": ("mean", np.mean, "mean", ""),
    "max": ("max", np.max, "amax", "max"),
    "min": ("min", np.min, "amin", "min"),
    "prod": ("prod", np.prod, "prod", "prod"),
    "var": ("var", partial(np.var, ddof=1), "var", ""),
}


def reductions() -> list[Comparison]:
    return [
        Comparison(f"{name} over {word}", partial(_reduction, name, dim), FEW, quick=name == "sum")
        for name in REDUCTIONS
        for word, dim in (("the first dim", 0), ("the last dim", 1), ("all dims", None))
    ]


def _reduction(name: str, dim: int | None):
    here, in_numpy, there, text = REDUCTIONS[name]
    a = np.random.default_rng(0).random((ROWS, COLUMNS), np.float32)
    if name == "prod":  # of a few factors 2 and 1/2 and many 1, so that it is exact, and not 0
        a = np.where(a < 1e-4, 2, np.where(a > 1 - 1e-4, 0.5, 1)).astype(np.float32)
    x = mtlib.from_numpy(a)
    over = "" if dim is None else f", axis={dim}"

    def in_torch(torch):
        t = torch.from_numpy(a)
        which = () if dim is None else (dim,)
        return partial(getattr(t, there), *which)

    return {
        "mtlib": partial(getattr(x, here), dim),
        "NumPy": partial(in_numpy, a, dim),
        **with_torch(in_torch),
        **(with_numexpr(f"{text}(x{over})", x=a) if text else {}),
    }

"""Cases: map, zip and sum over 4 million elements."""

from __future__ import annotations

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


# By name: in mtlib and in PyTorch (the same), in NumPy, in numexpr.
MAPS = {
    "exp": (lambda x: x.exp(), np.exp, "exp(x)"),
    "tanh": (lambda x: x.tanh(), np.tanh, "tanh(x)"),
    "sigmoid": (lambda x: x.sigmoid(), _numpy_sigmoid, "1 / (1 + exp(-x))"),
    "relu": (lambda x: x.relu(), lambda x: np.maximum(x, 0), "where(x > 0, x, 0)"),
    "neg": (lambda x: -x, np.negative, "-x"),
}
ZIPS = {
    "add": (lambda x, y: x + y, np.add, "x + y"),
    "mul": (lambda x, y: x * y, np.multiply, "x * y"),
}


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
    return [
        Comparison(f"{name}, {lies}", partial(_map, name, lies), FEW, quick=name in ("exp", "neg"))
        for name in MAPS
        for lies in ("contiguous", "transposed", "one row")
    ]


def _map(name: str, lies: str):
    call, in_numpy, text = MAPS[name]
    a = LAYOUTS[lies]()
    x = mtlib.from_numpy(a)
    return {
        "mtlib": lambda: call(x),
        "NumPy": lambda: in_numpy(a),
        **with_torch(lambda torch: partial(call, _torch_view(torch, a))),
        **with_numexpr(text, x=a),
    }


def zips() -> list[Comparison]:
    return [
        Comparison(f"{name}, {lies}", partial(_zip, name, lies), FEW, quick=name == "add")
        for name in ZIPS
        for lies in LAYOUTS
    ]


def _zip(name: str, lies: str):
    call, in_numpy, text = ZIPS[name]
    a, b = operand(ROWS, COLUMNS, dtype="float32", seed=0), LAYOUTS[lies]()
    x, y = mtlib.from_numpy(a), mtlib.from_numpy(b)
    return {
        "mtlib": lambda: call(x, y),
        "NumPy": lambda: in_numpy(a, b),
        **with_torch(lambda torch: partial(call, *(_torch_view(torch, m) for m in (a, b)))),
        **with_numexpr(text, x=a, y=b),
    }


def _torch_view(torch, a: np.ndarray):
    """``a`` as a PyTorch tensor of the same strides; of a stretched array, which is read-only."""
    owner = a
    while owner.base is not None:
        owner = owner.base
    steps = [stride // a.itemsize for stride in a.strides]
    return torch.from_numpy(owner.reshape(-1)).as_strided(a.shape, steps)


def sums() -> list[Comparison]:
    return [
        Comparison(f"over {word}", partial(_sum, dim), FEW, quick=True)
        for word, dim in (("the first dim", 0), ("the last dim", 1), ("all dims", None))
    ]


def _sum(dim: int | None):
    a = np.random.default_rng(0).random((ROWS, COLUMNS), np.float32)
    x = mtlib.from_numpy(a)
    over = "sum(x)" if dim is None else f"sum(x, axis={dim})"
    return {
        "mtlib": lambda: x.sum(dim),
        "NumPy": lambda: a.sum(dim),
        **with_torch(lambda torch: partial(torch.sum, torch.from_numpy(a), dim)),
        **with_numexpr(over, x=a),
    }

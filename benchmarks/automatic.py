"""Cases: what fuse makes of a program, against the same program step by step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import mtlib
from benchmarks.kinds import Comparison
from benchmarks.products import tolerance

SHAPE = (4096, 1024)
SIDE = 256


def _normalised(x):
    off = x - x.mean(-1, keepdim=True)
    return off / ((off * off).mean(-1, keepdim=True) + 1e-5).sqrt()


# By name: the program, and by hand in mtlib.fused if it is there.
PROGRAMS: dict[str, tuple[Callable, Callable | None]] = {
    "x · sigmoid(x) + y": (lambda x, y: x * x.sigmoid() + y, None),
    "mean squared error": (lambda x, y: ((x - y) * (x - y)).mean(), None),
    "softmax": (
        lambda x, y: mtlib.naive.softmax(x, -1),
        lambda x, y: mtlib.fused.softmax(x, -1),
    ),
    "normalised rows": (
        lambda x, y: _normalised(x),
        lambda x, y: mtlib.fused.layer_norm(x, SHAPE[1:]),
    ),
}


def automatic() -> list[Comparison]:
    """Each program forward, and forward and backward, in float32; and zip + reduce, in float64."""
    cases = []
    for name, (program, by_hand) in PROGRAMS.items():
        for word, run in (("", _forward), (", and backward", _step)):
            build = partial(_build, program, by_hand, run, SHAPE, SHAPE, "float32")
            cases.append(Comparison(f"{name}{word}", build, 1e-4, quick=not word))
    product = mtlib.naive.matmul, mtlib.fused.matmul
    for word, run in (("", _forward), (", and backward", _step)):
        build = partial(_build, *product, run, (SIDE, SIDE), (SIDE, SIDE), "float64")
        name = f"zip + reduce {SIDE}{word}"
        cases.append(Comparison(name, build, tolerance(SIDE, "float64"), quick=not word))
    return cases


def _build(program, by_hand, run, x_shape, y_shape, dtype: str):
    grad = run is _step
    x = mtlib.randn(*x_shape, dtype=dtype, seed=0, requires_grad=grad)
    y = mtlib.randn(*y_shape, dtype=dtype, seed=1, requires_grad=grad)
    d = mtlib.randn(*program(x, y).shape, dtype=dtype, seed=2)
    contenders = {"fuse": mtlib.fuse(program), "step by step": program}
    if by_hand is not None:
        contenders["by hand"] = by_hand
    return {name: partial(run, call, x, y, d) for name, call in contenders.items()}


def _forward(call, x, y, d):
    return call(x, y)


def _step(call, x, y, d):
    """The gradient of x for the gradient ``d``, which is not the same everywhere: then that of a
    softmax would be nothing but rounding errors."""
    x.grad = y.grad = None
    call(x, y).backward(d)
    return x.grad

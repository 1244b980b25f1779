"""Cases: what fusing saves, what starting costs, and what figures cost."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile

from mt_diagrams.cli.registry import FIGURES

import mtlib
from benchmarks.kinds import Comparison, Reading
from benchmarks.measure import Effort, Spread, seconds
from benchmarks.products import tolerance

N = 256
LARGE = 2048


# --- Naive over fused -----------------------------------------------------------------------------


def fusion() -> list[Comparison]:
    """The time of zip + reduce over that of one loop nest."""
    return [
        Comparison(
            f"matmul {N} {dtype}",
            lambda dtype=dtype: _both(dtype),
            tolerance(N, dtype),
            flops=2 * N**3,
            quick=dtype == "float64",
        )
        for dtype in ("float32", "float64")
    ]


def _operands(n: int, dtype: str, requires_grad: bool = False):
    return (mtlib.randn(n, n, dtype=dtype, seed=i, requires_grad=requires_grad) for i in (0, 1))


def _both(dtype: str):
    x, y = _operands(N, dtype)
    return {
        "fused": lambda: mtlib.fused.matmul(x, y),
        "naive": lambda: mtlib.naive.matmul(x, y),
    }


def memory() -> list[Reading]:
    """Bytes, counted by the ledger."""
    return [
        Reading(
            f"naive over fused: peak of matmul {N}",
            lambda _: _peak(mtlib.naive, False) / _peak(mtlib.fused, False),
            "times",
            quick=True,
            at_least=N,
        ),
        Reading(
            f"naive over fused: peak of a training step of matmul {N}",
            lambda _: _peak(mtlib.naive, True) / _peak(mtlib.fused, True),
            "times",
            quick=True,
        ),
        *(
            Reading(
                f"workspace of @ beyond its output, {LARGE} {dtype}",
                lambda _, dtype=dtype: _workspace(dtype),
                "MB",
                quick=True,
                threads=None,
                at_most=8,
            )
            for dtype in ("float32", "float64")
        ),
    ]


def _peak(library, step: bool) -> int:
    x, y = _operands(N, "float64", requires_grad=step)
    with mtlib.trace() as t:
        product = library.matmul(x, y)
        if step:
            product.sum().backward()
    return t.peak_bytes


def _workspace(dtype: str) -> float:
    x, y = _operands(LARGE, dtype)
    with mtlib.trace() as t:
        product = x @ y
    return (t.peak_bytes - product.nbytes) / 1e6


# --- Starting -------------------------------------------------------------------------------------

FIRST = "import mtlib; a = mtlib.ones(64, 64); a @ a"
FIRST_NUMPY = "import numpy; a = numpy.ones((64, 64)); a @ a"


def startup() -> list[Reading]:
    """A process from start to end, and in it the first ``@``."""
    return [
        Reading(
            "mtlib, first run: kernels are compiled", lambda _: _first_run()[1], "s", quick=True
        ),
        Reading("mtlib, later runs: kernels are read from the cache", _warm, "s", quick=True),
        Reading("NumPy", lambda effort: _process(FIRST_NUMPY, {}, effort), "s", quick=True),
    ]


@functools.cache
def _first_run() -> tuple[tempfile.TemporaryDirectory, float]:
    """A cache that a first run has filled, and how long that took."""
    cache = tempfile.TemporaryDirectory()
    return cache, _once(FIRST, {"NUMBA_CACHE_DIR": cache.name})


def _warm(effort: Effort) -> float:
    cache, _ = _first_run()
    return _process(FIRST, {"NUMBA_CACHE_DIR": cache.name}, effort)


def _process(code: str, settings: dict[str, str], effort: Effort) -> float:
    return Spread.of(_once(code, settings) for _ in range(effort.least_rounds)).median


def _once(code: str, settings: dict[str, str]) -> float:
    command = [sys.executable, "-c", code]
    return seconds(lambda: subprocess.run(command, env=os.environ | settings, check=True))


# --- Figures --------------------------------------------------------------------------------------

# Figure, shapes, most milliseconds, most kilobytes.
FIGURE_LIMITS = (
    ("matmul-full", ((2, 4), (4, 3)), 30, 15),
    ("matrix", ((4096, 4096),), 50, 40),
    ("tensor", ((4096, 4096, 4096),), 50, 40),
    *(
        (name, ((1024, 1024), (1024, 1024)), 50, 40)
        for name in ("matmul-simple", "matmul-full", "matmul-backward", "loop-nest", "tiling")
    ),
)
GALLERY_SECONDS = 10


def figures() -> list[Reading]:
    """Drawing, from shapes to SVG."""
    readings = []
    for name, shapes, milliseconds, kilobytes in FIGURE_LIMITS:
        title = f"{name} {' '.join('×'.join(map(str, shape)) for shape in shapes)}"

        def draw(name=name, shapes=shapes) -> str:
            return FIGURES[name].build(*shapes).svg

        readings += [
            Reading(title, lambda effort, draw=draw: _drawing(draw, effort), "ms", True,
                    at_most=milliseconds),
            Reading(title, lambda _, draw=draw: len(draw().encode()) / 1e3, "kB", True,
                    at_most=kilobytes),
        ]  # fmt: skip
    return [*readings, Reading("the whole gallery", _gallery, "s", True, at_most=GALLERY_SECONDS)]


def _gallery(_) -> float:
    def draw():
        for entry in FIGURES.values():
            assert entry.build(*entry.example).svg

    return seconds(draw)


def _drawing(draw, effort: Effort) -> float:
    draw()
    return 1e3 * Spread.of(seconds(draw) for _ in range(effort.most_rounds)).median

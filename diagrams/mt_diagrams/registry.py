"""Every figure that can be asked for by name: what it is, what it takes, how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .backward import image_matmul_backward
from .broadcast_matmul import image_matmul_full
from .cubes import cube
from .elide import axis
from .figure import Figure
from .grids import grid
from .layout import captioned
from .live import matmul_traces
from .loops import image_loop_nest
from .matmul import ORIGIN, image_matmul_simple
from .memory import memory_timeline, traffic_bar
from .pairing import image_rows_meet_columns
from .shapes import Shape, check_sizes, elements, matmul_shape


@dataclass(frozen=True)
class Entry:
    """A figure: ``build`` takes as many shapes as ``example`` has, which is its default."""

    name: str
    summary: str
    arguments: str
    example: tuple[Shape, ...]
    build: Callable[..., Figure]


def _matrix(shape: Shape) -> Figure:
    rows, cols = _of_rank("matrix", shape, 2)
    down, across = axis(rows), axis(cols)
    lines = [str(shape), elements(shape)]
    return Figure(
        captioned(grid(down, across), lines, len(down) / 2 + 0.75),
        f"{shape}",
        f"A matrix of {rows} rows and {cols} columns: {elements(shape)}.",
    )


def _tensor(shape: Shape) -> Figure:
    depth, rows, cols = _of_rank("tensor", shape, 3)
    axes = [axis(size) for size in shape]
    deep, down, across = map(len, axes)
    middle = cube(*axes).translate((across - deep / 2) / 2, (deep / 2 - down) / 2)
    lines = [str(shape), elements(shape)]
    return Figure(
        captioned(middle, lines, (down + deep / 2) / 2 + 0.75),
        f"{shape}",
        f"A tensor of {depth} layers, {rows} rows and {cols} columns: {elements(shape)}.",
    )


def _of_rank(who: str, shape: Shape, rank: int) -> Shape:
    if len(shape) != rank:
        raise ValueError(f"{who}: {shape} has {len(shape)} dimensions, needs {rank}")
    check_sizes(who, shape)
    return shape


def _memory(a: Shape, b: Shape) -> Figure:
    matmul_shape("memory-timeline", a, b)
    return memory_timeline(*matmul_traces(a, b), names=("naive", "fused"))


def _traffic(a: Shape, b: Shape) -> Figure:
    matmul_shape("traffic-bar", a, b)
    return traffic_bar(*matmul_traces(a, b), names=("naive", "fused"))


_TWO = "--shape MxK --shape KxN"
_LIVE = ((32, 64), (64, 48))

FIGURES = {
    entry.name: entry
    for entry in (
        Entry("matrix", "a matrix, elided when large", "--shape RxC", ((2, 3),), _matrix),
        Entry("tensor", "a tensor of three dimensions", "--shape DxRxC", ((2, 4, 3),), _tensor),
        Entry(
            "rows-meet-columns",
            "which entries of two matrices are multiplied",
            _TWO,
            ORIGIN,
            image_rows_meet_columns,
        ),
        Entry(
            "matmul-simple",
            "the row and the column that make one entry of a product",
            _TWO,
            ORIGIN,
            image_matmul_simple,
        ),
        Entry(
            "matmul-full",
            "a product as broadcast, zip and reduce, its intermediate in full view",
            _TWO,
            ORIGIN,
            image_matmul_full,
        ),
        Entry(
            "matmul-backward",
            "what each gradient of a product collects, and from where",
            _TWO,
            ORIGIN,
            image_matmul_backward,
        ),
        Entry(
            "loop-nest",
            "the fused loops of a product, one step highlighted",
            _TWO,
            ORIGIN,
            image_loop_nest,
        ),
        Entry(
            "memory-timeline",
            "memory of a naive and a fused training step, measured",
            _TWO,
            _LIVE,
            _memory,
        ),
        Entry(
            "traffic-bar",
            "elements read and written by a naive and a fused training step, counted",
            _TWO,
            _LIVE,
            _traffic,
        ),
    )
}

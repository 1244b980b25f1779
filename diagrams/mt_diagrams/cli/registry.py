"""Every figure that can be asked for by name: what it is, what it takes, how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mt_diagrams.cli.live import matmul_traces, naive_loss
from mt_diagrams.figures.backward import image_matmul_backward
from mt_diagrams.figures.broadcast_matmul import image_matmul_full
from mt_diagrams.figures.broadcasting import image_broadcast
from mt_diagrams.figures.graph import image_graph
from mt_diagrams.figures.loops import image_loop_nest
from mt_diagrams.figures.maps import image_map, image_reduce, image_zip
from mt_diagrams.figures.matmul import ORIGIN, image_matmul_simple
from mt_diagrams.figures.memory import memory_timeline
from mt_diagrams.figures.pairing import image_rows_meet_columns
from mt_diagrams.figures.storage import image_storage
from mt_diagrams.figures.tiling import image_tiling
from mt_diagrams.figures.traffic import traffic_bar
from mt_diagrams.pieces.cubes import cube
from mt_diagrams.pieces.elide import axis
from mt_diagrams.pieces.grids import grid
from mt_diagrams.pieces.layout import captioned
from mt_diagrams.pieces.shapes import Shape, check_sizes, elements, matmul_shape, shape_of
from mt_diagrams.svg.figure import Figure


@dataclass(frozen=True)
class Entry:
    """A figure: ``build`` takes as many shapes as ``example`` has, which is its default.

    One with ``values`` also takes arrays, and then ``values=True`` to write their numbers.
    """

    name: str
    summary: str
    arguments: str
    example: tuple[Shape, ...]
    build: Callable[..., Figure]
    values: bool = False


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
    middle = cube(*axes).translate((across - deep / 2) / 2, -(deep / 2 + down) / 2)
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
    m, k, n, *_ = p = matmul_shape("traffic-bar", a, b)
    matrices, products = 3 * (m * k + k * n + m * n), 6 * m * k * n  # what three products move
    predicted = [8 * (matrices + products), 8 * matrices] if not p.stack else None
    return traffic_bar(*matmul_traces(a, b), names=("naive", "fused"), predicted=predicted)


def _transposed(shape: Shape) -> Figure:
    return image_storage(np.zeros(_of_rank("storage-transposed", shape, 2)[::-1]).T)


def _stretched(shape: Shape) -> Figure:
    rows, _ = _of_rank("storage-stretched", shape, 2)
    return image_storage(np.broadcast_to(np.zeros((rows, 1)), shape))


def _negative(a, **options) -> Figure:
    return image_map(a, np.negative, name="neg", **options)


def _reduce(a, **options) -> Figure:
    return image_reduce(a, min(1, len(shape_of(a)) - 1), **options)


def _graph(a: Shape, b: Shape) -> Figure:
    matmul_shape("autograd-graph", a, b)
    return image_graph(naive_loss(a, b))


def _tiling(a: Shape, b: Shape) -> Figure:
    return image_tiling(*matmul_shape("tiling", a, b)[:3])


_TWO = "--shape MxK --shape KxN"
_LIVE = ((32, 64), (64, 48))

FIGURES = {
    entry.name: entry
    for entry in (
        Entry("matrix", "a matrix, elided when large", "--shape RxC", ((2, 3),), _matrix),
        Entry("tensor", "a tensor of three dimensions", "--shape DxRxC", ((2, 4, 3),), _tensor),
        Entry(
            "storage",
            "the cells behind a tensor, and which of them each index reads",
            "--shape RxC",
            ((2, 3),),
            image_storage,
        ),
        Entry(
            "storage-transposed",
            "the same for a transposed matrix: the storage stays, the strides swap",
            "--shape RxC",
            ((3, 2),),
            _transposed,
        ),
        Entry(
            "storage-stretched",
            "the same for a column stretched along its rows: stride 0, cells are shared",
            "--shape RxC",
            ((2, 4),),
            _stretched,
        ),
        Entry(
            "broadcast",
            "how two operands stretch to a common shape",
            "--shape A --shape B",
            ((2, 4, 1), (4, 3)),
            image_broadcast,
        ),
        Entry(
            "map",
            "each element of the result from the one in the same place",
            "--shape A",
            ((2, 3),),
            _negative,
            values=True,
        ),
        Entry(
            "zip",
            "each element of the result from one of each operand",
            "--shape A --shape B",
            ((2, 1), (2, 3)),
            image_zip,
            values=True,
        ),
        Entry(
            "reduce",
            "one dimension collapses: the second, or the only one",
            "--shape A",
            ((2, 4, 3),),
            _reduce,
            values=True,
        ),
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
            values=True,
        ),
        Entry(
            "matmul-stack",
            "the same for stacks of matrices, one product for each",
            "--shape BxMxK --shape BxKxN",
            ((5, 2, 4), (5, 4, 3)),
            image_matmul_simple,
            values=True,
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
            "tiling",
            "how a fast product is cut: blocks, strips, register tiles",
            _TWO,
            ((1000, 1000), (1000, 2500)),
            _tiling,
        ),
        Entry(
            "autograd-graph",
            "what made the sum of a naive product, and what is saved for going back",
            _TWO,
            ORIGIN,
            _graph,
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
            "bytes moved by a naive and a fused training step, counted, on what was predicted",
            _TWO,
            _LIVE,
            _traffic,
        ),
    )
}

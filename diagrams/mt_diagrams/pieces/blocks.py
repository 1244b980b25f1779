"""Tensors of any rank up to three as one kind of thing: centred, named, with sides to write on.

A scalar is one cell, a vector a row, a matrix a grid and a tensor of rank 3 a box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalk import empty
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.cells import Paint, plain
from mt_diagrams.pieces.cubes import cube
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.grids import grid
from mt_diagrams.pieces.shapes import Shape
from mt_diagrams.pieces.values import matrix_of, written
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.strokes import Point, arrows, polylines
from mt_diagrams.svg.theme import INK, SMALL

LIMIT = 6
P = 0.5  # perspective


def axes_of(shape: Shape, keep: Sequence[int] = (), limit: int = LIMIT) -> list[Axis]:
    """The dimensions of ``shape`` laid out, the index ``keep`` always among what is drawn."""
    kept = keep or [0] * len(shape)
    return [axis(n, limit, (i,) if n else ()) for n, i in zip(shape, kept, strict=True)]


def size_of(axes: list[Axis]) -> tuple[float, float, float]:
    """Width and height of the front of a block, and how far its depth reaches."""
    deep, down, across = padded(axes)
    return len(across), len(down), P * len(deep) if len(axes) == 3 else 0.0


def padded(axes: list[Axis]) -> list[Axis]:
    """``axes`` with dimensions of size 1 put in front, up to rank 3."""
    return [axis(1)] * (3 - len(axes)) + list(axes)


def block(axes: list[Axis], colormap: Callable[..., Paint] = plain, name: str = "") -> Diagram:
    """A tensor, its bounding box centred on the origin.

    Args:
        axes: its dimensions, at most three.
        colormap: from an index, of as many numbers as there are dimensions, to a paint.
        name: its cells are named as :func:`cell_name` says.
    """
    rank = len(axes)
    if rank == 3:
        width, height, reach = size_of(axes)
        shift = ((width - reach) / 2, -(reach + height) / 2)
        return cube(*axes, P, name, colormap).translate(*shift)
    _, down, across = padded(axes)
    return grid(down, across, name, lambda i, j: colormap(*(i, j)[2 - rank :]))


def cell_name(name: str, index: Sequence[int]) -> tuple:
    """What the cell at ``index`` of a block called ``name`` is called.

    >>> cell_name("a", (2,)), cell_name("a", (1, 0, 2))
    (('a', 0, 2), ('a', 1, 0, 2))
    """
    return (name, *(0,) * (2 - len(index)), *index)


def in_front(axes: list[Axis], drawing: Diagram) -> Diagram:
    """``drawing``, centred on its origin, moved onto the front face of a block."""
    _, _, reach = size_of(axes)
    return drawing.translate(-reach / 2, -reach / 2)


def numbers(axes: list[Axis], values) -> Diagram:
    """The values of a tensor in the cells of its block; of rank 3, those of its front."""
    if any(dimension.size == 0 for dimension in axes):
        return empty()
    _, down, across = padded(axes)
    return in_front(axes, written(matrix_of(values), down, across))


def _corners(axes: list[Axis]) -> tuple[float, float, float, float, float]:
    """Left, top, right and bottom of the front face, and how far its depth reaches."""
    width, height, reach = size_of(axes)
    x, y = -reach / 2, -reach / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2, reach


def along(axes: list[Axis], dim: int, text: str, color: Color = INK) -> Diagram:
    """A strong line along one dimension of a block, with words: what is done to it."""
    left, top, right, bottom, reach = _corners(axes)
    half = width_of(text, SMALL, bold=True) / 2
    place = dim + 3 - len(axes)
    if place == 2:
        y, away = (top, -1) if reach else (bottom, 1)  # beneath a box is its third face
        line = [(left + 0.06, y + 0.3 * away), (right - 0.06, y + 0.3 * away)]
        at = ((left + right) / 2, y + 0.78 * away)
    elif place == 1:
        line = [(left - 0.3, top + 0.06), (left - 0.3, bottom - 0.06)]
        at = (left - 0.5 - half, (top + bottom) / 2)
    else:
        line = [(right + 0.3, top - 0.1), (right + 0.25 + reach, top - 0.15 + reach)]
        at = (right + 0.5 + reach / 2 + half, top - 0.35 + reach / 2)
    drawn = polylines([line]).line_color(color).line_width(0.2)
    return drawn + label(text, SMALL, color, bold=True).translate(*at)


def towards_zero(axes: list[Axis], dim: int) -> Diagram:
    """Thin arrows along one dimension, to where it starts: it collapses.  Behind it lie none."""
    left, top, right, bottom, reach = _corners(axes)
    _, down, across = padded(axes)
    place = dim + 3 - len(axes)
    if len(padded(axes)[place]) < 2:
        return empty()
    lines: list[list[Point]] = []
    if place == 2:
        rows = [top + y + 0.5 for y, _ in down.shown]
        lines = [[(right - 0.4, y), (left + 0.4, y)] for y in rows]
    elif place == 1:
        columns = [left + x + 0.5 for x, _ in across.shown]
        lines = [[(x, bottom - 0.4), (x, top + 0.4)] for x in columns]
    else:
        columns = [left + x + 0.5 for x, _ in across.shown]
        y = bottom + reach - 0.15
        lines = [[(x + reach - 0.15, y), (x + 0.25, bottom + 0.25)] for x in columns]
    return arrows(lines, INK)

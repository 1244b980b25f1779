"""Matrix multiplication going forward: rows meet columns."""

from __future__ import annotations

from chalk.types import Diagram
from colour import Color

from .drawing import aqua, papaya
from .elide import axis
from .figure import Figure
from .grids import grid
from .layout import captioned, row, ruled, sign, step
from .shapes import check_cell, matmul_shape
from .strokes import hoop
from .theme import CELL, INK, PAPAYA_INK, QUIET, THREAD
from .values import values_of, written

ORIGIN = ((2, 4), (4, 3))  # the shapes of the page this suite grew from
LIMIT = 8


def image_matmul_simple(
    a=ORIGIN[0], b=ORIGIN[1], *, cell: tuple[int, int] = (0, 0), values: bool = False
) -> Figure:
    """Which row and which column meet in a cell of ``M @ N``.

    Args:
        a, b: arrays, tensors or shapes of the two matrices, M and N.
        cell: the cell of the result to follow.
        values: write the numbers into the cells (the operands must hold some).

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the result has no such cell.
        TypeError: if values are asked of a shape.

    >>> image_matmul_simple()
    <Figure: (2, 4) @ (4, 3) = (2, 3)>
    >>> image_matmul_simple((2, 4), (3, 5))
    Traceback (most recent call last):
    ValueError: image_matmul_simple: (2, 4) @ (3, 5): inner dimensions 4 and 3 differ
    """
    who = "image_matmul_simple"
    m, k, n = matmul_shape(who, a, b)
    check_cell(who, cell, (m, n))
    i, j = cell
    rows, inner, cols = axis(m, LIMIT, (i,)), axis(k, LIMIT), axis(n, LIMIT, (j,))

    left = grid(rows, inner, "a", lambda r, _: papaya if r == i else CELL)
    right = grid(inner, cols, "b", lambda _, c: aqua if c == j else CELL)
    out = grid(rows, cols, "c", lambda r, c: (papaya, aqua) if (r, c) == (i, j) else CELL)
    if values:
        x, y = values_of(who, a, b)
        left, right = left + written(x, rows, inner), right + written(y, inner, cols)
        out = out + written(x @ y, rows, cols)

    free_m, free_n = (f"m = {m}", QUIET, False), (f"n = {n}", QUIET, False)
    reduced = (f"k = {k}", PAPAYA_INK, True)
    drop = max(len(rows), len(inner)) / 2 + 1.95
    drawing = row(
        [
            captioned(ruled(left, rows, inner, free_m, reduced), [f"M {(m, k)}"], drop),
            sign("@"),
            captioned(ruled(right, inner, cols, reduced, free_n), [f"N {(k, n)}"], drop),
            step("sum over k"),
            captioned(ruled(out, rows, cols, free_m, free_n, True), [f"M @ N {(m, n)}"], drop),
        ],
        0.6,
    )
    if not values:  # the threads would run across the numbers
        top = -max(len(rows), len(inner)) / 2 - 1.0
        drawing = drawing + _thread(drawing, i, j, top, INK)
        others = [] if rows.elided else [r for r in range(m) if r != i][:2]
        for depth, other in enumerate(others, 1):  # nested under the first
            drawing = drawing + _thread(drawing, other, j, top + 0.28 * depth, THREAD)
    return Figure(
        drawing,
        f"{(m, k)} @ {(k, n)} = {(m, n)}",
        f"Matrix M of shape {(m, k)} times matrix N of shape {(k, n)} gives a matrix of shape "
        f"{(m, n)}. Row {i} of M and column {j} of N are coloured: their {k} pairs are multiplied "
        f"and summed over k into cell {(i, j)} of the result.",
    )


def _thread(drawing: Diagram, i: int, j: int, top: float, color: Color) -> Diagram:
    """From the start of row i of a, by the top of column j of b, to cell (i, j) of the result."""

    def at(up: float, *name):
        x, y = drawing.get_subdiagram(name).get_location()
        return (x, y - up)

    start, turn, end = at(0.1, "a", i, 0), at(0.5, "b", 0, j), at(0.1, "c", i, j)
    return hoop(start, turn, top, color) + hoop(turn, end, top, color, tip=True)

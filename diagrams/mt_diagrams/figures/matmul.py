"""Matrix multiplication going forward: rows meet columns."""

from __future__ import annotations

from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.elide import axis
from mt_diagrams.pieces.layout import captioned, row, ruled, sign, step
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, matmul_shape
from mt_diagrams.pieces.stacks import ASIDE, empty_product, layers, lines_of_stack, sheaf
from mt_diagrams.pieces.values import matrix_of, values_of, written
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import hoop
from mt_diagrams.svg.theme import CELL, INK, PAPAYA_INK, PAPAYA_TINT, QUIET, THREAD

ORIGIN = ((2, 4), (4, 3))  # the shapes of the page this suite grew from
LIMIT = 8


def image_matmul_simple(
    a=ORIGIN[0], b=ORIGIN[1], *, cell: tuple[int, int] = (0, 0), values: bool = False
) -> Figure:
    """Which row and which column meet in a cell of ``M @ N``.

    Args:
        a, b: arrays, tensors or shapes of the two matrices, M and N, or of stacks of them.
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
    p = matmul_shape(who, a, b)
    return empty_product(p) if p.empty else simple(who, p, (a, b), cell, values)


def simple(
    who: str,
    p: MatmulShape,
    operands: tuple,
    cell: tuple[int, int],
    values: bool,
    done: int | None = None,
) -> Figure:
    """The figure itself; of the result only the first ``done`` cells, in reading order, if given.

    Those before the chosen one are then tinted, and the others hold no values yet.
    """
    m, k, n = p[:3]
    check_cell(who, cell, (m, n))
    i, j = cell
    rows, inner, cols = axis(m, LIMIT, (i,)), axis(k, LIMIT), axis(n, LIMIT, (j,))

    def result(r, c):
        if (r, c) == (i, j):
            return papaya if values else (papaya, aqua)  # the diagonal would cross the number
        return CELL if done is None or r * n + c >= done else PAPAYA_TINT

    left = sheaf(p.left, rows, inner, "a", lambda r, _: papaya if r == i else CELL)
    right = sheaf(p.right, inner, cols, "b", lambda _, c: aqua if c == j else CELL)
    out = sheaf(p.out, rows, cols, "c", result)
    if values:
        x, y = (matrix_of(values) for values in values_of(who, *operands))
        left, right = left + written(x, rows, inner), right + written(y, inner, cols)
        out = out + written(x @ y, rows, cols, done)

    free_m, free_n = (f"m = {m}", QUIET, False), (f"n = {n}", QUIET, False)
    reduced = (f"k = {k}", PAPAYA_INK, True)
    drop = max(len(rows), len(inner)) / 2 + 1.95
    aside = ASIDE if layers(p.out) > 1 else 0.0

    def part(ruled_grid: Diagram, name: str, shape: Shape) -> Diagram:
        return captioned(ruled_grid, [f"{name} {shape}", *lines_of_stack(p, shape)], drop)

    drawing = row(
        [
            part(ruled(left, rows, inner, free_m, reduced), "M", p.left),
            sign("@"),
            part(ruled(right, inner, cols, reduced, free_n), "N", p.right),
            step("sum over k"),
            part(ruled(out, rows, cols, free_m, free_n, True, aside), "M @ N", p.out),
        ],
        0.6,
    )
    if not values:  # the threads would run across the numbers
        top = -max(len(rows), len(inner)) / 2 - 1.0
        drawing = drawing + _thread(drawing, i, j, top, INK)
        others = [] if rows.elided or done is not None else [r for r in range(m) if r != i][:2]
        for depth, other in enumerate(others, 1):  # nested under the first
            drawing = drawing + _thread(drawing, other, j, top + 0.28 * depth, THREAD)
    stack = f" The first of a stack of {p.stack[0]} is drawn." if p.stack else ""
    return Figure(
        drawing,
        f"{p.left} @ {p.right} = {p.out}",
        f"Matrix M of shape {p.left} times matrix N of shape {p.right} gives a matrix of shape "
        f"{p.out}.{stack} Row {i} of M and column {j} of N are coloured: their {k} pairs are "
        f"multiplied and summed over k into cell {(i, j)} of the result.",
    )


def _thread(drawing: Diagram, i: int, j: int, top: float, color: Color) -> Diagram:
    """From the start of row i of a, by the top of column j of b, to cell (i, j) of the result."""

    def at(up: float, *name):
        x, y = drawing.get_subdiagram(name).get_location()
        return (x, y - up)

    start, turn, end = at(0.1, "a", i, 0), at(0.5, "b", 0, j), at(0.1, "c", i, j)
    return hoop(start, turn, top, color) + hoop(turn, end, top, color, tip=True)

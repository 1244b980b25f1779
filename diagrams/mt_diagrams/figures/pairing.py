"""Rows meet columns: which entries of two matrices are multiplied with one another."""

from __future__ import annotations

from collections.abc import Callable

from chalk import concat
from chalk.types import Diagram

from mt_diagrams.figures.matmul import ORIGIN
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.equation import color
from mt_diagrams.pieces.layout import captioned, row, ruled, sign
from mt_diagrams.pieces.shapes import check_cell, matmul_shape
from mt_diagrams.pieces.stacks import empty_product, lines_of_stack, sheaf
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.strokes import box, polylines
from mt_diagrams.svg.theme import INK, QUIET, TINY

LIMIT = 8


def image_rows_meet_columns(
    a=ORIGIN[0], b=ORIGIN[1], *, cell: tuple[int, int] | None = None
) -> Figure:
    """Two matrices, a colour for each k: column k of ``a`` is only ever multiplied with row k of b.

    Args:
        a, b: arrays, tensors or shapes of two matrices, or of stacks of them.
        cell: a cell of the product: the row and the column that make it are framed.

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the product has no such cell.

    >>> image_rows_meet_columns()
    <Figure: rows of (2, 4) meet columns of (4, 3)>
    """
    p = matmul_shape("image_rows_meet_columns", a, b)
    if p.empty:
        return empty_product(p)
    m, k, n = p[:3]
    if cell is not None:
        check_cell("image_rows_meet_columns", cell, (m, n))
    i, j = cell or (0, 0)
    rows, inner, cols = axis(m, LIMIT, (i,)), axis(k, LIMIT), axis(n, LIMIT, (j,))
    shades = color(1, len(inner))
    left = sheaf(p.left, rows, inner, "a", lambda _, c: shades(0, inner.slot(c)))
    right = sheaf(p.right, inner, cols, "b", lambda r, _: shades(0, inner.slot(r)))
    left = left + _numbered(rows, inner, lambda _, c: c)
    right = right + _numbered(inner, cols, lambda r, _: r)
    if cell is not None:
        left = left + _framed(-len(inner) / 2, rows.slot(i) - len(rows) / 2, len(inner), 1)
        right = right + _framed(cols.slot(j) - len(cols) / 2, -len(inner) / 2, 1, len(inner))
    reduced = (f"k = {k}", INK, True)
    drop = max(len(rows), len(inner)) / 2 + 1.95
    drawing = row(
        [
            captioned(
                ruled(left, rows, inner, (f"m = {m}", QUIET, False), reduced),
                [f"M {p.left}", *lines_of_stack(p, p.left)],
                drop,
            ),
            sign("@"),
            captioned(
                ruled(right, inner, cols, reduced, (f"n = {n}", QUIET, False)),
                [f"N {p.right}", *lines_of_stack(p, p.right)],
                drop,
            ),
        ],
        0.6,
    )
    return Figure(
        drawing,
        f"rows of {p.left} meet columns of {p.right}",
        f"Matrix M of shape {p.left} and matrix N of shape {p.right}. Each of the {k} values of k "
        f"has a colour and is written in its cells: entries of column k of M are multiplied with "
        f"entries of row k of N, those of the same number."
        + (f" Row {i} of M and column {j} of N are framed." if cell is not None else ""),
    )


def _framed(left: float, top: float, width: float, height: float) -> Diagram:
    return polylines([[*box(left, top, width, height), (left, top)]]).line_width(0.32)


def _numbered(down: Axis, across: Axis, k_of: Callable[[int, int], int]) -> Diagram:
    """The k of each cell of a grid, where there is room: not told by colour alone."""
    left, top = 0.5 - len(across) / 2, 0.5 - len(down) / 2
    places = [(k_of(r, c), x, y) for y, r in down.shown for x, c in across.shown]
    texts = [(str(k), x, y) for k, x, y in places if width_of(str(k), TINY) <= 0.86]
    return concat([label(text, TINY).translate(left + x, top + y) for text, x, y in texts])

"""Rows meet columns: which entries of two matrices are multiplied with one another."""

from __future__ import annotations

from mt_diagrams.figures.matmul import LIMIT, ORIGIN
from mt_diagrams.pieces.elide import axis
from mt_diagrams.pieces.equation import color
from mt_diagrams.pieces.layout import captioned, row, ruled, sign
from mt_diagrams.pieces.shapes import matmul_shape
from mt_diagrams.pieces.stacks import empty_product, lines_of_stack, sheaf
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.theme import PAPAYA_INK, QUIET


def image_rows_meet_columns(a=ORIGIN[0], b=ORIGIN[1]) -> Figure:
    """Two matrices, a colour for each k: column k of ``a`` is only ever multiplied with row k of b.

    Args:
        a, b: arrays, tensors or shapes of two matrices, or of stacks of them.

    Raises:
        ValueError: if they do not multiply.

    >>> image_rows_meet_columns()
    <Figure: rows of (2, 4) meet columns of (4, 3)>
    """
    p = matmul_shape("image_rows_meet_columns", a, b)
    if p.empty:
        return empty_product(p)
    m, k, n = p[:3]
    rows, inner, cols = axis(m, LIMIT), axis(k, LIMIT), axis(n, LIMIT)
    shades = color(1, len(inner))
    left = sheaf(p.left, rows, inner, "a", lambda _, c: shades(0, inner.slot(c)))
    right = sheaf(p.right, inner, cols, "b", lambda r, _: shades(0, inner.slot(r)))
    reduced = (f"k = {k}", PAPAYA_INK, True)
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
        f"has a colour: entries of column k of M are multiplied with entries of row k of N, "
        f"those of the same colour.",
    )

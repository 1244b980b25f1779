"""Rows meet columns: which entries of two matrices are multiplied with one another."""

from __future__ import annotations

from .elide import axis
from .equation import color
from .figure import Figure
from .grids import grid
from .layout import captioned, row, ruled, sign
from .matmul import LIMIT, ORIGIN
from .shapes import matmul_shape
from .theme import PAPAYA_INK, QUIET


def image_rows_meet_columns(a=ORIGIN[0], b=ORIGIN[1]) -> Figure:
    """Two matrices, a colour for each k: column k of ``a`` is only ever multiplied with row k of b.

    Args:
        a, b: arrays, tensors or shapes of two matrices.

    Raises:
        ValueError: if they do not multiply.

    >>> image_rows_meet_columns()
    <Figure: rows of (2, 4) meet columns of (4, 3)>
    """
    m, k, n = matmul_shape("image_rows_meet_columns", a, b)
    rows, inner, cols = axis(m, LIMIT), axis(k, LIMIT), axis(n, LIMIT)
    shades = color(1, len(inner))
    left = grid(rows, inner, "a", lambda _, c: shades(0, inner.slot(c)))
    right = grid(inner, cols, "b", lambda r, _: shades(0, inner.slot(r)))
    reduced = (f"k = {k}", PAPAYA_INK, True)
    drop = max(len(rows), len(inner)) / 2 + 1.95
    drawing = row(
        [
            captioned(
                ruled(left, rows, inner, (f"m = {m}", QUIET, False), reduced),
                [f"M {(m, k)}"],
                drop,
            ),
            sign("@"),
            captioned(
                ruled(right, inner, cols, reduced, (f"n = {n}", QUIET, False)),
                [f"N {(k, n)}"],
                drop,
            ),
        ],
        0.6,
    )
    return Figure(
        drawing,
        f"rows of {(m, k)} meet columns of {(k, n)}",
        f"Matrix M of shape {(m, k)} and matrix N of shape {(k, n)}. Each of the {k} values of k "
        f"has a colour: entries of column k of M are multiplied with entries of row k of N, "
        f"those of the same colour.",
    )

"""How the rows of tensors are taken for a kernel that works on rows: one by one, or many at once.

What a row and a strip are is told in :mod:`mtlib.kernels.rows.strips`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mtlib.kernels.plans.strided import iteration
from mtlib.layout import Layout

MOST = 256  # rows taken across at once
FEWEST = 16  # rows side by side that are worth it: less does not fill a cache line
CLOSE = 1 << 19  # elements of a strip that stay close: of longer rows, fewer are taken at once


class Rows(NamedTuple):
    """Where the rows of several operands are, and how they lie.

    ``strips`` and ``runs`` are tables as :mod:`mtlib.kernels.plans.strided` has them, with a row
    for each operand.  ``strips`` goes from strip to strip, ``runs`` from run to run of a strip.  A
    run, the last column, is what an operand has at an even step: a part of the row or, across, a
    line.  ``along`` is the length of a row, or 0 across.
    """

    strips: np.ndarray
    runs: np.ndarray
    along: int


def arrange(layouts: tuple[Layout, ...], dims: tuple[int, ...], threads: int) -> Rows:
    """Where ``threads`` find the rows along ``dims``, and how they lie.

    >>> from mtlib.layout import contiguous
    >>> strips, runs, along = arrange((contiguous((300, 400)),), (1,), threads=1)
    >>> strips.tolist(), runs.tolist(), along
    ([[300, 300, 120000], [0, 400, 0]], [[1, 400], [0, 1]], 400)
    >>> strips, runs, along = arrange((contiguous((300, 400)),), (0,), threads=1)
    >>> strips.tolist(), runs.tolist(), along
    ([[2, 2, 400], [0, 208, 0]], [[300, 300, 208], [0, 400, 1]], 0)
    """
    kept = tuple(d for d in range(len(layouts[0].shape)) if d not in dims)
    rows = iteration(*(_part(layout, kept, layout.offset) for layout in layouts))
    runs = iteration(*(_part(layout, dims, 0) for layout in layouts))
    outer, beside, length = int(rows[0, 0]), int(rows[0, -1]), int(runs[0, 0] * runs[0, -1])
    spacing, step = abs(rows[1, -1]), abs(runs[1, -1])
    if (spacing < step and beside >= FEWEST) or min(beside, MOST) > length:
        along = 0
        fewest_strips = -(-threads // outer)  # so that no thread is left without
        most = max(FEWEST, min(MOST, CLOSE // length))
        together = -(-beside // max(fewest_strips, -(-beside // most)))
        together += -together % FEWEST
        runs = np.hstack([runs, rows[:, -1:]])
        runs[0, 0], runs[0, -1] = length, together
    else:
        along, together = length, 1
    strips = np.hstack([rows, np.zeros_like(rows[:, :1])])
    strips[1:, -2] *= together
    strips[0, -2] = -(-beside // together)
    strips[0, 0] = outer * strips[0, -2]
    # The last column is not walked: it is where, counted in the elements of a run, the last of the
    # strips side by side ends.  Across, that one may have fewer rows.
    strips[0, -1] = beside * runs[0, -1] if along else beside
    return Rows(strips, runs, along)


def per_row(layout: Layout, shape: tuple[int, ...], dims: tuple[int, ...]) -> Layout:
    """Where one number for each row lies, as an operand of ``shape``: a step along a row is 0.

    >>> per_row(Layout((2, 3), (3, 1), 0), (2, 4, 3), (1,)).strides
    (3, 0, 1)
    """
    steps = iter(layout.strides)
    strides = tuple([0 if d in dims else next(steps) for d in range(len(shape))])
    return Layout(shape, strides, layout.offset)


def _part(layout: Layout, dims: tuple[int, ...], offset: int) -> Layout:
    shape = tuple([layout.shape[d] for d in dims])
    return Layout(shape, tuple([layout.strides[d] for d in dims]), offset)

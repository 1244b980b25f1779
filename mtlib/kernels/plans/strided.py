"""How a kernel goes through storages of any strides.

It gets flat storages and one small table of integers, the *iteration* over them.  Row 0 is the
shape that is gone through; each further row is one operand, its offset followed by its strides.
Column 0 of row 0 says how often the innermost loop is run: the product of the shape without its
last dimension.

Dimensions are collapsed first (:func:`mtlib.layout.collapse`), so the innermost row is as long as
the strides allow, and one compiled kernel serves every rank.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numba.extending import register_jitable

from mtlib.layout import Layout, collapse, contiguous, dense_like, permute

COLUMNS = 1024  # outputs accumulated at once: few enough to stay in the first-level cache


def iteration(*layouts: Layout) -> np.ndarray:
    """The table for operands of one shape, for a kernel to go through together.

    >>> from mtlib.layout import expand
    >>> iteration(contiguous((2, 4, 3)), expand(contiguous((1, 4, 3)), (2, 4, 3)))
    array([[ 2,  2, 12],
           [ 0, 12,  1],
           [ 0,  0,  1]])
    """
    first = layouts[0]
    if not first.is_contiguous():  # go in the order in which the first operand lies in memory
        order = sorted(range(len(first.shape)), key=lambda d: -abs(first.strides[d]))
        layouts = tuple(permute(x, order) for x in layouts)
    shape, strides = collapse(layouts[0].shape, *(x.strides for x in layouts))
    rows = [(x.offset, *steps) for x, steps in zip(layouts, strides, strict=True)]
    return np.array([(prod(shape[:-1]), *shape), *rows], dtype=np.int64)


def elementwise(*layouts: Layout) -> tuple[Layout, np.ndarray, int]:
    """For operands that lie so: how the result lies, the iteration over all, and their size."""
    layout = dense_like(*layouts)
    return layout, iteration(layout, *layouts), layout.size


def split(layout: Layout, dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The iterations (kept, reduced) for folding ``dims`` of an operand into a contiguous output.

    >>> for table in split(contiguous((2, 4, 3)), (1,)):
    ...     print(table.tolist())
    [[2, 2, 3], [0, 3, 1], [0, 12, 1]]
    [[1, 4], [0, 3]]
    """
    kept = [d for d in range(len(layout.shape)) if d not in dims]

    def part(which, offset):
        shape = tuple(layout.shape[d] for d in which)
        return Layout(shape, tuple(layout.strides[d] for d in which), offset)

    outputs = part(kept, layout.offset)
    return iteration(contiguous(outputs.shape), outputs), iteration(part(dims, 0))


def reduction(layout: Layout, dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The iterations of :func:`split`, how many outputs there are, and in how many pieces of a row.

    0 pieces if outputs do not lie side by side, or else the elements of each do so too.
    """
    kept, reduced = split(layout, dims)
    rows, width = int(kept[0, 0]), int(kept[0, -1])
    in_rows = kept[2, -1] == 1 and width > 1 and reduced[1, -1] != 1
    return kept, reduced, rows * width, rows * -(-width // COLUMNS) if in_rows else 0


@register_jitable
def start_of_row(row, table, operand):
    """Where in its storage ``operand`` begins the ``row``-th run of the innermost loop."""
    at = table[operand, 0]
    for d in range(table.shape[1] - 2, 1, -1):
        length = table[0, d]
        at += row % length * table[operand, d]
        row //= length
    return at + row * table[operand, 1] if table.shape[1] > 2 else at

"""Walking strided storage.

A kernel gets flat storages and one small integer table, the *plan*.  Row 0 is the shape that is
walked; each further row is one operand, its offset followed by its strides.  Column 0 of row 0 says
how often the innermost loop is run: the product of the shape without its last dimension.

Dimensions are collapsed first (:func:`mtlib.layout.collapse`), so the innermost row is as long as
the strides allow, and one compiled kernel serves every rank.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np
from numba.extending import register_jitable

from mtlib.layout import Layout, collapse, permute


@lru_cache(maxsize=1024)
def plan(*layouts: Layout) -> np.ndarray:
    """The table for operands of one shape, for the kernels to walk together.

    A program asks for the same few over and over, so they are kept; nobody may write to one.

    >>> from mtlib.layout import contiguous, expand
    >>> plan(contiguous((2, 4, 3)), expand(contiguous((1, 4, 3)), (2, 4, 3)))
    array([[ 2,  2, 12],
           [ 0, 12,  1],
           [ 0,  0,  1]])
    """
    first = layouts[0]
    if not first.is_contiguous():  # walk in the order in which the first operand lies in memory
        order = sorted(range(len(first.shape)), key=lambda d: -abs(first.strides[d]))
        layouts = tuple(permute(x, order) for x in layouts)
    shape, strides = collapse(layouts[0].shape, *(x.strides for x in layouts))
    rows = [(x.offset, *steps) for x, steps in zip(layouts, strides, strict=True)]
    return np.array([(prod(shape[:-1]), *shape), *rows], dtype=np.int64)


@register_jitable
def start_of_row(row, table, operand):
    """Where in its storage ``operand`` begins the ``row``-th run of the innermost loop."""
    at = table[operand, 0]
    for d in range(table.shape[1] - 2, 1, -1):
        length = table[0, d]
        at += row % length * table[operand, d]
        row //= length
    return at + row * table[operand, 1] if table.shape[1] > 2 else at

"""Rows of a tensor: brought in once, worked on while they are close, sent back once.

A row is the elements along one dimension, or along several together.  A kernel built on this takes
a *strip* of rows at a time: it copies the strip into a workspace that stays in the cache, works on
it there (:mod:`mtlib.kernels.rows.lanes`), and copies what came of it to where it belongs.  Only
the copying has to know of strides, and what the work needs three times is loaded from its tensor
once.  A strip that lies in its tensor as it would in the workspace is worked on there and not
copied: what is only read, and the result while it is being made.

How the rows lie in memory decides what a strip is:

- Along: the elements of a row lie side by side.  A strip is one row.
- Across: neighbouring rows lie side by side, or rows are short and many.  A strip is up to ``MOST``
  rows, one for each lane: its first line has the first element of each.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from mtlib.kernels.jit import Kernel, inlined, narrow_vectors, threads_for
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.plans.strided import start_of_row
from mtlib.kernels.rows.lanes import LANES
from mtlib.runtime.memory import allocate


class RowKernel:
    """A loop nest over strips of rows; call as ``kernel(name, dims, layouts, *arguments)``.

    ``layouts`` are those of the operands, all stretched to one shape; the first decides how the
    rows are taken.  ``dims`` make up a row.  The loop nest gets ``arguments``, the first of them an
    array, then the :class:`~mtlib.kernels.plans.rows.Rows` of its operands, then its workspace: for
    each thread ``strips`` strips and ``lanes`` lines, and last, if there are any, ``shared`` strips
    for all threads.
    """

    def __init__(self, make: Callable, *, strips: int, lanes: int, shared: int = 0) -> None:
        self.kernel = Kernel(make, owners=False)  # to count them at each row takes half as long
        self.strips, self.lanes, self.shared = strips, lanes, shared

    def __call__(self, name: str, dims: tuple[int, ...], layouts, *arguments) -> None:
        if not layouts[0].size:
            return
        threads = threads_for(4 * layouts[0].size)  # an element is gone over some four times
        rows = plans.rows(layouts, dims, threads)
        strips, runs, along = rows
        threads = min(threads, int(strips[0, 0]))
        width = LANES if along else int(runs[0, -1])
        length = -(-along // LANES) if along else int(runs[0, 0])  # in lines
        shapes = [(threads, self.strips, length * width), (threads, self.lanes, width)]
        if self.shared:
            shapes.append((self.shared, length * width))
        space = [_aligned(shape, arguments[0].dtype, name) for shape in shapes]
        self.kernel.run(threads, *arguments, rows, *space)


def _aligned(shape, dtype: np.dtype, name: str) -> np.ndarray:
    """A workspace that begins where a cache line does: a vector across two lines takes twice."""
    size, line = prod(shape), 64 // dtype.itemsize
    space = allocate((size + line,), dtype, name, role="workspace")
    first = -(space.ctypes.data // dtype.itemsize) % line
    return space[first : first + size].reshape(shape)


# --- In a loop nest -------------------------------------------------------------------------------


@inlined
def strips_of(part, parts, rows):
    """The strips that fall to ``part`` of ``parts``."""
    count = rows.strips[0, 0]
    return range(part * count // parts, (part + 1) * count // parts)


@inlined
def elements(t, rows):
    """How many elements each run of strip ``t`` has; across, that is how many rows there are."""
    most, strips = rows.runs[0, -1], rows.strips
    return min(most, strips[0, -1] - t % strips[0, -2] * most)


@inlined
def rows_in(t, rows):
    """How many rows strip ``t`` has."""
    return 1 if rows.along else elements(t, rows)


@inlined
def in_place(rows, operand):
    """Whether a strip of an operand lies as it would in a workspace: a row, side by side."""
    return rows.along > 0 and rows.runs[0, 0] == 1 and rows.runs[operand, -1] == 1


@inlined
def row(t, rows, operand):
    """Where in its storage row ``t`` of an operand lies that is in place."""
    start = start_of_row(t, rows.strips, operand)
    return slice(start, start + rows.along)


@inlined
def bring(space, x, t, rows, operand):
    """Bring strip ``t`` of an operand close, unless it is in place."""
    if not in_place(rows, operand):
        fetch(space, x, t, rows, operand)


@inlined
def fetch(near, x, t, rows, operand):
    """Bring strip ``t`` of an operand close.  Lanes that are left over get a row of zeros."""
    narrow_vectors()
    runs, n = rows.runs, elements(t, rows)
    width, step, start = runs[0, -1], runs[operand, -1], start_of_row(t, rows.strips, operand)
    for run in range(runs[0, 0]):
        at, place = start + start_of_row(run, runs, operand), np.uint64(run * width)
        if step == 1:
            for i in range(np.uint64(n)):
                near[place + i] = x[np.uint64(at) + i]
        elif step == 0:
            only = x[at]
            for i in range(np.uint64(n)):
                near[place + i] = only
        else:
            for i in range(n):
                near[place + np.uint64(i)] = x[at + i * step]
        for i in range(np.uint64(n), np.uint64(width)):
            near[place + i] = 0


@inlined
def send(out, near, t, rows, operand):
    """Store what became of strip ``t`` where it belongs, unless it was made there."""
    narrow_vectors()
    if in_place(rows, operand):
        return
    runs, n = rows.runs, elements(t, rows)
    width, step, start = runs[0, -1], runs[operand, -1], start_of_row(t, rows.strips, operand)
    for run in range(runs[0, 0]):
        at, place = start + start_of_row(run, runs, operand), np.uint64(run * width)
        if step == 1:
            for i in range(np.uint64(n)):
                out[np.uint64(at) + i] = near[place + i]
        else:
            for i in range(n):
                out[at + i * step] = near[place + np.uint64(i)]


@inlined
def recall(lanes, values, t, rows, operand):
    """Bring close the numbers that the rows of strip ``t`` have in ``values``; 0 for no row."""
    n, step = rows_in(t, rows), rows.runs[operand, -1]
    start = start_of_row(t, rows.strips, operand)
    for j in range(n):
        lanes[j] = values[start + j * step]
    if not rows.along:
        for j in range(n, len(lanes)):
            lanes[j] = 0


@inlined
def keep(values, lanes, t, rows, operand):
    """Store the number that each row of strip ``t`` has come to."""
    n, step = rows_in(t, rows), rows.runs[operand, -1]
    start = start_of_row(t, rows.strips, operand)
    for j in range(n):
        values[start + j * step] = lanes[j]

"""Rows of a tensor: brought in once, worked on while they are close, sent back once.

A row is the elements along one dimension, or along several together.  A kernel built on this takes
a *strip* of rows at a time: it copies the strip into a workspace that stays in the cache, works on
it there (:mod:`mtlib.kernels.rows.lanes`), and copies what came of it to where it belongs.  Only
the copying has to know of strides, and what the work needs three times is loaded from its tensor
once. A strip that lies in its tensor as it would in the workspace is worked on there and not
copied: what is only read, and the result while it is being made.

How the rows lie in memory decides what a strip is:

- Along: the elements of a row lie side by side.  A strip is one row.
- Across: neighbouring rows lie side by side, or rows are short and many.  A strip is up to ``MOST``
  rows, one for each lane: its first line has the first element of each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import prod

import numpy as np

from mtlib.kernels.jit import Kernel, inlined, narrow_vectors, threads_for
from mtlib.kernels.rows.lanes import LANES
from mtlib.kernels.strided.walk import plan, start_of_row
from mtlib.layout import Layout
from mtlib.runtime.memory import allocate

MOST = 256  # rows taken across at once
FEWEST = 16  # rows side by side that are worth it: less does not fill a cache line
CLOSE = 1 << 19  # elements of a strip that stay close: of longer rows, fewer are taken at once


class RowKernel:
    """A loop nest over strips of rows; call as ``kernel(name, dims, layouts, *arguments)``.

    ``layouts`` are those of the operands, all stretched to one shape; the first decides how the
    rows are taken.  ``dims`` make up a row.  The loop nest gets ``arguments``, the first of them an
    array, then the three results of :func:`arrange`, then its workspace: for each thread ``strips``
    strips and ``lanes`` lines, and last, if there are any, ``shared`` strips for all threads.
    """

    def __init__(self, make: Callable, *, strips: int, lanes: int, shared: int = 0) -> None:
        self.kernel = Kernel(make, owners=False)  # to count them at each row takes half as long
        self.strips, self.lanes, self.shared = strips, lanes, shared

    def __call__(self, name: str, dims: tuple[int, ...], layouts, *arguments) -> None:
        if not layouts[0].size:
            return
        threads = threads_for(4 * layouts[0].size)  # an element is gone over some four times
        strips, runs, along = arrange(layouts, dims, threads)
        threads = min(threads, int(strips[0, 0]))
        width = LANES if along else int(runs[0, -1])
        length = -(-along // LANES) if along else int(runs[0, 0])  # in lines
        shapes = [(threads, self.strips, length * width), (threads, self.lanes, width)]
        if self.shared:
            shapes.append((self.shared, length * width))
        space = [_aligned(shape, arguments[0].dtype, name) for shape in shapes]
        self.kernel.run(threads, *arguments, strips, runs, along, *space)


def _aligned(shape, dtype: np.dtype, name: str) -> np.ndarray:
    """A workspace that begins where a cache line does: a vector across two lines takes twice."""
    size, line = prod(shape), 64 // dtype.itemsize
    space = allocate((size + line,), dtype, name, role="workspace")
    first = -(space.ctypes.data // dtype.itemsize) % line
    return space[first : first + size].reshape(shape)


@functools.lru_cache(maxsize=1024)
def arrange(layouts: tuple[Layout, ...], dims: tuple[int, ...], threads: int):
    """(strips, runs, along): where ``threads`` find the rows along ``dims``, and how they lie.

    ``strips`` and ``runs`` are tables as :mod:`mtlib.kernels.strided.walk` has them, for all the
    operands.  ``strips`` walks from strip to strip, ``runs`` from run to run of a strip.  A run,
    the last column, is what an operand has at an even step: a part of the row or, across, a line.
    ``along`` is the length of a row, or 0 across.

    >>> from mtlib.layout import contiguous
    >>> strips, runs, along = arrange((contiguous((300, 400)),), (1,), threads=1)
    >>> strips.tolist(), runs.tolist(), along
    ([[300, 300, 120000], [0, 400, 0]], [[1, 400], [0, 1]], 400)
    >>> strips, runs, along = arrange((contiguous((300, 400)),), (0,), threads=1)
    >>> strips.tolist(), runs.tolist(), along
    ([[2, 2, 400], [0, 208, 0]], [[300, 300, 208], [0, 400, 1]], 0)
    """
    kept = tuple(d for d in range(len(layouts[0].shape)) if d not in dims)
    rows = plan(*(_part(layout, kept, layout.offset) for layout in layouts))
    runs = plan(*(_part(layout, dims, 0) for layout in layouts))
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
    return strips, runs, along


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


# --- In a loop nest -------------------------------------------------------------------------------


@inlined
def share(part, parts, strips):
    """The first of the strips that fall to ``part`` of ``parts``, and the first that does not."""
    return part * strips[0, 0] // parts, (part + 1) * strips[0, 0] // parts


@inlined
def elements(t, strips, runs):
    """How many elements each run of strip ``t`` has; across, that is how many rows there are."""
    return min(runs[0, -1], strips[0, -1] - t % strips[0, -2] * runs[0, -1])


@inlined
def rows_in(t, strips, runs, along):
    """How many rows strip ``t`` has."""
    return 1 if along else elements(t, strips, runs)


@inlined
def in_place(runs, operand, along):
    """Whether a strip of an operand lies as it would in a workspace: a row, side by side."""
    return along > 0 and runs[0, 0] == 1 and runs[operand, -1] == 1


@inlined
def row(t, strips, operand, along):
    """Where in its storage an operand has row ``t``, if it is in place."""
    start = start_of_row(t, strips, operand)
    return slice(start, start + along)


@inlined
def fetch(near, x, t, strips, runs, operand):
    """Bring strip ``t`` of an operand close.  Lanes that are left over get a row of zeros."""
    narrow_vectors()
    n, width, step = elements(t, strips, runs), runs[0, -1], runs[operand, -1]
    start = start_of_row(t, strips, operand)
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
def send(out, near, t, strips, runs, operand, along):
    """Store what became of strip ``t`` where it belongs, unless it was made there."""
    narrow_vectors()
    if in_place(runs, operand, along):
        return
    n, width, step = elements(t, strips, runs), runs[0, -1], runs[operand, -1]
    start = start_of_row(t, strips, operand)
    for run in range(runs[0, 0]):
        at, place = start + start_of_row(run, runs, operand), np.uint64(run * width)
        if step == 1:
            for i in range(np.uint64(n)):
                out[np.uint64(at) + i] = near[place + i]
        else:
            for i in range(n):
                out[at + i * step] = near[place + np.uint64(i)]


@inlined
def recall(lanes, values, t, strips, runs, operand, along):
    """Bring close the numbers that the rows of strip ``t`` have in ``values``; 0 for no row."""
    n, step = rows_in(t, strips, runs, along), runs[operand, -1]
    start = start_of_row(t, strips, operand)
    for j in range(n):
        lanes[j] = values[start + j * step]
    if not along:
        for j in range(n, len(lanes)):
            lanes[j] = 0


@inlined
def keep(values, lanes, t, strips, runs, operand, along):
    """Store the number that each row of strip ``t`` has come to."""
    n, step = rows_in(t, strips, runs, along), runs[operand, -1]
    start = start_of_row(t, strips, operand)
    for j in range(n):
        values[start + j * step] = lanes[j]

"""Reduce: fold some dimensions of a tensor into one value each.

The plan is split in two (see :mod:`mtlib.kernels.walk`): ``kept`` walks the output and, beside it,
where each output's first element lies; ``reduced`` walks the elements that are folded into it.

Which loop is innermost is decided by the strides.  If the outputs lie side by side in memory (a sum
over rows), a row of outputs is accumulated at once, so that memory is still read in the order in
which it lies.  Else each output is folded by itself, many elements at a time: a block of
them is dealt out to ``LANES`` totals, which a vector instruction adds to together, and totals of
blocks are folded in pairs, so that rounding errors grow with the logarithm of the length (Higham,
*Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 4.2).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mtlib.kernels import scalars
from mtlib.kernels.jit import Kernel, inlined, narrow_vectors, threads_for
from mtlib.kernels.walk import plan, start_of_row
from mtlib.layout import Layout, contiguous
from mtlib.memory import allocate
from mtlib.mode import thread

LANES = 64  # totals that are added to side by side
BLOCK = 32 * LANES  # elements folded one after the other before folding in pairs
GROUP = 64  # outputs folded one after the other by a thread, in the same few lanes
COLUMNS = 1024  # outputs accumulated at once: few enough to stay in the first-level cache


class Fold:
    """A function of two numbers put into a loop nest; call as ``fold(out, a, layout, dims)``.

    ``out`` and ``a`` are storages, ``layout`` is that of ``a``, and ``dims`` are folded into a
    row-major ``out``.  ``start`` is what folding nothing gives.
    """

    def __init__(self, f, start: float) -> None:
        self._columns = Kernel(lambda each: _make_columns(each, f, start))
        self._rows = Kernel(lambda each: _make_rows(each, f, start))

    def __call__(self, out, a, layout: Layout, dims: tuple[int, ...]) -> None:
        if thread.mode.rehearsing:
            return
        kept, reduced = split(layout, dims)
        outputs, threads = int(kept[0, 0] * kept[0, -1]), threads_for(layout.size)
        if kept[2, -1] == 1 and kept[0, -1] > 1 and reduced[1, -1] != 1:
            if kept[0, 0] * -(-kept[0, -1] // COLUMNS) >= threads:
                self._columns.run(threads, out, a, kept, reduced, 1)
            else:  # too few to go round: share out the rows, so that each thread reads whole ones
                parts = allocate((threads, outputs), out.dtype, "reduce", role="workspace")
                self._columns.run(threads, parts, a, kept, reduced, threads)
                whole = split(contiguous((threads, outputs)), (0,))
                self._columns.run(1, out, parts, *whole, 1)
        elif outputs < threads:  # too few to go round: share out the elements of each
            parts = allocate((outputs, threads), out.dtype, "reduce", role="workspace")
            self._rows.run(threads, parts, a, kept, reduced, threads, 1)
            whole = plan(Layout((outputs,), (1,), 0), Layout((outputs,), (threads,), 0))
            self._rows.run(1, out, parts, whole, plan(Layout((threads,), (1,), 0)), 1, outputs)
        else:
            group = max(1, min(GROUP, outputs // (4 * threads)))
            self._rows.run(threads, out, a, kept, reduced, 1, group)


@lru_cache(maxsize=1024)
def split(layout: Layout, dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The plans (kept, reduced) for folding ``dims`` of an operand into a contiguous output.

    >>> from mtlib.layout import contiguous
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
    return plan(contiguous(outputs.shape), outputs), plan(part(dims, 0))


def _make_columns(each, f, start):
    def columns(out, a, kept, reduced, parts):
        """Many outputs at once, adding one row of elements after the other.

        Or ``parts`` parts of each output: ``out`` has (parts, outputs) elements.
        """
        length, stride = reduced[0, -1], reduced[1, -1]
        blocks = (kept[0, -1] + COLUMNS - 1) // COLUMNS
        tasks = kept[0, 0] * blocks
        for task in each(tasks * parts):
            narrow_vectors()
            part, block = task // tasks, task % tasks
            top, bottom = length * part // parts, length * (part + 1) // parts
            row, first = block // blocks, block % blocks * COLUMNS
            n = min(COLUMNS, kept[0, -1] - first)
            o = part * kept[0, 0] * kept[0, -1] + start_of_row(row, kept, 1) + first
            p = start_of_row(row, kept, 2) + first
            totals = out[o : o + n]
            totals[:] = start
            for run in range(reduced[0, 0]):
                q = p + start_of_row(run, reduced, 1)
                even = top + (bottom - top) // 4 * 4
                for r in range(top, even, 4):  # four at a time load and store totals less often
                    at = q + r * stride
                    x0, x1 = a[at : at + n], a[at + stride : at + stride + n]
                    at += 2 * stride
                    x2, x3 = a[at : at + n], a[at + stride : at + stride + n]
                    for i in range(len(totals)):
                        totals[i] = f(f(f(f(totals[i], x0[i]), x1[i]), x2[i]), x3[i])
                for r in range(even, bottom):
                    x0 = a[q + r * stride : q + r * stride + n]
                    for i in range(len(totals)):
                        totals[i] = f(totals[i], x0[i])

    return columns


def _make_rows(each, f, start):
    @inlined
    def fold_block(a, at, n, lanes):
        """``n`` elements side by side, dealt out to the lanes, and these folded in halves."""
        narrow_vectors()
        at = np.uintp(at)  # as in elementwise.py: a slice would cost more than a short row
        even = n // LANES * LANES
        for j in range(LANES):
            lanes[j] = start
        for r in range(0, even, LANES):
            for j in range(np.uintp(LANES)):
                lanes[j] = f(lanes[j], a[at + np.uintp(r) + j])
        for r in range(even, n):
            lanes[r - even] = f(lanes[r - even], a[at + np.uintp(r)])
        half = LANES // 2
        while half > 0:
            for j in range(half):
                lanes[j] = f(lanes[j], lanes[j + half])
            half //= 2
        return lanes[0]

    def rows(out, a, kept, reduced, parts, group):
        """One output at a time, or ``parts`` parts of it: ``out`` has (outputs, parts) elements.

        Threads take ``group`` of them at a time.
        """
        width, spacing = kept[0, -1], kept[2, -1]
        length, stride = reduced[0, -1], reduced[1, -1]
        tasks = kept[0, 0] * width * parts
        for chunk in each((tasks + group - 1) // group):
            narrow_vectors()
            lanes = np.empty(LANES, out.dtype)
            waiting = np.empty(64, out.dtype)  # totals of 1, 2, 4, 8 … blocks, by the binary
            for task in range(chunk * group, min(chunk * group + group, tasks)):
                i, first, last = task, 0, length
                if parts > 1:
                    i, part = task // parts, task % parts
                    first, last = length * part // parts, length * (part + 1) // parts
                p = start_of_row(i // width, kept, 2) + i % width * spacing
                total = out.dtype.type(start)
                blocks = 0  # digits of the number of blocks so far
                for run in range(reduced[0, 0]):
                    q = p + start_of_row(run, reduced, 1)
                    if stride != 1 or length < LANES:
                        for r in range(first, last):
                            total = f(total, a[q + r * stride])
                        continue
                    for at in range(q + first, q + last, BLOCK):
                        value = fold_block(a, at, min(BLOCK, q + last - at), lanes)
                        level = 0
                        while blocks >> level & 1:
                            value = f(waiting[level], value)
                            level += 1
                        waiting[level] = value
                        blocks += 1
                level = 0
                while blocks >> level:
                    if blocks >> level & 1:
                        total = f(total, waiting[level])
                    level += 1
                out[task] = total

    return rows


total = Fold(scalars.add, 0.0)
product = Fold(scalars.mul, 1.0)
largest = Fold(scalars.maximum, -np.inf)
smallest = Fold(scalars.minimum, np.inf)

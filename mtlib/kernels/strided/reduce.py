"""Reduce: fold some dimensions of a tensor into one value each.

The iteration is split in two (:func:`mtlib.kernels.plans.strided.split`): ``kept`` goes through the
output and, beside it, where each output's first element lies; ``reduced`` through the elements that
are folded into it.

Which loop is innermost is decided by the strides.  If the outputs lie side by side in memory (a sum
over rows), a row of outputs is accumulated at once, so that memory is still read in the order in
which it lies.  Else each output is folded by itself, a block of elements at a time, and these in
any order (:mod:`mtlib.kernels.functions.folds`), so that vector instructions fold many at once.
Elements that do not lie side by side are brought together first, a block at a time.

Either way only so many elements are folded one after the other, and totals of blocks are folded in
pairs, so that rounding errors grow with the logarithm of the length (Higham, *Accuracy and
Stability of Numerical Algorithms*, 2nd ed., section 4.2).  Which totals wait for another to make a
pair is told by the binary digits of the number of blocks so far, as in a binary counter: where a
digit is 1, one of so many blocks is waiting.
"""

from __future__ import annotations

import numpy as np

from mtlib.kernels.functions import folds
from mtlib.kernels.jit import Kernel, full_vectors, inlined, narrow_vectors, threads_for
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.plans.strided import COLUMNS, start_of_row
from mtlib.layout import Layout, contiguous
from mtlib.runtime.memory import allocate
from mtlib.runtime.mode import thread

FEW = 64  # elements: for less than these, one after the other is as good
BLOCK = 1024  # elements folded in any order before folding in pairs
GROUP = 64  # outputs folded one after the other by a thread
ROWS = 128  # rows accumulated one after the other before folding in pairs


class Fold:
    """A function from :mod:`mtlib.kernels.functions.folds` put into a loop nest.

    Call as ``fold(out, a, layout, dims)``.  ``out`` and ``a`` are storages, ``layout`` is that of
    ``a``, and ``dims`` are folded into a row-major ``out``.  ``start`` is what folding nothing
    gives.  A ``wide`` fold has its totals in float64 whatever it folds.
    """

    def __init__(self, f, start: float, *, wide: bool = False) -> None:
        self._columns = Kernel(lambda each: _make_columns(each, f, start))
        self._rows = Kernel(lambda each: _make_rows(each, f, start))
        self._wide = wide

    def __call__(self, out, a, layout: Layout, dims: tuple[int, ...]) -> None:
        if thread.mode.rehearsing:
            return
        if self._wide and out.dtype != np.float64:
            totals = allocate(out.shape, np.dtype(np.float64), "reduce", role="workspace")
            self(totals, a, layout, dims)
            with np.errstate(over="ignore"):
                out[...] = totals
            return
        kept, reduced, outputs, pieces = plans.reduction(layout, dims)
        threads = threads_for(layout.size)
        if pieces >= threads:
            group = max(1, min(GROUP, pieces // (4 * threads)))
            self._columns.run(threads, out, a, kept, reduced, 1, group)
        elif pieces:  # too few to go round: share out the rows, and each thread reads whole ones
            parts = allocate((threads, outputs), out.dtype, "reduce", role="workspace")
            self._columns.run(threads, parts, a, kept, reduced, threads, 1)
            whole = plans.split(contiguous((threads, outputs)), (0,))
            self._columns.run(1, out, parts, *whole, 1, pieces)
        elif outputs < threads:  # too few to go round: share out the elements of each
            parts = allocate((outputs, threads), out.dtype, "reduce", role="workspace")
            self._rows.run(threads, parts, a, kept, reduced, threads, 1)
            whole = plans.iteration(Layout((outputs,), (1,), 0), Layout((outputs,), (threads,), 0))
            each = plans.iteration(Layout((threads,), (1,), 0))
            self._rows.run(1, out, parts, whole, each, 1, outputs)
        else:
            group = max(1, min(GROUP, outputs // (4 * threads)))
            self._rows.run(threads, out, a, kept, reduced, 1, group)


def _make_columns(each, f, start):
    @inlined
    def carry(totals, waiting, blocks):
        """Fold the totals of one more block of rows with those that wait, and begin anew."""
        level = 0
        while blocks >> level & 1:
            earlier = waiting[level]
            for i in range(len(totals)):
                totals[i] = f(earlier[i], totals[i])
            level += 1
        waiting[level][: len(totals)] = totals
        totals[:] = start
        return blocks + 1

    def columns(out, a, kept, reduced, parts, group):
        """Many outputs at once, adding one row of elements after the other.

        Or ``parts`` parts of each output: ``out`` has (parts, outputs) elements.  Threads take
        ``group`` times so many at a time.
        """
        length, stride = reduced[0, -1], reduced[1, -1]
        pieces = (kept[0, -1] + COLUMNS - 1) // COLUMNS
        tasks = kept[0, 0] * pieces
        levels, most = 0, reduced[0, 0] * length // ROWS
        while most >> levels:
            levels += 1
        for chunk in each((tasks * parts + group - 1) // group):
            narrow_vectors()
            waiting = np.empty((levels, min(COLUMNS, kept[0, -1])), out.dtype)
            for task in range(chunk * group, min(chunk * group + group, tasks * parts)):
                row, first, part, top, bottom = task, 0, 0, 0, length
                if parts > 1:
                    part, row = task // tasks, task % tasks
                    top, bottom = length * part // parts, length * (part + 1) // parts
                if pieces > 1:
                    row, first = row // pieces, row % pieces * COLUMNS
                n = min(COLUMNS, kept[0, -1] - first)
                o = part * kept[0, 0] * kept[0, -1] + start_of_row(row, kept, 1) + first
                p = start_of_row(row, kept, 2) + first
                totals = out[o : o + n]
                totals[:] = start
                held = blocks = 0
                for run in range(reduced[0, 0]):
                    q = p + start_of_row(run, reduced, 1)
                    for above in range(top, bottom, ROWS):
                        if held >= ROWS:
                            blocks, held = carry(totals, waiting, blocks), 0
                        below = min(above + ROWS, bottom)
                        held += below - above
                        even = above + (below - above) // 4 * 4
                        for r in range(above, even, 4):  # four load and store totals less often
                            at = q + r * stride
                            x0, x1 = a[at : at + n], a[at + stride : at + stride + n]
                            at += 2 * stride
                            x2, x3 = a[at : at + n], a[at + stride : at + stride + n]
                            for i in range(len(totals)):
                                totals[i] = f(f(f(f(totals[i], x0[i]), x1[i]), x2[i]), x3[i])
                        for r in range(even, below):
                            x0 = a[q + r * stride : q + r * stride + n]
                            for i in range(len(totals)):
                                totals[i] = f(totals[i], x0[i])
                level = 0
                while blocks >> level:
                    if blocks >> level & 1:
                        earlier = waiting[level]
                        for i in range(len(totals)):
                            totals[i] = f(earlier[i], totals[i])
                    level += 1

    return columns


def _make_rows(each, f, start):
    @inlined
    def fold_block(total, a, at, n):
        """``n`` elements that lie side by side."""
        full_vectors()
        at = np.uintp(at)  # as in elementwise.py: a slice would cost more than a short row
        for i in range(np.uintp(n)):
            total = f(total, a[at + i])
        return total

    @inlined
    def carry(value, waiting, blocks):
        """Fold the total of one more block with those that wait."""
        level = 0
        while blocks >> level & 1:
            value = f(waiting[level], value)
            level += 1
        waiting[level] = value
        return blocks + 1

    @inlined
    def fold_few(total, a, p, reduced, first, last):
        """So few elements that one after the other is as good."""
        stride = reduced[1, -1]
        for run in range(reduced[0, 0]):
            q = p + start_of_row(run, reduced, 1)
            for r in range(first, last):
                total = f(total, a[q + r * stride])
        return total

    def rows(out, a, kept, reduced, parts, group):
        """One output at a time, or ``parts`` parts of it: ``out`` has (outputs, parts) elements.

        Threads take ``group`` of them at a time.
        """
        width, spacing = kept[0, -1], kept[2, -1]
        length, stride = reduced[0, -1], reduced[1, -1]
        tasks = kept[0, 0] * width * parts
        few = reduced[0, 0] * length < FEW
        beside = stride == 1 and length >= FEW
        together = 1 if beside or few else max(1, BLOCK // length)  # runs brought together
        times = (reduced[0, 0] + together - 1) // together
        for chunk in each((tasks + group - 1) // group):
            full_vectors()  # nothing is stored, and more is on its way from memory at once
            waiting = np.empty(64, out.dtype)
            nothing = out.dtype.type(start)
            near = np.empty(0 if few or beside else BLOCK, a.dtype)
            for task in range(chunk * group, min(chunk * group + group, tasks)):
                i, first, last = task, 0, length
                if parts > 1:
                    i, part = task // parts, task % parts
                    first, last = length * part // parts, length * (part + 1) // parts
                row, column = (i // width, i % width) if kept[0, 0] > 1 else (0, i)
                p = start_of_row(row, kept, 2) + column * spacing
                if few:
                    out[task] = fold_few(nothing, a, p, reduced, first, last)
                    continue
                blocks = 0
                for time in range(times):  # to divide at each output would cost as much as it
                    run = time * together
                    for r in range(first, last, BLOCK):
                        n = min(BLOCK, last - r)
                        if beside:
                            at = p + start_of_row(run, reduced, 1) + r
                            value = fold_block(nothing, a, at, n)
                        else:
                            held = 0
                            for near_run in range(run, min(run + together, reduced[0, 0])):
                                at = p + start_of_row(near_run, reduced, 1) + r * stride
                                for i in range(n):
                                    near[np.uintp(held + i)] = a[np.uintp(at + i * stride)]
                                held += n
                            value = fold_block(nothing, near, 0, held)
                        blocks = carry(value, waiting, blocks)
                total = nothing
                level = 0
                while blocks >> level:
                    if blocks >> level & 1:
                        total = f(waiting[level], total)
                    level += 1
                out[task] = total

    return rows


# However a product is ordered, each of its roundings stays in it, so a product of float32 is made
# in float64.  Those of a sum are small where its terms are.
total = Fold(folds.add, 0.0)
product = Fold(folds.mul, 1.0, wide=True)
largest = Fold(folds.maximum, -np.inf)
smallest = Fold(folds.minimum, np.inf)

"""Reduce: fold some dimensions of a tensor into one value each.

The plan is split in two (see :mod:`mtlib.kernels.walk`): ``kept`` walks the output and, beside it,
where each output's first element lies; ``reduced`` walks the elements that are folded into it.

Which loop is innermost is decided by the strides.  If the reduced elements lie closest together,
one output at a time is accumulated in a register.  If the outputs do (a sum over rows), a block of
outputs is accumulated at once, so that memory is still read in the order in which it lies.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from mtlib.kernels.jit import Kernel
from mtlib.kernels.walk import plan, start_of_row
from mtlib.layout import Layout, contiguous

BLOCK = 1024  # outputs accumulated at a time: 8 KB, which stays in the first-level cache


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


def reduce_kernel(f, start):
    """``out[i] = f(… f(f(start, a[i, 0]), a[i, 1]) …)``; call as
    ``kernel(out, a, *split(layout, dims), work=n)``."""

    def make(each):
        def loop(out, a, kept, reduced):
            width, sk = kept[0, -1], kept[2, -1]
            length, sr = reduced[0, -1], reduced[1, -1]
            blocks = (width + BLOCK - 1) // BLOCK
            for task in each(kept[0, 0] * blocks):
                row, first = task // blocks, task % blocks * BLOCK
                n = min(BLOCK, width - first)
                o = start_of_row(row, kept, 1) + first
                p = start_of_row(row, kept, 2) + first * sk
                totals = out[o : o + n]
                totals[:] = start
                if sk == 1 and sr != 1:
                    for run in range(reduced[0, 0]):
                        q = p + start_of_row(run, reduced, 1)
                        for r in range(length):
                            x = a[q + r * sr : q + r * sr + n]
                            for i in range(len(totals)):
                                totals[i] = f(totals[i], x[i])
                else:
                    for i in range(n):
                        total = totals[i]
                        for run in range(reduced[0, 0]):
                            q = p + i * sk + start_of_row(run, reduced, 1)
                            for r in range(length):
                                total = f(total, a[q + r * sr])
                        totals[i] = total

        return loop

    return Kernel(make)


@register_jitable
def _add(total, x):
    return total + x


@register_jitable
def _mul(total, x):
    return total * x


@register_jitable
def _max(total, x):
    return total if total >= x or total != total else x


@register_jitable
def _min(total, x):
    return total if total <= x or total != total else x


total = reduce_kernel(_add, 0.0)
product = reduce_kernel(_mul, 1.0)
largest = reduce_kernel(_max, -np.inf)
smallest = reduce_kernel(_min, np.inf)

"""Sums over all rows, one for each element of a row: the gradients of a weight and a bias.

Each thread adds up in lines of its own, as long as a strip: first ``sums``, over a few strips, then
``totals``, which keep beside them what rounding takes.  What all threads have is collected in the
end.
"""

import numpy as np

from mtlib.kernels.functions.folds import add_block
from mtlib.kernels.jit import compiled_step, full_vectors
from mtlib.kernels.plans.strided import start_of_row
from mtlib.kernels.rows.lanes import places

STRIPS = 32  # added up one after the other, before what rounding takes is kept


@compiled_step
def accumulate(sums, d):
    """``sums += d``"""
    full_vectors()
    for i in places(d):
        sums[i] += d[i]


@compiled_step
def accumulate_product(sums, d, x):
    """``sums += d · x``"""
    full_vectors()
    for i in range(np.uint64(min(len(d), len(x)))):  # a row in place is shorter than a strip
        sums[i] += d[i] * x[i]


@compiled_step
def add_up(totals, lost, sums):
    """``totals += sums``, which begin anew."""
    for i in places(totals):
        totals[i], lost[i] = add_block(totals[i], lost[i], sums[i])
        sums[i] = 0


@compiled_step
def collect(out, space, which, rows, operand):
    """Add up the sums of all threads and, across, of all lanes; store them where they belong."""
    runs, totals = rows.runs, space[0][which]
    width, step = runs[0, -1], runs[operand, -1]
    for part in range(1, len(space)):
        for i in range(len(totals)):
            totals[i] += space[part, which, i]
    for run in range(runs[0, 0]):
        at = start_of_row(run, runs, operand)
        if rows.along:
            for i in range(width):
                out[at + i * step] = totals[run * width + i]
        else:
            total = lost = out.dtype.type(0)
            for j in range(width):
                total, lost = add_block(total, lost, totals[run * width + j])
            out[at] = total

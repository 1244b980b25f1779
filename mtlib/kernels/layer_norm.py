"""Layer normalization of rows, and its derivative: see :mod:`mtlib.kernels.rows`.

The variance of a row is the mean square of what is left when its mean is taken off.  The mean of
the squares less the square of the mean would save going over the row once more, but the row is
close by, and where the mean is large no digit of that difference would be right.

The mean itself is rounded, and where a row hardly varies that can be more than it does.  So the
mean of what is left is taken off as well: it is the rest of the mean, its next digits.  Source:
Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
Recommendations", The American Statistician 37 (1983).
"""

import numpy as np

from mtlib.kernels.folds import add_block
from mtlib.kernels.jit import compiled_fma, inlined, narrow_vectors
from mtlib.kernels.lanes import (
    dots,
    lines,
    of_rows,
    places,
    spread,
    squares_less,
    sums,
    sums_less,
)
from mtlib.kernels.rows import RowKernel, fetch, keep, recall, send, share
from mtlib.kernels.walk import start_of_row


@inlined
def _average(totals, length, along):
    """From the sums of rows to their means."""
    for j in of_rows(totals, along):
        totals[j] /= totals.dtype.type(length)
    spread(totals, along)


@compiled_fma
def _forward(x, w, b, mean, rest, scale, lost, length, eps, along):
    """``x = (x - mean - rest) · scale · w + b``, for the mean and 1 / σ of each row."""
    sums(mean, lost, x, along)
    _average(mean, length, along)
    sums_less(rest, lost, x, mean, along)
    _average(rest, length, along)
    squares_less(scale, lost, x, rest, along)
    _average(scale, length, along)
    for j in places(scale):
        scale[j] = 1 / np.sqrt(scale[j] + eps)
    for at in lines(x, scale):
        for j in places(scale):
            x[at + j] = x[at + j] * scale[j] * w[at + j] + b[at + j]


@compiled_fma
def _normalize(x, mean, rest, scale):
    """``x = (x - mean - rest) · scale``"""
    for at in lines(x, mean):
        for j in places(mean):
            x[at + j] = (x[at + j] - mean[j] - rest[j]) * scale[j]


@compiled_fma
def _accumulate(totals, lost, d):
    """``totals += d``"""
    for i in places(totals):
        totals[i], lost[i] = add_block(totals[i], lost[i], d[i])


@compiled_fma
def _accumulate_product(totals, lost, d, x):
    """``totals += d · x``"""
    for i in places(totals):
        totals[i], lost[i] = add_block(totals[i], lost[i], d[i] * x[i])


@compiled_fma
def _backward(x, d, w, scale, level, slant, lost, length, along):
    """With g = d w, ``x = (g - mean g - x · mean(g x)) · scale`` for x that is normalized."""
    for i in places(d):
        d[i] *= w[i]
    sums(level, lost, d, along)
    _average(level, length, along)
    dots(slant, lost, d, x, along)
    _average(slant, length, along)
    for at in lines(x, scale):
        for j in places(scale):
            x[at + j] = (d[at + j] - level[j] - x[at + j] * slant[j]) * scale[j]


def _make_forward(each):
    def loop(
        y, x, means, rests, scales, weight, bias, eps, strips, runs, along, space, lanes, shared
    ):
        w, b, length = shared[0], shared[1], along if along else runs[0, 0]
        fetch(w, weight, 0, strips, runs, 4)
        fetch(b, bias, 0, strips, runs, 5)
        for part in each(len(space)):
            narrow_vectors()
            near = space[part][0]
            mean, rest = lanes[part][0], lanes[part][1]
            scale, lost = lanes[part][2], lanes[part][3]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                fetch(near, x, t, strips, runs, 2)
                _forward(near, w, b, mean, rest, scale, lost, length, eps, along)
                keep(means, mean, t, strips, runs, 3, along)
                keep(rests, rest, t, strips, runs, 3, along)
                keep(scales, scale, t, strips, runs, 3, along)
                send(y, near, t, strips, runs, 1)

    return loop


def _make_backward(each):
    def loop(
        dx, dw, db, x, d, means, rests, scales, weight, strips, runs, along, space, lanes, shared
    ):
        w, length = shared[0], along if along else runs[0, 0]
        fetch(w, weight, 0, strips, runs, 5)
        for part in each(len(space)):
            narrow_vectors()
            near, slope = space[part][0], space[part][1]
            dw_sums, dw_lost = space[part][2], space[part][3]
            db_sums, db_lost = space[part][4], space[part][5]
            mean, rest, scale = lanes[part][0], lanes[part][1], lanes[part][2]
            level, slant, lost = lanes[part][3], lanes[part][4], lanes[part][5]
            for i in places(near):
                dw_sums[i] = dw_lost[i] = db_sums[i] = db_lost[i] = 0
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                fetch(near, x, t, strips, runs, 2)
                fetch(slope, d, t, strips, runs, 3)
                recall(mean, means, t, strips, runs, 4, along)
                recall(rest, rests, t, strips, runs, 4, along)
                recall(scale, scales, t, strips, runs, 4, along)
                _normalize(near, mean, rest, scale)
                if len(dw) > 0:
                    _accumulate_product(dw_sums, dw_lost, slope, near)
                if len(db) > 0:
                    _accumulate(db_sums, db_lost, slope)
                _backward(near, slope, w, scale, level, slant, lost, length, along)
                send(dx, near, t, strips, runs, 1)
        if len(dw) > 0:
            _collect(dw, space, 2, runs, 6, along)
        if len(db) > 0:
            _collect(db, space, 4, runs, 6, along)

    return loop


@compiled_fma
def _collect(out, space, which, runs, operand, along):
    """Add up the sums of all threads and, across, of all lanes; store them where they belong."""
    totals, width, step = space[0][which], runs[0, -1], runs[operand, -1]
    for part in range(1, len(space)):
        for i in range(len(totals)):
            totals[i] += space[part, which, i]
    for run in range(runs[0, 0]):
        at = start_of_row(run, runs, operand)
        if along:
            for i in range(width):
                out[at + i * step] = totals[run * width + i]
        else:
            total = lost = out.dtype.type(0)
            for j in range(width):
                total, lost = add_block(total, lost, totals[run * width + j])
            out[at] = total


# Operands: (y, x, the numbers of each row, weight, bias), and (dx, x, d, the numbers of each row,
# weight, dweight and dbias).  Of these last two, one that has no elements is not wanted.
layer_norm = RowKernel(_make_forward, strips=1, lanes=4, shared=2)
layer_norm_backward = RowKernel(_make_backward, strips=6, lanes=6, shared=1)

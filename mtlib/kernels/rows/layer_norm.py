"""Layer normalization of rows, and its derivative: see :mod:`mtlib.kernels.rows.strips`.

The variance of a row is the mean square of what is left when its mean is taken off.  The mean of
the squares less the square of the mean would save going over the row once more, but the row is
close by, and where the mean is large no digit of that difference would be right.

The mean itself is rounded, and where a row hardly varies that can be more than it does.  So the
mean of what is left is taken off as well: it is the rest of the mean, its next digits.  Source:
Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
Recommendations", The American Statistician 37 (1983).
"""

import numpy as np

from mtlib.kernels.functions import folds
from mtlib.kernels.functions.folds import add_block
from mtlib.kernels.jit import compiled_step, full_vectors, inlined, narrow_vectors
from mtlib.kernels.rows.lanes import (
    BLOCK,
    at_each,
    lines,
    of_rows,
    places,
    squares_less,
    sums,
    sums_less,
)
from mtlib.kernels.rows.strips import RowKernel, fetch, in_place, keep, recall, row, send, share
from mtlib.kernels.rows.totals import STRIPS, accumulate, accumulate_product, add_up, collect


@inlined
def _average(totals, length, along):
    """From the sums of rows to their means."""
    for j in of_rows(totals, along):
        totals[j] /= totals.dtype.type(length)


@at_each
def _scale(i, lane, y, x, mean, rest, scale, w, b):
    y[i] = (x[i] - mean[lane] - rest[lane]) * scale[lane] * w[i] + b[i]


@at_each
def _normal(i, lane, y, x, mean, rest, scale):
    y[i] = (x[i] - mean[lane] - rest[lane]) * scale[lane]


@at_each
def _slope(i, lane, x, d, w, level, slant, scale):
    x[i] = (d[i] * w[i] - level[lane] - x[i] * slant[lane]) * scale[lane]


@compiled_step
def _forward(y, x, w, b, mean, rest, scale, lost, length, eps, along):
    """``y = (x - mean - rest) · scale · w + b``, for the mean and 1 / σ of each row."""
    sums(mean, lost, x, along)
    _average(mean, length, along)
    sums_less(rest, lost, x, mean, along)
    _average(rest, length, along)
    squares_less(scale, lost, x, (mean, rest), along)
    _average(scale, length, along)
    for j in of_rows(scale, along):
        scale[j] = 1 / np.sqrt(scale[j] + eps)
    _scale(scale, along, y, x, mean, rest, scale, w, b)


@compiled_step
def _normalize(y, x, mean, rest, scale, along):
    """``y = (x - mean - rest) · scale``"""
    _normal(scale, along, y, x, mean, rest, scale)


@inlined
def _sums_of_slopes(level, slant, lost, x, d, w, along):
    """Σ g and Σ g x for g = d w"""
    full_vectors()
    lost_level, lost_slant = lost
    for j in of_rows(level, along):
        level[j] = slant[j] = lost_level[j] = lost_slant[j] = 0
    if along:
        for first in range(0, along, BLOCK):
            part_level = part_slant = level.dtype.type(0)
            for i in range(np.uint64(first), np.uint64(min(first + BLOCK, along))):
                part_level = folds.add(part_level, d[i] * w[i])
                part_slant = folds.add(part_slant, d[i] * w[i] * x[i])
            level[0], lost_level[0] = add_block(level[0], lost_level[0], part_level)
            slant[0], lost_slant[0] = add_block(slant[0], lost_slant[0], part_slant)
    else:
        for at in lines(x, level):
            for j in places(level):
                g = d[at + j] * w[at + j]
                level[j], lost_level[j] = add_block(level[j], lost_level[j], g)
                slant[j], lost_slant[j] = add_block(slant[j], lost_slant[j], g * x[at + j])


@compiled_step
def _backward(x, d, w, scale, level, slant, lost, length, along):
    """With g = d w, ``x = (g - mean g - x · mean(g x)) · scale`` for x that is normalized."""
    _sums_of_slopes(level, slant, lost, x, d, w, along)
    _average(level, length, along)
    _average(slant, length, along)
    _slope(scale, along, x, d, w, level, slant, scale)


def _make_forward(each):
    def loop(
        y, x, means, rests, scales, weight, bias, eps, strips, runs, along, space, lanes, shared
    ):
        w, b, length = shared[0], shared[1], along if along else runs[0, 0]
        fetch(w, weight, 0, strips, runs, 4)
        fetch(b, bias, 0, strips, runs, 5)
        for part in each(len(space)):
            narrow_vectors()
            mean, rest = lanes[part][0], lanes[part][1]
            scale, lost = lanes[part][2], lanes[part][3]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = y[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                far = x[row(t, strips, 2, along)] if in_place(runs, 2, along) else near
                if not in_place(runs, 2, along):
                    fetch(near, x, t, strips, runs, 2)
                _forward(near, far, w, b, mean, rest, scale, lost, length, eps, along)
                keep(means, mean, t, strips, runs, 3, along)
                keep(rests, rest, t, strips, runs, 3, along)
                keep(scales, scale, t, strips, runs, 3, along)
                send(y, near, t, strips, runs, 1, along)

    return loop


def _make_backward(each):
    def loop(
        dx, dw, db, x, d, means, rests, scales, weight, strips, runs, along, space, lanes, shared
    ):
        w, length = shared[0], along if along else runs[0, 0]
        fetch(w, weight, 0, strips, runs, 5)
        for part in each(len(space)):
            narrow_vectors()
            dw_totals, dw_lost, dw_sums = space[part][2], space[part][3], space[part][4]
            db_totals, db_lost, db_sums = space[part][5], space[part][6], space[part][7]
            mean, rest, scale = lanes[part][0], lanes[part][1], lanes[part][2]
            level, slant, lost = lanes[part][3], lanes[part][4], lanes[part][5:7]
            for i in places(dw_totals):
                dw_totals[i] = dw_lost[i] = dw_sums[i] = 0
                db_totals[i] = db_lost[i] = db_sums[i] = 0
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = dx[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                far = x[row(t, strips, 2, along)] if in_place(runs, 2, along) else near
                if not in_place(runs, 2, along):
                    fetch(near, x, t, strips, runs, 2)
                slope = d[row(t, strips, 3, along)] if in_place(runs, 3, along) else space[part][1]
                if not in_place(runs, 3, along):
                    fetch(space[part][1], d, t, strips, runs, 3)
                recall(mean, means, t, strips, runs, 4, along)
                recall(rest, rests, t, strips, runs, 4, along)
                recall(scale, scales, t, strips, runs, 4, along)
                _normalize(near, far, mean, rest, scale, along)
                if len(dw) > 0:
                    accumulate_product(dw_sums, slope, near)
                if len(db) > 0:
                    accumulate(db_sums, slope)
                if (t - first) % STRIPS == STRIPS - 1 or t == last - 1:
                    add_up(dw_totals, dw_lost, dw_sums)
                    add_up(db_totals, db_lost, db_sums)
                _backward(near, slope, w, scale, level, slant, lost, length, along)
                send(dx, near, t, strips, runs, 1, along)
        if len(dw) > 0:
            collect(dw, space, 2, runs, 6, along)
        if len(db) > 0:
            collect(db, space, 5, runs, 6, along)

    return loop


# Operands: (y, x, the numbers of each row, weight, bias), and (dx, x, d, the numbers of each row,
# weight, dweight and dbias).  Of these last two, one that has no elements is not wanted.
layer_norm = RowKernel(_make_forward, strips=1, lanes=4, shared=2)
layer_norm_backward = RowKernel(_make_backward, strips=8, lanes=7, shared=1)

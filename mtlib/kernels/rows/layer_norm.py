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
from mtlib.kernels.rows.strips import (
    RowKernel,
    bring,
    fetch,
    in_place,
    keep,
    recall,
    row,
    send,
    strips_of,
)
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


# The operands, by their rows in the tables; KEPT stands for the three numbers of each row.
OUT, X, KEPT, WEIGHT = 1, 2, 3, 4
BIAS = 5  # of forward
D, SUMS = 5, 6  # of backward; SUMS is how the gradients of weight and bias lie


def _make_forward(each):
    def loop(y, x, kept, weight, bias, eps, rows, space, lanes, shared):
        means, rests, scales = kept
        w, b, along = shared[0], shared[1], rows.along
        length = along if along else rows.runs[0, 0]
        fetch(w, weight, 0, rows, WEIGHT)
        fetch(b, bias, 0, rows, BIAS)
        for part in each(len(space)):
            narrow_vectors()
            mean, rest = lanes[part][0], lanes[part][1]
            scale, lost = lanes[part][2], lanes[part][3]
            for t in strips_of(part, len(space), rows):
                near = y[row(t, rows, OUT)] if in_place(rows, OUT) else space[part][0]
                bring(near, x, t, rows, X)
                far = x[row(t, rows, X)] if in_place(rows, X) else near
                _forward(near, far, w, b, mean, rest, scale, lost, length, eps, along)
                keep(means, mean, t, rows, KEPT)
                keep(rests, rest, t, rows, KEPT)
                keep(scales, scale, t, rows, KEPT)
                send(y, near, t, rows, OUT)

    return loop


def _make_backward(each):
    def loop(dx, dw, db, x, d, kept, weight, rows, space, lanes, shared):
        means, rests, scales = kept
        w, along = shared[0], rows.along
        length = along if along else rows.runs[0, 0]
        fetch(w, weight, 0, rows, WEIGHT)
        for part in each(len(space)):
            narrow_vectors()
            dw_totals, dw_lost, dw_sums = space[part][2], space[part][3], space[part][4]
            db_totals, db_lost, db_sums = space[part][5], space[part][6], space[part][7]
            mean, rest, scale = lanes[part][0], lanes[part][1], lanes[part][2]
            level, slant, lost = lanes[part][3], lanes[part][4], lanes[part][5:7]
            for i in places(dw_totals):
                dw_totals[i] = dw_lost[i] = dw_sums[i] = 0
                db_totals[i] = db_lost[i] = db_sums[i] = 0
            strips = strips_of(part, len(space), rows)
            for t in strips:
                near = dx[row(t, rows, OUT)] if in_place(rows, OUT) else space[part][0]
                bring(near, x, t, rows, X)
                far = x[row(t, rows, X)] if in_place(rows, X) else near
                bring(space[part][1], d, t, rows, D)
                slope = d[row(t, rows, D)] if in_place(rows, D) else space[part][1]
                recall(mean, means, t, rows, KEPT)
                recall(rest, rests, t, rows, KEPT)
                recall(scale, scales, t, rows, KEPT)
                _normalize(near, far, mean, rest, scale, along)
                if len(dw) > 0:
                    accumulate_product(dw_sums, slope, near)
                if len(db) > 0:
                    accumulate(db_sums, slope)
                if (t - strips.start) % STRIPS == STRIPS - 1 or t == strips.stop - 1:
                    add_up(dw_totals, dw_lost, dw_sums)
                    add_up(db_totals, db_lost, db_sums)
                _backward(near, slope, w, scale, level, slant, lost, length, along)
                send(dx, near, t, rows, OUT)
        if len(dw) > 0:
            collect(dw, space, 2, rows, SUMS)
        if len(db) > 0:
            collect(db, space, 5, rows, SUMS)

    return loop


# Of dweight and dbias, one that has no elements is not wanted.
layer_norm = RowKernel(_make_forward, strips=1, lanes=4, shared=2)
layer_norm_backward = RowKernel(_make_backward, strips=8, lanes=7, shared=1)

"""RMS normalization of rows, and its derivative: see :mod:`mtlib.kernels.rows.strips`."""

import numpy as np

from mtlib.kernels.jit import compiled_step, inlined, narrow_vectors
from mtlib.kernels.rows.lanes import at_each, dots, of_rows, places, sums_of
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
from mtlib.kernels.rows.totals import STRIPS, accumulate_product, add_up, collect


@at_each
def _scale(i, lane, y, x, scale, w):
    y[i] = x[i] * scale[lane] * w[i]


@at_each
def _normal(i, lane, y, x, scale):
    y[i] = x[i] * scale[lane]


@at_each
def _slope(i, lane, x, d, w, slant, scale):
    x[i] = (d[i] * w[i] - x[i] * slant[lane]) * scale[lane]


@sums_of
@inlined
def _slants(x, others, i, lane):
    return x[i] * others[0][i] * others[1][i]


@compiled_step
def _forward(y, x, w, scale, lost, length, eps, along):
    """``y = x · scale · w``, for the 1 / σ of each row."""
    dots(scale, lost, x, x, along)
    for j in of_rows(scale, along):
        scale[j] = 1 / np.sqrt(scale[j] / scale.dtype.type(length) + eps)
    _scale(scale, along, y, x, scale, w)


@compiled_step
def _normalize(y, x, scale, along):
    """``y = x · scale``"""
    _normal(scale, along, y, x, scale)


@compiled_step
def _backward(x, d, w, scale, slant, lost, length, along):
    """With g = d w, ``x = (g - x · mean(g x)) · scale`` for x that is normalized."""
    _slants(slant, lost, x, (d, w), along)
    for j in of_rows(slant, along):
        slant[j] /= slant.dtype.type(length)
    _slope(scale, along, x, d, w, slant, scale)


# The operands, by their rows in the tables; KEPT is the number of each row.
OUT, X, KEPT, WEIGHT = 1, 2, 3, 4
D, SUMS = 5, 6  # of backward; SUMS is how the gradient of the weight lies


def _make_forward(each):
    def loop(y, x, scales, weight, eps, rows, space, lanes, shared):
        w, along = shared[0], rows.along
        length = along if along else rows.runs[0, 0]
        fetch(w, weight, 0, rows, WEIGHT)
        for part in each(len(space)):
            narrow_vectors()
            scale, lost = lanes[part][0], lanes[part][1]
            for t in strips_of(part, len(space), rows):
                near = y[row(t, rows, OUT)] if in_place(rows, OUT) else space[part][0]
                bring(near, x, t, rows, X)
                far = x[row(t, rows, X)] if in_place(rows, X) else near
                _forward(near, far, w, scale, lost, length, eps, along)
                keep(scales, scale, t, rows, KEPT)
                send(y, near, t, rows, OUT)

    return loop


def _make_backward(each):
    def loop(dx, dw, x, d, scales, weight, rows, space, lanes, shared):
        w, along = shared[0], rows.along
        length = along if along else rows.runs[0, 0]
        fetch(w, weight, 0, rows, WEIGHT)
        for part in each(len(space)):
            narrow_vectors()
            totals, dw_lost, sums = space[part][2], space[part][3], space[part][4]
            scale, slant, lost = lanes[part][0], lanes[part][1], lanes[part][2]
            for i in places(totals):
                totals[i] = dw_lost[i] = sums[i] = 0
            strips = strips_of(part, len(space), rows)
            for t in strips:
                near = dx[row(t, rows, OUT)] if in_place(rows, OUT) else space[part][0]
                bring(near, x, t, rows, X)
                far = x[row(t, rows, X)] if in_place(rows, X) else near
                bring(space[part][1], d, t, rows, D)
                slope = d[row(t, rows, D)] if in_place(rows, D) else space[part][1]
                recall(scale, scales, t, rows, KEPT)
                _normalize(near, far, scale, along)
                if len(dw) > 0:
                    accumulate_product(sums, slope, near)
                    if (t - strips.start) % STRIPS == STRIPS - 1 or t == strips.stop - 1:
                        add_up(totals, dw_lost, sums)
                _backward(near, slope, w, scale, slant, lost, length, along)
                send(dx, near, t, rows, OUT)
        if len(dw) > 0:
            collect(dw, space, 2, rows, SUMS)

    return loop


# A dweight that has no elements is not wanted.
rms_norm = RowKernel(_make_forward, strips=1, lanes=2, shared=1)
rms_norm_backward = RowKernel(_make_backward, strips=5, lanes=3, shared=1)

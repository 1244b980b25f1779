"""RMS normalization of rows, and its derivative: see :mod:`mtlib.kernels.rows.strips`."""

import numpy as np

from mtlib.kernels.jit import compiled_step, inlined, narrow_vectors
from mtlib.kernels.rows.lanes import at_each, dots, of_rows, places, sums_of
from mtlib.kernels.rows.strips import RowKernel, fetch, in_place, keep, recall, row, send, share
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


def _make_forward(each):
    def loop(y, x, scales, weight, eps, strips, runs, along, space, lanes, shared):
        w, length = shared[0], along if along else runs[0, 0]
        fetch(w, weight, 0, strips, runs, 4)
        for part in each(len(space)):
            narrow_vectors()
            scale, lost = lanes[part][0], lanes[part][1]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = y[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                far = x[row(t, strips, 2, along)] if in_place(runs, 2, along) else near
                if not in_place(runs, 2, along):
                    fetch(near, x, t, strips, runs, 2)
                _forward(near, far, w, scale, lost, length, eps, along)
                keep(scales, scale, t, strips, runs, 3, along)
                send(y, near, t, strips, runs, 1, along)

    return loop


def _make_backward(each):
    def loop(dx, dw, x, d, scales, weight, strips, runs, along, space, lanes, shared):
        w, length = shared[0], along if along else runs[0, 0]
        fetch(w, weight, 0, strips, runs, 5)
        for part in each(len(space)):
            narrow_vectors()
            totals, dw_lost, sums = space[part][2], space[part][3], space[part][4]
            scale, slant, lost = lanes[part][0], lanes[part][1], lanes[part][2]
            for i in places(totals):
                totals[i] = dw_lost[i] = sums[i] = 0
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = dx[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                far = x[row(t, strips, 2, along)] if in_place(runs, 2, along) else near
                if not in_place(runs, 2, along):
                    fetch(near, x, t, strips, runs, 2)
                slope = d[row(t, strips, 3, along)] if in_place(runs, 3, along) else space[part][1]
                if not in_place(runs, 3, along):
                    fetch(space[part][1], d, t, strips, runs, 3)
                recall(scale, scales, t, strips, runs, 4, along)
                _normalize(near, far, scale, along)
                if len(dw) > 0:
                    accumulate_product(sums, slope, near)
                    if (t - first) % STRIPS == STRIPS - 1 or t == last - 1:
                        add_up(totals, dw_lost, sums)
                _backward(near, slope, w, scale, slant, lost, length, along)
                send(dx, near, t, strips, runs, 1, along)
        if len(dw) > 0:
            collect(dw, space, 2, runs, 6, along)

    return loop


# Operands: (y, x, the number of each row, weight), and (dx, x, d, the number of each row, weight,
# dweight); if this last has no elements it is not wanted.
rms_norm = RowKernel(_make_forward, strips=1, lanes=2, shared=1)
rms_norm_backward = RowKernel(_make_backward, strips=5, lanes=3, shared=1)

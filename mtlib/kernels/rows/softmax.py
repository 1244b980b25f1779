"""softmax and log_softmax of rows, and their derivatives: see :mod:`mtlib.kernels.rows.strips`.

The largest of a row is subtracted first.  It cancels out of the result, and without it the powers
would overflow.
"""

from mtlib.kernels.functions.transcendental import decay, log
from mtlib.kernels.jit import compiled_step, narrow_vectors
from mtlib.kernels.rows.lanes import (
    at_each,
    dots,
    largest,
    of_rows,
    sums,
    sums_of_kept_powers,
    sums_of_powers,
)
from mtlib.kernels.rows.strips import RowKernel, fetch, in_place, row, send, share


@at_each
def _scale(i, lane, x, totals):
    x[i] *= totals[lane]


@at_each
def _less_logarithm(i, lane, x, most, logs):
    x[i] = (x[i] - most[lane]) - logs[lane]  # most + logs would lose digits


@at_each
def _slope(i, lane, y, d, totals):
    y[i] *= d[i] - totals[lane]


@at_each
def _slope_of_logarithm(i, lane, y, d, totals):
    y[i] = d[i] - decay(y[i]) * totals[lane]


@compiled_step
def _softmax(x, most, totals, lost, along):
    largest(most, x, along)
    sums_of_kept_powers(totals, lost, x, most, along)
    for j in of_rows(totals, along):
        totals[j] = 1 / totals[j]
    _scale(totals, along, x, totals)


@compiled_step
def _log_softmax(x, most, totals, lost, along):
    largest(most, x, along)
    sums_of_powers(totals, lost, x, most, along)
    for j in of_rows(totals, along):
        totals[j] = log(totals[j])
    _less_logarithm(totals, along, x, most, totals)


@compiled_step
def _softmax_backward(y, d, totals, lost, along):
    dots(totals, lost, d, y, along)
    _slope(totals, along, y, d, totals)


@compiled_step
def _log_softmax_backward(y, d, totals, lost, along):
    sums(totals, lost, d, along)
    _slope_of_logarithm(totals, along, y, d, totals)


def _make_forward(each):
    def loop(out, x, logarithm, strips, runs, along, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            most, totals, lost = lanes[part][0], lanes[part][1], lanes[part][2]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = out[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                fetch(near, x, t, strips, runs, 2)
                if logarithm:
                    _log_softmax(near, most, totals, lost, along)
                else:
                    _softmax(near, most, totals, lost, along)
                send(out, near, t, strips, runs, 1, along)

    return loop


def _make_backward(each):
    def loop(out, y, d, logarithm, strips, runs, along, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            totals, lost = lanes[part][0], lanes[part][1]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = out[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                fetch(near, y, t, strips, runs, 2)
                slope = d[row(t, strips, 3, along)] if in_place(runs, 3, along) else space[part][1]
                if not in_place(runs, 3, along):
                    fetch(space[part][1], d, t, strips, runs, 3)
                if logarithm:
                    _log_softmax_backward(near, slope, totals, lost, along)
                else:
                    _softmax_backward(near, slope, totals, lost, along)
                send(out, near, t, strips, runs, 1, along)

    return loop


# Operands: (y, x), and (dx, y, d).  The last argument tells whether it is the logarithm.
softmax = RowKernel(_make_forward, strips=1, lanes=3)
softmax_backward = RowKernel(_make_backward, strips=2, lanes=2)

"""softmax and log_softmax of rows, and their derivatives: see :mod:`mtlib.kernels.rows`.

The largest of a row is subtracted first.  It cancels out of the result, and without it the powers
would overflow.
"""

from mtlib.kernels.jit import compiled_fma, narrow_vectors
from mtlib.kernels.lanes import (
    dots,
    largest,
    lines,
    of_rows,
    places,
    spread,
    sums,
    sums_of_powers,
)
from mtlib.kernels.rows import RowKernel, fetch, send, share
from mtlib.kernels.transcendental import decay, log


@compiled_fma
def _softmax(x, most, totals, lost, along):
    largest(most, x, along)
    spread(most, along)
    for at in lines(x, most):
        for j in places(most):
            x[at + j] = decay(x[at + j] - most[j])
    sums(totals, lost, x, along)
    for j in of_rows(totals, along):
        totals[j] = 1 / totals[j]
    spread(totals, along)
    for at in lines(x, totals):
        for j in places(totals):
            x[at + j] *= totals[j]


@compiled_fma
def _log_softmax(x, most, totals, lost, along):
    largest(most, x, along)
    sums_of_powers(totals, lost, x, most, along)
    for j in of_rows(totals, along):
        totals[j] = log(totals[j])
    spread(most, along)
    spread(totals, along)
    for at in lines(x, totals):
        for j in places(totals):
            x[at + j] = (x[at + j] - most[j]) - totals[j]  # most + totals would lose digits


@compiled_fma
def _softmax_backward(y, d, totals, lost, along):
    dots(totals, lost, d, y, along)
    spread(totals, along)
    for at in lines(y, totals):
        for j in places(totals):
            y[at + j] *= d[at + j] - totals[j]


@compiled_fma
def _log_softmax_backward(y, d, totals, lost, along):
    sums(totals, lost, d, along)
    spread(totals, along)
    for at in lines(y, totals):
        for j in places(totals):
            y[at + j] = d[at + j] - decay(y[at + j]) * totals[j]


def _make_forward(each):
    def loop(out, x, logarithm, strips, runs, along, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            near = space[part][0]
            most, totals, lost = lanes[part][0], lanes[part][1], lanes[part][2]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                fetch(near, x, t, strips, runs, 2)
                if logarithm:
                    _log_softmax(near, most, totals, lost, along)
                else:
                    _softmax(near, most, totals, lost, along)
                send(out, near, t, strips, runs, 1)

    return loop


def _make_backward(each):
    def loop(out, y, d, logarithm, strips, runs, along, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            near, slope = space[part][0], space[part][1]
            totals, lost = lanes[part][0], lanes[part][1]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                fetch(near, y, t, strips, runs, 2)
                fetch(slope, d, t, strips, runs, 3)
                if logarithm:
                    _log_softmax_backward(near, slope, totals, lost, along)
                else:
                    _softmax_backward(near, slope, totals, lost, along)
                send(out, near, t, strips, runs, 1)

    return loop


# Operands: (y, x), and (dx, y, d).  The last argument tells whether it is the logarithm.
softmax = RowKernel(_make_forward, strips=1, lanes=3)
softmax_backward = RowKernel(_make_backward, strips=2, lanes=2)

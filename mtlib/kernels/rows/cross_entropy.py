"""Cross entropy of rows of logits, and its derivative: see :mod:`mtlib.kernels.rows.strips`.

The loss of a row x with the label c is -ln softmax(x)[c] = m - x[c] + ln Σ eˣ⁻ᵐ, m being the
largest of the row.  Of each row m and the sum are kept.  Their combination m + ln Σ eˣ⁻ᵐ would be
one number less, but where m is large it would round away the digits of the logarithm.
"""

from mtlib.kernels.functions.transcendental import decay, log
from mtlib.kernels.jit import compiled_step, inlined, narrow_vectors
from mtlib.kernels.rows.lanes import at_each, largest, of_rows, sums_of_powers
from mtlib.kernels.rows.strips import (
    RowKernel,
    fetch,
    in_place,
    keep,
    recall,
    row,
    rows_in,
    send,
    share,
)
from mtlib.kernels.strided.walk import start_of_row


@inlined
def _place(label, j, width, along):
    """Where in a strip the element ``label`` of its row ``j`` is."""
    return label if along else label * width + j


@at_each
def _power(i, lane, x, most, factors):
    x[i] = decay(x[i] - most[lane]) * factors[lane]


@compiled_step
def _forward(x, most, totals, logs, along):
    largest(most, x, along)
    sums_of_powers(totals, logs, x, most, along)
    for j in of_rows(logs, along):
        logs[j] = log(totals[j])


@compiled_step
def _backward(x, most, totals, slope, factor, along):
    """``x = softmax(x) · slope``, slope being the gradient of each row's loss times ``factor``."""
    for j in of_rows(slope, along):
        slope[j] *= factor
        totals[j] = slope[j] / totals[j]
    _power(totals, along, x, most, totals)


def _make_forward(each):
    def loop(x, labels, losses, largests, totals, strips, runs, along, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            most, total, loss = lanes[part][0], lanes[part][1], lanes[part][2]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = x[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                if not in_place(runs, 1, along):  # x may be one that nothing can be written to
                    fetch(space[part][0], x, t, strips, runs, 1)
                _forward(near, most, total, loss, along)
                start, step = start_of_row(t, strips, 2), runs[2, -1]
                for j in range(rows_in(t, strips, runs, along)):
                    label = labels[start + j * step]
                    loss[j] += most[j] - near[_place(label, j, len(most), along)]
                keep(losses, loss, t, strips, runs, 2, along)
                keep(largests, most, t, strips, runs, 2, along)
                keep(totals, total, t, strips, runs, 2, along)

    return loop


def _make_backward(each):
    def loop(out, x, d, labels, largests, totals, factor, strips, runs, along, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            most, total, slope = lanes[part][0], lanes[part][1], lanes[part][2]
            first, last = share(part, len(space), strips)
            for t in range(first, last):
                near = out[row(t, strips, 1, along)] if in_place(runs, 1, along) else space[part][0]
                fetch(near, x, t, strips, runs, 2)
                recall(slope, d, t, strips, runs, 3, along)
                recall(most, largests, t, strips, runs, 4, along)
                recall(total, totals, t, strips, runs, 4, along)
                _backward(near, most, total, slope, factor, along)
                start, step = start_of_row(t, strips, 4), runs[4, -1]
                for j in range(rows_in(t, strips, runs, along)):
                    label = labels[start + j * step]
                    near[_place(label, j, len(most), along)] -= slope[j]
                send(out, near, t, strips, runs, 1, along)

    return loop


# Operands: (x, the numbers of each row), and (dx, x, d, the numbers of each row).
cross_entropy = RowKernel(_make_forward, strips=1, lanes=3)
cross_entropy_backward = RowKernel(_make_backward, strips=1, lanes=3)

"""Cross entropy of rows of logits, and its derivative: see :mod:`mtlib.kernels.rows.strips`.

The loss of a row x with the label c is -ln softmax(x)[c] = m - x[c] + ln Σ eˣ⁻ᵐ, m being the
largest of the row.  Of each row m and the sum are kept.  Their combination m + ln Σ eˣ⁻ᵐ would be
one number less, but where m is large it would round away the digits of the logarithm.
"""

from mtlib.kernels.functions.transcendental import decay, log
from mtlib.kernels.jit import compiled_step, inlined, narrow_vectors
from mtlib.kernels.plans.strided import start_of_row
from mtlib.kernels.rows.lanes import at_each, largest, of_rows, sums_of_powers
from mtlib.kernels.rows.strips import (
    RowKernel,
    bring,
    fetch,
    in_place,
    keep,
    recall,
    row,
    rows_in,
    send,
    strips_of,
)


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


# The operands, by their rows in the tables: the logits, and what there is one of for each row.
LOGITS, EACH = 1, 2


def _make_forward(each):
    def loop(x, labels, losses, largests, totals, rows, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            most, total, loss = lanes[part][0], lanes[part][1], lanes[part][2]
            for t in strips_of(part, len(space), rows):
                bring(space[part][0], x, t, rows, LOGITS)
                near = x[row(t, rows, LOGITS)] if in_place(rows, LOGITS) else space[part][0]
                _forward(near, most, total, loss, rows.along)
                start, step = start_of_row(t, rows.strips, EACH), rows.runs[EACH, -1]
                for j in range(rows_in(t, rows)):
                    label = labels[start + j * step]
                    loss[j] += most[j] - near[_place(label, j, len(most), rows.along)]
                keep(losses, loss, t, rows, EACH)
                keep(largests, most, t, rows, EACH)
                keep(totals, total, t, rows, EACH)

    return loop


DX, X, D, KEPT = 1, 2, 3, 4  # those of backward; d has one number for each row, or one for all


def _make_backward(each):
    def loop(dx, x, d, labels, largests, totals, factor, rows, space, lanes):
        for part in each(len(space)):
            narrow_vectors()
            most, total, slope = lanes[part][0], lanes[part][1], lanes[part][2]
            for t in strips_of(part, len(space), rows):
                near = dx[row(t, rows, DX)] if in_place(rows, DX) else space[part][0]
                fetch(near, x, t, rows, X)
                recall(slope, d, t, rows, D)
                recall(most, largests, t, rows, KEPT)
                recall(total, totals, t, rows, KEPT)
                _backward(near, most, total, slope, factor, rows.along)
                start, step = start_of_row(t, rows.strips, KEPT), rows.runs[KEPT, -1]
                for j in range(rows_in(t, rows)):
                    label = labels[start + j * step]
                    near[_place(label, j, len(most), rows.along)] -= slope[j]
                send(dx, near, t, rows, DX)

    return loop


cross_entropy = RowKernel(_make_forward, strips=1, lanes=3)
cross_entropy_backward = RowKernel(_make_backward, strips=1, lanes=3)

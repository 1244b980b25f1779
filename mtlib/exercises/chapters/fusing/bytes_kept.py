"""What backward keeps of the naive product."""

from __future__ import annotations

import mtlib
from mtlib.exercises.formulas import Formula


def saved_by_naive(m, k, n):
    a, b = mtlib.ones(m, k, requires_grad=True), mtlib.ones(k, n, requires_grad=True)
    with mtlib.trace() as t:
        mtlib.naive.matmul(a, b)
    return t.saved_bytes


BYTES_KEPT = Formula(
    name="bytes_kept",
    task="The bytes that save_for_backward holds after naive.matmul of (m, k) and (k, n).",
    measure=saved_by_naive,
    sizes=[{"m": 11, "k": 17, "n": 13}, {"m": 5, "k": 1, "n": 2}, {"m": 7, "k": 6, "n": 5}],
    unit="bytes",
    slips={
        "8 * m*k*n": "that is what the reduce keeps; the zip keeps its two operands too",
        "m*k*n": "that is what the reduce keeps, in elements; the zip keeps its operands too, and "
        "a float64 takes 8 bytes",
        "8 * (m*k + k*n)": "that is what the zip keeps; the reduce keeps what it added up",
        "8 * 3*m*k*n": "the stretched operands are counted in full; with stride 0 they hold on to "
        "no more than the m·k and k·n numbers that are stored",
        "8 * (m*k + k*n + m*k*n + m*n)": "the result is counted too, and nobody saves it",
        "8 * (m*k*n + m*n)": "that is what is allocated; of it backward keeps the products, and "
        "beside them the operands",
        "8 * (m*k + k*n + m*n)": "those are the operands and the result; nobody saves the result, "
        "and the reduce saves the m·k·n products that it added up",
        "8 * (m*k + k*n + 3*m*k*n)": "the stretched operands are counted beside the stored ones; "
        "with stride 0 they have no memory of their own",
        "8 * m*n": "that is the result, and nobody saves it; the zip and the reduce save what went "
        "in",
    },
    lines=2,
    hints=(
        "Two operations save something. Print a trace: which, and how much?",
        "The zip saves two views. A view has no memory of its own: whose memory does it hold?",
        "Add up the elements of three arrays: both operands as they were before they were "
        "stretched, and what the reduce was given. Then turn elements into bytes.",
    ),
)


@BYTES_KEPT.solution
def bytes_kept(m, k, n):
    return 8 * (m * k + k * n + m * k * n)


BYTES_KEPT.stub(lambda m, k, n: None)
BYTES_KEPT.refused(
    "in bytes each float64 counts 8",
    lambda m, k, n: m * k + k * n + m * k * n,
)
BYTES_KEPT.refused("it lacks k·n", lambda m, k, n: 8 * (m * k + m * k * n))

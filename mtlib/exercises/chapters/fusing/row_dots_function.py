"""A Function around a kernel of the reader's own."""

from __future__ import annotations

import numpy as np
from numba import njit

import mtlib
from mtlib.exercises.chapters.fusing.row_dots import row_dots
from mtlib.exercises.functions import KernelFunction, with_methods


@njit
def dots(out, a, b):
    for i in range(a.shape[0]):
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * b[i, k]
        out[i] = total


@njit
def adding_dots(out, a, b):
    for i, k in np.ndindex(a.shape):
        out[i] += a[i, k] * b[i, k]


@njit
def blind_dots(out, a, b):
    for i in range(a.shape[0]):
        out[i] = np.sum(a[i] * b[i])


@njit
def hoarding_dots(out, a, b):
    for i in range(a.shape[0]):
        products = [a[i, k] * b[i, k] for k in range(a.shape[1])]
        out[i] = sum(products)


class RowDots(mtlib.Function):
    """What a reader may write."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        out = mtlib.zeros(a.shape[0])
        dots(out.numpy(), a.numpy(), b.numpy())
        return out

    @staticmethod
    def backward(ctx, d):
        a, b = ctx.saved_tensors
        column = d.view(d.shape[0], 1)
        return column * b, column * a


ROW_DOTS_FUNCTION = KernelFunction(
    name="row_dots_function",
    task="A Function for out[i] = Σₖ a[i, k] · b[i, k], around a Numba kernel of your own.",
    given=RowDots,
    inputs={"a": "m k", "b": "m k"},
    result="m",
    forward=lambda a, b: (a * b).sum(1),
    gradients={"a": lambda d, a, b: d[:, None] * b, "b": lambda d, a, b: d[:, None] * a},
    loads="2 * m*k",
    stores="m",
    hints=(
        "The kernel is exercise 2, with out as its first argument and nothing to return. Take the "
        "Function around plain.ijk as a pattern.",
        "Where did a[i, k] go? To one element of the result only. So backward has nothing to add "
        "up, and needs no kernel.",
        "Forward: save both, make m zeros, give the kernel the three arrays that .numpy() gives, "
        "return the tensor. Backward: view d as a column, and zip it with the other operand.",
    ),
)
ROW_DOTS_FUNCTION.solution(RowDots)


def around(work):
    """The Function with ``work`` in the place of the kernel."""

    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        out = mtlib.zeros(a.shape[0])
        work(out.numpy(), a.numpy(), b.numpy())
        return out

    return forward


def unsaved(ctx, a, b):
    out = mtlib.zeros(a.shape[0])
    dots(out.numpy(), a.numpy(), b.numpy())
    return out


def python_dots(out, a, b):
    out[:] = row_dots(a, b)


for sentence, forward in {
    "forward lets mtlib's mul do the work": lambda ctx, a, b: (a * b).sum(1),
    "forward runs no kernel of yours": around(python_dots),
    "it stores 15 numbers where m = 3 are enough": around(adding_dots),
    "an intermediate of shape (5,) is made": around(blind_dots),
    "(for k = 250) is made": around(hoarding_dots),
    "the kernel is given tensors": lambda ctx, a, b: dots(mtlib.zeros(len(a)), a, b),
    "saved nothing": unsaved,
}.items():
    ROW_DOTS_FUNCTION.refused(sentence, with_methods(RowDots, forward=forward))
ROW_DOTS_FUNCTION.stub(
    with_methods(RowDots, forward=lambda ctx, a, b: None, backward=lambda ctx, d: (None, None))
)


@ROW_DOTS_FUNCTION.wrong("each gradient has its own operand; it is the other one that counts")
def own_operand(ctx, d):
    a, b = ctx.saved_tensors
    column = d.view(d.shape[0], 1)
    return column * a, column * b


@ROW_DOTS_FUNCTION.wrong("d has no part in it; it says how much each result counts")
def nothing_from_above(ctx, d):
    a, b = ctx.saved_tensors
    return b, a

"""Chapter 00, Fuse a matrix multiplication."""

from __future__ import annotations

import numpy as np
from numba import njit

import mtlib
from mtlib.exercises.formulas import Formula
from mtlib.exercises.functions import Derivative, KernelFunction, with_methods
from mtlib.exercises.loops import Loops
from mtlib.exercises.predictions import Prediction

PREDICTIONS = [
    Prediction(
        name="intermediate",
        unit="bytes",
        right="8 * m*k*n",
        wrong={
            "8 * m*n": "that is the result; it has one number where the intermediate has k",
            "8 * (m*k + k*n)": "those are the operands; each row meets each column, and leaves k "
            "products",
        },
    ),
    Prediction(
        name="saved",
        unit="bytes",
        right="8 * (m*k + k*n + m*k*n)",
        wrong={
            "8 * m*k*n": "that is what the reduce saves; the zip saves its two operands too",
            "8 * (m*k + k*n)": "that is what the zip saves; the reduce saves what it added up",
            "8 * 3*m*k*n": "the zip saves views with stride 0, which hold on to no more than the "
            "memory of M and N",
        },
    ),
    Prediction(
        name="fused_peak",
        unit="bytes",
        right="8 * m*n",
        wrong={
            "8 * m*k*n": "that is the intermediate, and there is none any more",
            "8 * (m*k + k*n + m*n)": "the operands were there before, and nothing is set aside for "
            "them",
            "0": "the result has to be somewhere",
        },
    ),
]

# --- 1. What is kept ------------------------------------------------------------------------------


def saved_by_naive(m, k, n):
    a, b = mtlib.ones(m, k, requires_grad=True), mtlib.ones(k, n, requires_grad=True)
    with mtlib.trace() as t:
        mtlib.naive.matmul(a, b)
    return t.saved_bytes


BYTES_KEPT = Formula(
    name="bytes_kept",
    task="The bytes that save_for_backward holds after naive.matmul of (m, k) and (k, n).",
    measure=saved_by_naive,
    sizes=[{"m": 2, "k": 4, "n": 3}, {"m": 5, "k": 1, "n": 2}, {"m": 7, "k": 6, "n": 5}],
    unit="bytes",
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
BYTES_KEPT.wrong(
    "that is what the reduce keeps; the zip keeps its two operands too",
    lambda m, k, n: 8 * m * k * n,
)
BYTES_KEPT.wrong(
    "that is what the zip keeps; the reduce keeps the products that it added up",
    lambda m, k, n: 8 * (m * k + k * n),
)
BYTES_KEPT.wrong(
    "the stretched operands are counted in full; with stride 0 they hold on to no more than the "
    "m·k and k·n numbers that are stored",
    lambda m, k, n: 8 * 3 * m * k * n,
)
BYTES_KEPT.wrong(
    "the result is counted too, and nobody saves it",
    lambda m, k, n: 8 * (m * k + k * n + m * k * n + m * n),
)
BYTES_KEPT.refused(
    "in bytes each float64 counts 8",
    lambda m, k, n: m * k + k * n + m * k * n,
)
BYTES_KEPT.refused("it lacks k·n", lambda m, k, n: 8 * (m * k + m * k * n))

# --- 2. Fuse another pair -------------------------------------------------------------------------

ROW_DOTS = Loops(
    name="row_dots",
    task="out[i] = Σₖ a[i, k] · b[i, k] for NumPy arrays, without an intermediate.",
    operands={"a": "m k", "b": "m k"},
    result="m",
    reference=lambda a, b: (a * b).sum(1),
    loads="2 * m*k",
    stores="m",
    lines=7,
    hints=(
        "Which index does the result have, and which one is gone? The first is the outer loop.",
        "For each element of the result a single number grows, product by product. Where must it "
        "start, and how often?",
        "Make an array of m numbers. Loop over i; inside set a variable to zero, loop over k and "
        "add the product of the two elements that meet; after the inner loop store the variable.",
    ),
)


@ROW_DOTS.solution
def row_dots(a, b):
    out = np.empty(a.shape[0])
    for i in range(a.shape[0]):  # output
        total = 0.0
        for k in range(a.shape[1]):  # reduced
            total += a[i, k] * b[i, k]  # zipped
        out[i] = total
    return out


ROW_DOTS.stub(lambda a, b: None)
ROW_DOTS.wrong(
    "that adds up the rows of a; b has no part in it",
    lambda a, b: np.array([sum(row) for row in a]),
)
ROW_DOTS.wrong(
    "that is Σᵢ, down the columns; Σₖ runs along the rows", lambda a, b: row_dots(a.T, b.T)
)


@ROW_DOTS.wrong("that is the last product of each row; add the products up")
def last_product(a, b):
    out = np.zeros(len(a))
    for i, k in np.ndindex(a.shape):
        out[i] = a[i, k] * b[i, k]
    return out


@ROW_DOTS.wrong("a and b are added there where they should be multiplied")
def sums_of_sums(a, b):
    out = np.zeros(len(a))
    for i, k in np.ndindex(a.shape):
        out[i] += a[i, k] + b[i, k]
    return out


@ROW_DOTS.refused("the total is not set back to 0")
def never_reset(a, b):
    out, total = np.empty(len(a)), 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            total += a[i, k] * b[i, k]
        out[i] = total
    return out


@ROW_DOTS.refused("there is nan in the result")
def onto_nothing(a, b):
    out = np.empty(len(a))
    for i, k in np.ndindex(a.shape):
        out[i] += a[i, k] * b[i, k]
    return out


@ROW_DOTS.refused("(each element of the result 5 times): keep the total in a variable")
def added_in_memory(a, b):
    out = np.zeros(len(a))
    for i, k in np.ndindex(a.shape):
        out[i] += a[i, k] * b[i, k]
    return out


ROW_DOTS.refused("an intermediate of shape (3, 5) is made", lambda a, b: (a * b).sum(1))
ROW_DOTS.refused("einsum is called", lambda a, b: np.einsum("ik,ik->i", a, b))
ROW_DOTS.refused(
    "mtlib's tensor is called", lambda a, b: (mtlib.tensor(a) * mtlib.tensor(b)).sum(1).numpy()
)
ROW_DOTS.refused("a was not read element by element", lambda a, b: row_dots(np.asarray(a), b))
ROW_DOTS.refused("a list comes back", lambda a, b: list(row_dots(a, b)))
ROW_DOTS.refused("what comes back is a itself, or a view of it", lambda a, b: a[:, 0])


@ROW_DOTS.refused("an intermediate of shape (5,) is made")
def row_by_row(a, b):
    out = np.empty(len(a))
    for i in range(len(a)):
        out[i] = (a[i] * b[i]).sum()
    return out


@ROW_DOTS.refused("add up each product as soon as it is made")
def by_way_of_lists(a, b):
    out = np.empty(len(a))
    for i in range(len(a)):
        products = [a[i, k] * b[i, k] for k in range(a.shape[1])]
        out[i] = sum(products)
    return out


@ROW_DOTS.refused("a was changed on the way")
def in_place(a, b):
    out = np.empty(len(a))
    for i in range(len(a)):
        for k in range(a.shape[1]):
            a[i, k] *= b[i, k]
        out[i] = sum(a[i])
    return out


@ROW_DOTS.refused("it does not come to an end")
def without_end(a, b):
    out, k = np.zeros(len(a)), 0
    while k < a.shape[1]:
        out[0] += a[0, k] * b[0, k]
    return out


# --- 3. Derive a backward -------------------------------------------------------------------------


class MatMulTransposed(mtlib.Function):
    """What the reader is given."""

    @staticmethod
    def forward(ctx, A, B):
        ctx.save_for_backward(A, B)
        return A @ B.T


MATMUL_TRANSPOSED = Derivative(
    name="matmul_transposed",
    task="The backward of f(A, B) = A Bᵀ, for A of shape (m, k) and B of shape (n, k).",
    given=MatMulTransposed,
    inputs={"A": "m k", "B": "n k"},
    result="m n",
    forward=lambda a, b: a @ b.T,
    gradients={"A": lambda d, a, b: d @ b, "B": lambda d, a, b: d.T @ a},
    lines=3,
    hints=(
        "Each gradient has the shape of its operand. Write the shapes of d, A and B side by side.",
        "The gradient of A is d times the other operand. Which index do the two share, and is it "
        "where a product of matrices wants it?",
        "For A no transpose is needed. For B it is d that stands the wrong way round, and A comes "
        "second.",
    ),
)


@MATMUL_TRANSPOSED.solution
def matmul_transposed(ctx, d):
    A, B = ctx.saved_tensors
    return d @ B, d.T @ A


MATMUL_TRANSPOSED.stub(lambda ctx, d: (None, None))
MATMUL_TRANSPOSED.refused(
    "the gradient of A has shape (2, 5), and A has (3, 5)",
    lambda ctx, d: matmul_transposed(ctx, d)[::-1],
)
MATMUL_TRANSPOSED.refused(
    "backward gives no gradient for B", lambda ctx, d: (matmul_transposed(ctx, d)[0], None)
)
MATMUL_TRANSPOSED.refused(
    "backward gives 1 gradient, and forward takes 2 operands",
    lambda ctx, d: matmul_transposed(ctx, d)[0],
)
MATMUL_TRANSPOSED.refused(
    "the gradient of A is of type ndarray",
    lambda ctx, d: [x.numpy() for x in matmul_transposed(ctx, d)],
)


@MATMUL_TRANSPOSED.wrong("d has no part in it; it says how much each result counts")
def without_d(ctx, d):
    A, B = ctx.saved_tensors
    ones = mtlib.ones(d.shape)
    return ones @ B, ones.T @ A


@MATMUL_TRANSPOSED.refused("inner dimensions 2 and 3 differ")
def not_transposed(ctx, d):
    A, B = ctx.saved_tensors
    return d @ B, d @ A


@MATMUL_TRANSPOSED.refused("d was changed on the way")
def changing_d(ctx, d):
    results = matmul_transposed(ctx, d)
    d *= 2
    return results


# --- 4. A Function around a kernel of one's own ---------------------------------------------------


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
    "saved nothing": unsaved,
}.items():
    ROW_DOTS_FUNCTION.refused(sentence, with_methods(RowDots, forward=forward))
ROW_DOTS_FUNCTION.stub(with_methods(RowDots, forward=lambda ctx, a, b: None))


@ROW_DOTS_FUNCTION.wrong("each gradient has its own operand; it is the other one that counts")
def own_operand(ctx, d):
    a, b = ctx.saved_tensors
    column = d.view(d.shape[0], 1)
    return column * a, column * b


@ROW_DOTS_FUNCTION.wrong("d has no part in it; it says how much each result counts")
def nothing_from_above(ctx, d):
    a, b = ctx.saved_tensors
    return b, a


EXERCISES = [BYTES_KEPT, ROW_DOTS, MATMUL_TRANSPOSED, ROW_DOTS_FUNCTION]

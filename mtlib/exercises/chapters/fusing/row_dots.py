"""Another pair to fuse: a dot product for each row."""

from __future__ import annotations

import numpy as np

import mtlib
from mtlib.exercises.loops import Loops

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
ROW_DOTS.refused("this is of type list", lambda a, b: list(row_dots(a, b)))
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

"""Rows worked on in lanes, side by side, as vector instructions do it.

A *strip* is a flat array that holds one row or several, brought close by
:mod:`mtlib.kernels.rows.strips`.  It is cut into lines with one element for each lane, and loops go
along the lines:

    for at in lines(x, most):
        for j in places(most):
            y[at + j] = exp(x[at + j] - most[j])

What is one number for a row, as ``most`` here, has a place for each lane.  ``along`` is 0 if every
lane has a row of its own.  Else one row is dealt out to all lanes and ``along`` is its length; then
its number is in the first lane, and what the others have means nothing.

Indices are unsigned: then none can be negative and count from the end, and no loop needs to test
for it.  Lines are not sliced off: to keep count of who holds an array takes longer than a line.
"""

import numpy as np

from mtlib.kernels.functions import folds
from mtlib.kernels.functions.folds import add_block
from mtlib.kernels.functions.transcendental import decay
from mtlib.kernels.jit import full_vectors, inlined

LANES = 64  # that one row is dealt out to
BLOCK = 2048  # elements of one row that are added up in any order


@inlined
def lines(x, lanes):
    """Where each line of a strip begins."""
    return range(np.uint64(0), np.uint64(len(x)), np.uint64(len(lanes)))


@inlined
def places(lanes):
    """The places of a line, or of any array."""
    return range(np.uint64(len(lanes)))


@inlined
def of_rows(lanes, along):
    """The lanes that have the number of a row: the first, or all."""
    return range(np.uint64(1 if along else len(lanes)))


@inlined
def largest(most, x, along):
    """The largest of each row of a strip; if nan is among them, that or the largest other."""
    full_vectors()
    if along:
        first = x[0]
        for i in range(np.uint64(along)):
            first = folds.maximum(first, x[i])
        most[0] = first
    else:
        for j in places(most):
            most[j] = -np.inf
        for at in lines(x, most):
            for j in places(most):
                most[j] = x[at + j] if x[at + j] > most[j] else most[j]


def at_each(step):
    """A function that takes ``step(i, lane, x, *others)`` at each place i of a strip x.

    In machine code a row along the lanes is one loop, which vector instructions take many turns of.
    """
    step = inlined(step)

    @inlined
    def stepped(lanes, along, x, *others):
        full_vectors()
        if along:
            for i in range(np.uint64(along)):
                step(i, 0, x, *others)
        else:
            for at in lines(x, lanes):
                for j in places(lanes):
                    step(at + j, j, x, *others)

    return stepped


def sums_of(term):
    """A function that adds up ``term(x, y, i, lane)`` over each row, i being a place in a strip.

    ``y`` is another strip, or has a number for each lane; ``lost`` is scratch.
    """

    @inlined
    def summed(totals, lost, x, y, along):
        full_vectors()
        for j in of_rows(totals, along):
            totals[j] = lost[j] = 0
        if along:
            for first in range(0, along, BLOCK):
                part = totals.dtype.type(0)
                for i in range(np.uint64(first), np.uint64(min(first + BLOCK, along))):
                    part = folds.add(part, term(x, y, i, 0))
                totals[0], lost[0] = add_block(totals[0], lost[0], part)
        else:
            for at in lines(x, totals):
                for j in places(totals):
                    totals[j], lost[j] = add_block(totals[j], lost[j], term(x, y, at + j, j))

    return summed


@inlined
def _element(x, y, i, lane):
    return x[i]


@inlined
def _product(x, y, i, lane):
    return x[i] * y[i]


@inlined
def _less(x, y, i, lane):
    return x[i] - y[lane]


@inlined
def _less_squared(x, ys, i, lane):
    left = x[i] - ys[0][lane] - ys[1][lane]
    return left * left


@inlined
def _power(x, most, i, lane):
    return decay(x[i] - most[lane])


@inlined
def _power_kept(x, most, i, lane):
    x[i] = decay(x[i] - most[lane])
    return x[i]


_elements = sums_of(_element)
dots = sums_of(_product)  # Σ x · y
sums_less = sums_of(_less)  # x -= y for the y of each row, and Σ x of what is left
squares_less = sums_of(_less_squared)  # Σ (x - y)²
sums_of_powers = sums_of(_power)  # Σ eˣ⁻ᵐ for the largest m of each row
sums_of_kept_powers = sums_of(_power_kept)  # x = eˣ⁻ᵐ and Σ x


@inlined
def sums(totals, lost, x, along):
    """Σ x"""
    _elements(totals, lost, x, x, along)

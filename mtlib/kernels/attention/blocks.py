"""Attention, one block of queries: what :mod:`mtlib.kernels.attention.attention` deals out.

A score is used as soon as it is made: only those of one block of queries and one of keys are held,
in the second-level cache.  A softmax subtracts from a row its largest score, so that no power
overflows, and divides by the sum of the powers; here both are *running*.  Where a larger score
turns up, what was added up before it is scaled down.  Forward leaves the logarithm of each query's
sum of powers.  With it, backward, which makes the scores again, turns them into weights at once.

In a block of scores, each key has a row and each query a column.  What differs from query to query,
such as the largest score, then lies side by side, as vectors want it; and the weights are stored in
the order in which the tiles that multiply them by the values read them
(:mod:`mtlib.kernels.products.packed`).

Sources: Dao, Fu, Ermon, Rudra and Ré, "FlashAttention: Fast and Memory-Efficient Exact Attention
with IO-Awareness", NeurIPS 2022; the running largest and sum are those of Milakov and Gimelshein,
"Online normalizer calculation for softmax", 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mtlib.kernels.functions.transcendental import decay, log
from mtlib.kernels.jit import compiled, compiled_fma
from mtlib.kernels.plans.strided import start_of_row
from mtlib.kernels.products.packed import multiply


class Sizes(NamedTuple):
    """q is (batches, queries, width), k (batches, keys, width) and v (batches, keys, depth)."""

    batches: int
    queries: int
    keys: int
    width: int
    depth: int
    pieces: int  # of a batch, each for one thread
    block: int  # queries in a block
    most: int  # keys in a block


class Storages(NamedTuple):
    """Of operands, with any strides, and of results, which are row-major.

    The mask is in ``added`` or ``allowed``.  What there is not is empty.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    added: np.ndarray
    allowed: np.ndarray
    d: np.ndarray
    out: np.ndarray
    lse: np.ndarray
    dq: np.ndarray
    dk: np.ndarray
    dv: np.ndarray
    dmask: np.ndarray


Q, K, V, MASK, D = 2, 3, 4, 5, 6  # rows of the tables that say where the operands lie


class Space(NamedTuple):
    """A thread's workspace: blocks as they lie (rows) or transposed (columns), and for multiply."""

    q_rows: np.ndarray
    q_columns: np.ndarray
    k_rows: np.ndarray
    v_rows: np.ndarray
    d_rows: np.ndarray
    d_columns: np.ndarray
    scores: np.ndarray
    slopes: np.ndarray
    products: np.ndarray
    sums: np.ndarray
    of_queries: np.ndarray  # three numbers for each query
    a_strip: np.ndarray
    b_strip: np.ndarray
    edge: np.ndarray


@compiled_fma
def forward_block(x, tables, sizes, causal, scale, space, which):
    """softmax(q kᵀ · scale + mask) v for the queries from ``first`` on."""
    batch, _, first = which
    n, depth, row = min(sizes.block, sizes.queries - first), sizes.depth, batch * sizes.queries
    values, scores, products, sums = space.v_rows, space.scores, space.products, space.sums
    largest, total, shrink = space.of_queries[0], space.of_queries[1], space.of_queries[2]
    _load_queries(x, tables, sizes, scale, space, which, n)
    sums[:n] = 0
    total[:n] = 0
    largest[:n] = np.finfo(sums.dtype).min  # not -inf: what follows would be inf - inf

    last = min(sizes.keys, first + n) if causal else sizes.keys
    for j in range(0, last, sizes.most):
        m = min(sizes.most, last - j)
        _score(x, tables, sizes, causal, space, which, n, j, m)
        for i in range(n):
            shrink[i] = largest[i]
        for r in range(m):
            for i in range(n):
                largest[i] = scores[r, i] if scores[r, i] > largest[i] else largest[i]
        for i in range(n):
            shrink[i] = decay(shrink[i] - largest[i])
            total[i] *= shrink[i]
        for r in range(m):
            for i in range(n):
                weight = decay(scores[r, i] - largest[i])
                scores[r, i] = weight
                total[i] += weight
        _load(values, x.v, tables, V, batch, j, m, depth)
        _product(products[:n, :depth], scores[:m, :n].T, values[:m, :depth], space)
        for i in range(n):
            for e in range(depth):
                sums[i, e] = sums[i, e] * shrink[i] + products[i, e]

    for i in range(n):
        none = total[i] == 0
        x.lse[row + first + i] = np.inf if none else largest[i] + log(total[i])
        for e in range(depth):
            x.out[(row + first + i) * depth + e] = 0 if none else sums[i, e] / total[i]


@compiled_fma
def backward_block(x, tables, sizes, causal, scale, space, which):
    """With P the weights, ∘ element by element and D the sum of d ∘ out for each query,

    dv = Pᵀ d,  dS = P ∘ (d vᵀ - D),  dk = dSᵀ q · scale  and  dq = dS k · scale.
    """
    batch, piece, first = which
    n, width, depth = min(sizes.block, sizes.queries - first), sizes.width, sizes.depth
    row = batch * sizes.queries + first
    queries, keys, values = space.q_rows, space.k_rows, space.v_rows
    gradient, gradient_columns = space.d_rows, space.d_columns
    scores, slopes, products, sums = space.scores, space.slopes, space.products, space.sums
    lse, inner = space.of_queries[0], space.of_queries[1]
    one = sums.dtype.type(1)
    _load_queries(x, tables, sizes, scale, space, which, n)
    _load(gradient, x.d, tables, D, batch, first, n, depth)
    _turn(gradient_columns, gradient, n, depth, one)
    sums[:n] = 0
    for i in range(n):
        lse[i], inner[i] = x.lse[row + i], 0
        for e in range(depth):
            inner[i] += gradient[i, e] * x.out[(row + i) * depth + e]

    last = min(sizes.keys, first + n) if causal else sizes.keys
    for j in range(0, last, sizes.most):
        m = min(sizes.most, last - j)
        _score(x, tables, sizes, causal, space, which, n, j, m)
        _load(values, x.v, tables, V, batch, j, m, depth)
        _product(slopes[:m, :n], values[:m, :depth], gradient_columns[:depth, :n], space)
        for r in range(m):
            for i in range(n):
                weight = decay(scores[r, i] - lse[i])
                scores[r, i] = weight
                slopes[r, i] = weight * (slopes[r, i] - inner[i])
        key = (piece * sizes.batches + batch) * sizes.keys + j
        _product(products[:m, :depth], scores[:m, :n], gradient[:n, :depth], space)
        _add(x.dv, key * depth, products, m, depth, one)
        _product(products[:m, :width], slopes[:m, :n], queries[:n, :width], space)
        _add(x.dk, key * width, products, m, width, scale)
        _product(products[:n, :width], slopes[:m, :n].T, keys[:m, :width], space)
        for i in range(n):
            for e in range(width):
                sums[i, e] += products[i, e]
        if len(x.dmask) > 0:
            for i in range(n):
                for r in range(m):
                    x.dmask[(row + i) * sizes.keys + j + r] = slopes[r, i]

    for i in range(n):
        for e in range(width):
            x.dq[(row + i) * width + e] = sums[i, e] * scale


# --- What both are made of ------------------------------------------------------------------------


@compiled
def space_in(memory, places):
    """The workspace in ``memory``: each row of ``places`` says (where, rows, columns)."""
    return Space(
        _array(memory, places[0]),
        _array(memory, places[1]),
        _array(memory, places[2]),
        _array(memory, places[3]),
        _array(memory, places[4]),
        _array(memory, places[5]),
        _array(memory, places[6]),
        _array(memory, places[7]),
        _array(memory, places[8]),
        _array(memory, places[9]),
        _array(memory, places[10]),
        _array(memory, places[11]),
        _array(memory, places[12]),
        _array(memory, places[13]),
    )


@compiled
def _array(memory, place):
    first, rows, columns = place[0], place[1], place[2]
    return memory[first : first + rows * columns].reshape(rows, columns)


@compiled
def _load_queries(x, tables, sizes, scale, space, which, n):
    batch, _, first = which
    _load(space.q_rows, x.q, tables, Q, batch, first, n, sizes.width)
    _turn(space.q_columns, space.q_rows, n, sizes.width, scale)


@compiled
def _score(x, tables, sizes, causal, space, which, n, j, m):
    """The scores of ``m`` keys from ``j`` on for ``n`` queries from ``first`` on, masked."""
    batch, _, first = which
    keys, queries, scores, width = space.k_rows, space.q_columns, space.scores, sizes.width
    hidden = scores.dtype.type(-np.inf)
    _load(keys, x.k, tables, K, batch, j, m, width)
    _product(scores[:m, :n], keys[:m, :width], queries[:width, :n], space)
    # Unsigned, so that an index can be no negative one: the loops need no test for it.
    at, right = np.uint64(_start(tables, MASK, batch, first)), np.uint64(tables[1][MASK, 1])
    at, down = at + np.uint64(j) * right, np.uint64(tables[1][MASK, 0])
    if len(x.added) > 0:
        for i in range(np.uint64(n)):
            for r in range(np.uint64(m)):
                scores[r, i] += x.added[at + i * down + r * right]
    if len(x.allowed) > 0:
        for i in range(np.uint64(n)):
            for r in range(np.uint64(m)):
                if not x.allowed[at + i * down + r * right]:
                    scores[r, i] = hidden
    if causal:
        for r in range(m):
            for i in range(min(n, max(0, j + r - first))):
                scores[r, i] = hidden


@compiled
def _start(tables, operand, batch, row):
    """Where in its storage a row of an operand begins."""
    table, steps = tables
    length = table[0, -1]
    matrix = start_of_row(batch // length, table, operand) + batch % length * table[operand, -1]
    return matrix + row * steps[operand, 0]


@compiled
def _load(block, x, tables, operand, batch, first, rows, columns):
    """Copy to ``block`` the ``rows`` of an operand from ``first`` on."""
    start = _start(tables, operand, batch, first)
    down, right = tables[1][operand, 0], tables[1][operand, 1]
    if right == 1:
        for r in range(rows):
            row = x[start + r * down : start + r * down + columns]
            for c in range(len(row)):
                block[r, c] = row[c]
    else:
        for c in range(columns):
            for r in range(rows):
                block[r, c] = x[start + r * down + c * right]


@compiled
def _turn(block, x, rows, columns, factor):
    """``block = xᵀ · factor``"""
    for c in range(columns):
        for r in range(rows):
            block[c, r] = x[r, c] * factor


@compiled
def _product(out, a, b, space):
    if a.shape[1] == 0:
        out[:] = 0
    else:
        multiply(out, a, b, space.a_strip, space.b_strip, space.edge, False, False)


@compiled
def _add(total, at, block, rows, columns, factor):
    """Add ``block · factor`` to the row-major matrix that begins at ``at``."""
    for r in range(rows):
        row = total[at + r * columns : at + (r + 1) * columns]
        for c in range(len(row)):
            row[c] += block[r, c] * factor

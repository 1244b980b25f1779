"""The ladder: matrix multiplication, one rung at a time from a zip and a reduce to full speed.

Each rung is a function ``rung(out, a, b)`` of 2-D NumPy arrays: (m, n) in row-major order, and
(m, k) and (k, n) with any strides.  It changes one thing about the rung below it.  :data:`LADDER`
lists them in order: the first four are those of :mod:`mtlib.kernels.plain`, the last two are here.
What ``@`` runs is :func:`matmul`: the top rung, over stacks of matrices.
"""

from __future__ import annotations

from functools import lru_cache
from operator import mul
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from mtlib.kernels.jit import Kernel, inlined, threads_for
from mtlib.kernels.plain import ijk, ikj, tiled, zip_reduce
from mtlib.kernels.products.packed import TALL, cut, fits, in_place, multiply, room, wide, workspace
from mtlib.layout import Layout, collapse, contiguous
from mtlib.runtime.memory import allocate, flattened


def register_tiled(out, a, b):
    """Rung 4.  Tiles of vectors that stay in registers, over strips packed where that helps."""
    _multiply(out, a, b, threads=1)


def threaded(out, a, b):
    """Rung 5.  The same, each thread on its own part of the output."""
    _multiply(out, a, b)


LADDER = (zip_reduce, ijk, ikj, tiled, register_tiled, threaded)


def _multiply(out, a, b, threads: int = 0) -> None:
    """:func:`matmul` for 2-D arrays."""
    (c, _), (a, left), (b, right) = map(flattened, (out, a, b))
    matmul(c, a, b, plan(left, right, out.itemsize), threads=threads)


# --- What @ runs ----------------------------------------------------------------------------------

TINY = 1 << 9  # multiplications below which setting up tiles costs more than they save
AT_ONCE = 1 << 5  # multiplications that a core does in the time of one scalar operation


class Plan(NamedTuple):
    """How products are worked out, for operands that lie in a certain way.

    ``layout`` is that of the output.  There is one of ``tables`` for each ``stack`` matrices.  Its
    row 0 is (stack, m, k, n); rows 1, 2 and 3 are, of the output, a and b, where the first element
    is and how far it is to the next matrix, row and column.  ``work`` is that for one stack, in
    scalar operations.  ``unpacked`` tells whether strips can be used where they lie, or the
    matrices are so ``tiny`` that there are none; ``room`` is the workspace, in elements, that each
    thread needs otherwise.
    """

    layout: Layout
    tables: tuple[np.ndarray, ...]
    stack: int
    work: int
    tiny: bool
    unpacked: bool
    room: int


@lru_cache(maxsize=1024)
def plan(a: Layout, b: Layout, itemsize: int) -> Plan:
    """The plan for stacks (…, m, k) and (…, k, n) of one batch shape, and a row-major output.

    A program asks for the same few over and over, so they are kept; nobody may write to one.

    >>> from mtlib.layout import expand
    >>> how = plan(contiguous((5, 2, 4)), expand(contiguous((1, 4, 3)), (5, 4, 3)), itemsize=8)
    >>> how.layout.shape, how.tables[0].tolist()
    ((5, 2, 3), [[5, 2, 4, 3], [0, 6, 3, 1], [0, 8, 4, 1], [0, 0, 3, 1]])
    """
    (*batch, m, k), n = a.shape, b.shape[-1]
    out = contiguous((*batch, m, n))
    # The kernels want one batch dimension: they are called on as few and large stacks as there are.
    lengths, steps = collapse(tuple(batch), *(x.strides[:-2] for x in (out, a, b)))
    stack, tables = lengths[-1], []
    for which in np.ndindex(lengths[:-1]) if out.size else ():
        places = [
            (x.offset + sum(map(mul, which, step)), step[-1], *x.strides[-2:])
            for x, step in zip((out, a, b), steps, strict=True)
        ]
        tables.append(np.array([(stack, m, k, n), *places], dtype=np.int64))
    tiny, packs = m * k * n <= TINY, _packs(m, *a.strides[-2:], *b.strides[-2:], itemsize)
    return Plan(
        layout=out,
        tables=tuple(tables),
        stack=stack,
        work=stack * m * k * n // AT_ONCE,
        tiny=tiny,
        unpacked=tiny or (not any(packs) and fits(m, k, n, itemsize)),
        room=room(workspace(m, k, n, itemsize, *packs), itemsize),
    )


def matmul(out, a, b, how: Plan, bias=None, threads: int = 0) -> None:
    """``out[p] = a[p] @ b[p]`` for stacks of matrices; all three are storages.

    A ``bias``, an array (n,), is added to each row; without one the loops are compiled without.
    """
    _, tables, stack, work, tiny, unpacked, elements = how
    if not tables:
        return
    threads = threads or threads_for(work)
    if threads > stack and tiny:
        threads = stack
    if unpacked and threads <= stack:
        for table in tables:
            _unpacked.run(threads, out, a, b, table, bias, threads)
    else:
        space = allocate((threads, elements), out.dtype, "matmul", role="workspace")
        for table in tables:
            _packed.run(threads, out, a, b, table, bias, threads, space)


@inlined
def _packs(m: int, a_row: int, a_column: int, b_row: int, b_column: int, itemsize: int):
    """Whether strips of a, and of b, are slow to read where they lie, a having ``m`` rows.

    Of a, if neither rows nor columns lie side by side.  Of b, if its columns do not, or if its rows
    are so far apart that they crowd each other out of the cache.
    """
    return (
        a_row != 1 and a_column != 1,
        b_column != 1 or (m >= 4 * TALL and b_row * itemsize >= 4096),
    )


@inlined
def _stacks(out, a, b, table):
    """The three as arrays of (stack, rows, columns)."""
    m, k, n = table[0, 1], table[0, 2], table[0, 3]
    return _stack(out, table, 1, m, n), _stack(a, table, 2, m, k), _stack(b, table, 3, k, n)


@inlined
def _stack(storage, table, operand, rows, columns):
    size = storage.itemsize
    steps = table[operand, 1] * size, table[operand, 2] * size, table[operand, 3] * size
    return as_strided(storage[table[operand, 0] :], (table[0, 0], rows, columns), steps)


def _make_unpacked(each):
    def unpacked(out, a, b, table, bias, parts):
        """The products in so many parts, with the strips where they lie."""
        c, x, y = _stacks(out, a, b, table)
        stack, m, k, n = table[0, 0], table[0, 1], table[0, 2], table[0, 3]
        for part in each(parts):
            first, last = part * stack // parts, (part + 1) * stack // parts
            if m * k * n <= TINY:
                for p in range(first, last):
                    ijk(c[p], x[p], y[p])
                    if bias is not None:
                        c[p] += bias
            else:
                in_place(c, x, y, first, last, bias)

    return unpacked


_unpacked = Kernel(_make_unpacked)


def _make_packed(each):
    def packed(out, a, b, table, bias, parts, space):
        """The products in so many parts, each with its share of ``space``."""
        c, x, y = _stacks(out, a, b, table)
        stack, m, k, n = table[0, 0], table[0, 1], table[0, 2], table[0, 3]
        pack_a, pack_b = _packs(m, table[2, 2], table[2, 3], table[3, 2], table[3, 3], out.itemsize)
        rows = workspace(m, k, n, out.itemsize, pack_a, pack_b)
        share = len(space) // parts
        # What is shared out: whole products, or rows or columns of each, in pieces of a tile.
        along, piece = 0, 1
        if stack < parts:
            along, piece = (1, TALL) if m >= n else (2, wide(out.itemsize))
        length = c.shape[along]
        pieces = (length + piece - 1) // piece
        for part in each(parts):
            first = part * pieces // parts * piece
            last = min((part + 1) * pieces // parts * piece, length)
            strips = cut(space[part * share : (part + 1) * share], rows)
            for p in range(first if along == 0 else 0, last if along == 0 else stack):
                product, left, right, start = c[p], x[p], y[p], bias
                if along == 1:
                    product, left = product[first:last], left[first:last]
                elif along == 2:
                    product, right = product[:, first:last], right[:, first:last]
                    if bias is not None:
                        start = bias[first:last]
                multiply(product, left, right, *strips, pack_a, pack_b, start)

    return packed


_packed = Kernel(_make_packed)

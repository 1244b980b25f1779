"""The ladder: matrix multiplication, one rung at a time from a zip and a reduce to full speed.

Each rung is a function ``rung(out, a, b)`` of 2-D NumPy arrays: (m, n) in row-major order, and
(m, k) and (k, n) with any strides.  It changes one thing about the rung below it.  :data:`LADDER`
lists them in order.  What ``@`` runs is :func:`matmul`: the top rung, over a stack of matrices.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from mtlib.kernels.jit import SMALL, Kernel, compiled, compiled_fma, inlined, threads_for
from mtlib.kernels.packed import TALL, cut, fits, in_place, multiply, room, wide, workspace
from mtlib.memory import allocate, flattened


@compiled_fma
def zip_reduce(out, a, b):
    """Rung 0.  Write down all m·k·n products, then add them up."""
    m, k, n = a.shape[0], a.shape[1], b.shape[1]
    products = np.empty((m, k, n), out.dtype)
    for i in range(m):
        for p in range(k):
            for j in range(n):
                products[i, p, j] = a[i, p] * b[p, j]
    for i in range(m):
        for j in range(n):
            total = out.dtype.type(0)
            for p in range(k):
                total += products[i, p, j]
            out[i, j] = total


@compiled_fma
def ijk(out, a, b):
    """Rung 1.  Fused: each product is added to a total in a register as soon as it is made."""
    m, n = out.shape
    for i in range(m):  # output
        for j in range(n):  # output
            total = out.dtype.type(0)
            for k in range(a.shape[1]):  # reduced
                total += a[i, k] * b[k, j]  # zipped
            out[i, j] = total


@compiled_fma
def ikj(out, a, b):
    """Rung 2.  The same products in another order: the innermost loop walks along rows.

    Neighbours in a row lie side by side in memory, so a vector instruction can take several.
    """
    m, n = out.shape
    out[:] = 0
    for i in range(m):
        for k in range(a.shape[1]):
            x = a[i, k]
            for j in range(n):
                out[i, j] += x * b[k, j]


@compiled_fma
def tiled(out, a, b):
    """Rung 3.  Four rows by four k at a time, on a block of b that stays in the cache.

    Rung 2 loads and stores an element of the output for every multiplication.  Here each is loaded
    and stored once for four, and each element of b that is loaded is used for four rows.
    """
    (m, n), depth = out.shape, a.shape[1]
    m4, depth4 = m // 4 * 4, depth // 4 * 4
    out[:] = 0
    for j0 in range(0, n, 512):
        for k0 in range(0, depth4, 64):
            for i in range(0, m4, 4):
                row0, row1, row2, row3 = a[i], a[i + 1], a[i + 2], a[i + 3]
                c0, c1, c2, c3 = out[i, j0:], out[i + 1, j0:], out[i + 2, j0:], out[i + 3, j0:]
                for k in range(k0, min(k0 + 64, depth4), 4):
                    a00, a01, a02, a03 = row0[k], row0[k + 1], row0[k + 2], row0[k + 3]
                    a10, a11, a12, a13 = row1[k], row1[k + 1], row1[k + 2], row1[k + 3]
                    a20, a21, a22, a23 = row2[k], row2[k + 1], row2[k + 2], row2[k + 3]
                    a30, a31, a32, a33 = row3[k], row3[k + 1], row3[k + 2], row3[k + 3]
                    b0, b1, b2, b3 = b[k, j0:], b[k + 1, j0:], b[k + 2, j0:], b[k + 3, j0:]
                    for j in range(min(512, len(c0))):
                        c0[j] += a00 * b0[j] + a01 * b1[j] + a02 * b2[j] + a03 * b3[j]
                        c1[j] += a10 * b0[j] + a11 * b1[j] + a12 * b2[j] + a13 * b3[j]
                        c2[j] += a20 * b0[j] + a21 * b1[j] + a22 * b2[j] + a23 * b3[j]
                        c3[j] += a30 * b0[j] + a31 * b1[j] + a32 * b2[j] + a33 * b3[j]
    for i in range(m):  # what does not fill a tile: the last k of most rows, all of the last rows
        for k in range(depth4 if i < m4 else 0, depth):
            x = a[i, k]
            for j in range(n):
                out[i, j] += x * b[k, j]


def register_tiled(out, a, b):
    """Rung 4.  Tiles of vectors that stay in registers, over strips packed where that helps."""
    matmul(*_as_stacks(out, a, b), threads=1)


def threaded(out, a, b):
    """Rung 5.  The same, each thread on its own part of the output."""
    matmul(*_as_stacks(out, a, b))


LADDER = (zip_reduce, ijk, ikj, tiled, register_tiled, threaded)


def _as_stacks(out, a, b):
    """The arguments of :func:`matmul` for 2-D arrays."""
    (c, place), (a, a_place), (b, b_place) = map(flattened, (out, a, b))
    sizes = (1, *a_place.shape, b_place.shape[1])
    return c, a, b, sizes, place.offset, *((x.offset, 0, *x.strides) for x in (a_place, b_place))


# --- What @ runs ----------------------------------------------------------------------------------

TINY = 1 << 9  # multiplications below which setting up tiles costs more than they save
AT_ONCE = 1 << 5  # multiplications that a core does in the time of one scalar operation


def matmul(out, a, b, sizes, at, a_steps, b_steps, bias=None, threads: int = 0) -> None:
    """``out[p] = a[p] @ b[p]`` for stacks of matrices; ``sizes`` is (stack, m, k, n).

    A ``bias``, an array (n,), is added to each row; without one the loops are compiled without.

    All three are storages: to make arrays of them takes longer in Python than a small product.
    Element (p, i, j) of one with ``steps`` (offset, stack, row, column) is at ``offset + p * stack
    + i * row + j * column``.  The output is row-major, from ``at`` on.
    """
    stack, m, k, n = sizes
    # Not always asked: a call that only finds out that they do not fit costs a small product dear.
    may_fit = b_steps[3] == 1 or m * k * n <= TINY
    if (
        may_fit
        and not threads
        and _unpacked.serial(out, a, b, sizes, at, a_steps, b_steps, bias, 0)
    ):
        return
    arguments = out, a, b, sizes, at, a_steps, b_steps, bias
    threads = threads or threads_for(stack * m * k * n // AT_ONCE)
    if may_fit and threads <= stack and _unpacked.run(threads, *arguments, threads):
        return
    shape = threads, _room(sizes, a_steps, b_steps, out.itemsize)
    space = allocate(shape, out.dtype, "matmul", role="workspace")
    _packed.run(threads, *arguments, threads, space)


@compiled
def _room(sizes, a_steps, b_steps, itemsize):
    """Elements of workspace that each thread needs."""
    _, m, k, n = sizes
    pack_a, pack_b = _packs(sizes, a_steps, b_steps, itemsize)
    return room(workspace(m, k, n, itemsize, pack_a, pack_b), itemsize)


@inlined
def _packs(sizes, a_steps, b_steps, itemsize: int):
    """Whether strips of a, and of b, are slow to read where they lie.

    Of a, if neither rows nor columns lie side by side.  Of b, if its columns do not, or if its rows
    are so far apart that they crowd each other out of the cache.
    """
    return (
        a_steps[2] != 1 and a_steps[3] != 1,
        b_steps[3] != 1 or (sizes[1] >= 4 * TALL and b_steps[2] * itemsize >= 4096),
    )


@inlined
def _stacks(out, a, b, sizes, at, a_steps, b_steps):
    """The three as arrays of (stack, rows, columns)."""
    stack, m, k, n = sizes
    c = _stack(out, (at, m * n, n, 1), (stack, m, n))
    return c, _stack(a, a_steps, (stack, m, k)), _stack(b, b_steps, (stack, k, n))


@inlined
def _stack(storage, steps, shape):
    size = storage.itemsize
    return as_strided(
        storage[steps[0] :], shape, (steps[1] * size, steps[2] * size, steps[3] * size)
    )


def _make_unpacked(each):
    def unpacked(out, a, b, sizes, at, a_steps, b_steps, bias, parts):
        """The products, in so many parts, if they are tiny or fit; whether they did.

        In 0 parts means in one if they are no work for several threads: to find that out here is
        quicker than to find it out in Python.
        """
        stack, m, k, n = sizes
        if parts == 0 and stack * m * k * n >= AT_ONCE * SMALL:
            return False
        tiny = m * k * n <= TINY
        if not tiny:
            pack_a, pack_b = _packs(sizes, a_steps, b_steps, out.itemsize)
            if pack_a or pack_b or not fits(m, k, n, out.itemsize):
                return False
        c, x, y = _stacks(out, a, b, sizes, at, a_steps, b_steps)
        count = max(parts, 1)
        for part in each(count):
            first, last = part * stack // count, (part + 1) * stack // count
            if tiny:
                for p in range(first, last):
                    ijk(c[p], x[p], y[p])
                    if bias is not None:
                        c[p] += bias
            else:
                in_place(c, x, y, first, last, bias)
        return True

    return unpacked


_unpacked = Kernel(_make_unpacked)


def _make_packed(each):
    def packed(out, a, b, sizes, at, a_steps, b_steps, bias, parts, space):
        """The products in so many parts, each with its share of ``space``."""
        stack, m, k, n = sizes
        pack_a, pack_b = _packs(sizes, a_steps, b_steps, out.itemsize)
        rows = workspace(m, k, n, out.itemsize, pack_a, pack_b)
        share = len(space) // parts
        c, x, y = _stacks(out, a, b, sizes, at, a_steps, b_steps)
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

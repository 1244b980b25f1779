"""The ladder: matrix multiplication, one rung at a time from a zip and a reduce to full speed.

Each rung is a function ``rung(out, a, b)`` of 2-D NumPy arrays (m, n), (m, k) and (k, n) with any
strides, and changes one thing about the rung below it.  :data:`LADDER` lists them in order.  What
``@`` runs is :func:`matmul`: the top rung, over a stack of matrices.
"""

from __future__ import annotations

import functools

import numpy as np

from mtlib.kernels.jit import Kernel, compiled, threads_for
from mtlib.kernels.packed import TALL, fits, in_place, multiply, wide, workspace
from mtlib.memory import allocate

compiled_fma = functools.partial(compiled, fuse_add=True)


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
    _multiply(out[None], a[None], b[None], threads=1)


def threaded(out, a, b):
    """Rung 5.  The same, each thread on its own part of the output."""
    matmul(out[None], a[None], b[None])


LADDER = (zip_reduce, ijk, ikj, tiled, register_tiled, threaded)


# --- What @ runs ----------------------------------------------------------------------------------

TINY = 1 << 9  # multiplications below which setting up tiles costs more than they save
AT_ONCE = 1 << 5  # multiplications that a core does in the time of one scalar operation


def matmul(out, a, b):
    """``out (p, m, n) = a (p, m, k) @ b (p, k, n)`` for stacks of matrices.

    ``a`` and ``b`` may have any strides, ``out`` must be row-major.
    """
    products = out.size * a.shape[2]
    if products <= TINY:
        _tiny(out, a, b)
    else:
        _multiply(out, a, b, threads_for(products // AT_ONCE))


@compiled_fma
def _tiny(out, a, b):
    for p in range(out.shape[0]):
        ijk(out[p], a[p], b[p])


def _multiply(out, a, b, threads: int) -> None:
    stack, m, n = out.shape
    k, itemsize, broad = a.shape[2], out.itemsize, wide(out.dtype)
    if k == 0:
        out[:] = 0
        return
    # A strip of a is slow to read if neither rows nor columns lie side by side; one of b if its
    # columns do not, or if its rows are so far apart that they crowd each other out of the cache.
    (_, a_row, a_column), (_, b_row, b_column) = a.strides, b.strides
    pack_a = a_row != itemsize and a_column != itemsize
    pack_b = b_column != itemsize or (b_row >= 4096 and m >= 4 * TALL)
    if (stack >= threads or threads == 1) and not (pack_a or pack_b) and fits(m, k, n, out.dtype):
        _stack.run(threads, out, a, b)
        return
    # Which side is shared out among the threads, and in pieces of how many.
    along, piece = 0, 1
    if stack < threads:
        along, piece = (1, TALL) if m >= n else (2, broad)
    space = [
        allocate((threads, *shape), out.dtype, "matmul", role="workspace").reshape(threads, *shape)
        for shape in workspace(m, k, n, out.dtype, pack_a, pack_b)
    ]
    _parts.run(threads, out, a, b, *space, pack_a, pack_b, along, piece)


def _make_stack(each):
    def stack(out, a, b):
        for p in each(len(out)):
            in_place(out[p], a[p], b[p])

    return stack


_stack = Kernel(_make_stack)


def _make_parts(each):
    def parts(out, a, b, a_strip, b_strips, edge, pack_a, pack_b, along, piece):
        count, pieces = len(edge), (out.shape[along] + piece - 1) // piece
        for part in each(count):
            first = part * pieces // count * piece
            last = min((part + 1) * pieces // count * piece, out.shape[along])
            space = a_strip[part], b_strips[part], edge[part]
            for p in range(first if along == 0 else 0, last if along == 0 else len(out)):
                c, rows, columns = out[p], a[p], b[p]
                if along == 1:
                    c, rows = c[first:last], rows[first:last]
                elif along == 2:
                    c, columns = c[:, first:last], columns[:, first:last]
                multiply(c, rows, columns, *space, pack_a, pack_b)

    return parts


_parts = Kernel(_make_parts)

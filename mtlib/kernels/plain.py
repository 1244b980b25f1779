"""The loop nests as you would write them yourself.

Nothing here is clever.  Each does what its name says, is compiled by Numba as it stands, and can be
stepped through in a debugger under ``NUMBA_DISABLE_JIT=1``.  What mtlib runs is in the folders
beside this file: the same results, faster (the smallest products of matrices do run ``ijk``).

First map, zip and reduce, for tensors of any rank and strides.  To a loop nest a tensor is two
things: a storage, which is a flat array, and a :class:`~mtlib.layout.Layout`, which says where in
it each element lies.  Then the product of two matrices in four ways, for 2-D arrays.
"""

import numpy as np

from mtlib.kernels.jit import compiled, compiled_fma, inlined


@inlined
def place(layout, index):
    """Where in its storage the element at ``index`` lies: ``offset + i·strides[0] + …``.

    >>> from mtlib.layout import contiguous
    >>> place(contiguous((2, 4)), (1, 2))
    6
    """
    at = layout.offset
    for d in range(len(index)):
        at += index[d] * layout.strides[d]
    return at


def map_loops(f):
    """``out[index] = f(a[index])``, one element loaded for each that is stored.

    Call as ``loops(out, its layout, a, its layout)``: both of one shape, of rank 1 or more.

    >>> from mtlib.kernels.functions import scalars
    >>> from mtlib.layout import contiguous, permute
    >>> a, out = np.array([4.0, 9.0, 16.0, 25.0]), np.empty(4)
    >>> transposed = permute(contiguous((2, 2)), (1, 0))
    >>> map_loops(scalars.sqrt)(out, contiguous((2, 2)), a, transposed)
    >>> out
    array([2., 4., 3., 5.])
    """

    @compiled
    def loops(out, out_layout, a, a_layout):
        for index in np.ndindex(out_layout.shape):
            x = a[place(a_layout, index)]
            out[place(out_layout, index)] = f(x)

    return loops


def zip_loops(f):
    """``out[index] = f(a[index], b[index])``, two elements loaded for each that is stored.

    Call as ``loops(out, its layout, a, its layout, b, its layout)``: all of one shape, of rank 1 or
    more.  An operand that is stretched to that shape has stride 0 where it is.

    >>> from mtlib.kernels.functions import scalars
    >>> from mtlib.layout import contiguous, expand
    >>> column, row, out = np.array([10.0, 20.0]), np.array([1.0, 2.0, 3.0]), np.empty(6)
    >>> down, right = expand(contiguous((2, 1)), (2, 3)), expand(contiguous((1, 3)), (2, 3))
    >>> zip_loops(scalars.add)(out, contiguous((2, 3)), column, down, row, right)
    >>> out
    array([11., 12., 13., 21., 22., 23.])
    """

    @compiled
    def loops(out, out_layout, a, a_layout, b, b_layout):
        for index in np.ndindex(out_layout.shape):
            x, y = a[place(a_layout, index)], b[place(b_layout, index)]
            out[place(out_layout, index)] = f(x, y)

    return loops


def reduce_loops(f, start):
    """``out[kept] = f(… f(f(start, x₀), x₁) …)``, each element loaded once, each total stored once.

    Call as ``loops(out, its layout, a, kept, folded)``.  The dimensions of ``a`` are in two
    layouts: ``kept``, of the shape of ``out``, leads to the first element of each total, and
    ``folded``, which starts at 0, from there to the others.  Both are of rank 1 or more.

    >>> from mtlib.kernels.functions import scalars
    >>> from mtlib.layout import Layout, contiguous
    >>> a, out = np.arange(6.0), np.empty(2)  # (2, 3), to be added up along its rows
    >>> rows, along = Layout((2,), (3,), 0), Layout((3,), (1,), 0)
    >>> reduce_loops(scalars.add, 0.0)(out, contiguous((2,)), a, rows, along)
    >>> out
    array([ 3., 12.])
    """

    @compiled
    def loops(out, out_layout, a, kept, folded):
        for output in np.ndindex(out_layout.shape):
            total = out.dtype.type(start)
            for inner in np.ndindex(folded.shape):
                total = f(total, a[place(kept, output) + place(folded, inner)])
            out[place(out_layout, output)] = total

    return loops


# --- A product of matrices: out (m, n) in row-major order, a (m, k) and b (k, n) with any strides -


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

"""The ladder: matrix multiplication, one rung at a time from a zip and a reduce to full speed.

Each rung is a function ``rung(out, a, b)`` of 2-D NumPy arrays: (m, n) in row-major order, and
(m, k) and (k, n) with any strides.  It changes one thing about the rung below it.  :data:`LADDER`
lists them in order: the first four are those of :mod:`mtlib.kernels.plain`, the last two are here.
What ``@`` runs is :func:`matmul`: the top rung, over stacks of matrices.
"""

from __future__ import annotations

from numpy.lib.stride_tricks import as_strided

from mtlib.kernels.jit import Kernel, inlined, threads_for
from mtlib.kernels.plain import ijk, ikj, tiled, zip_reduce
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.plans.products import TALL, TINY, Product, cut, packs, wide, workspace
from mtlib.kernels.products.packed import in_place, multiply
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
    matmul(c, a, b, plans.product(left, right, out.itemsize), threads=threads)


# --- What @ runs ----------------------------------------------------------------------------------


def matmul(out, a, b, how: Product, bias=None, threads: int = 0) -> None:
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
        pack_a, pack_b = packs(
            m, n, table[2, 2], table[2, 3], table[3, 2], table[3, 3], out.itemsize
        )
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

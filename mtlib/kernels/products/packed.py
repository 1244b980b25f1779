"""Matrix multiplication by register tiles, with the operands brought into the order they are used.

The output is cut into tiles (:mod:`mtlib.kernels.products.tile`).  A tile reads a strip of rows of
a and a strip of columns of b, and it is fast if these lie close together.  So k is cut into blocks
of ``DEPTH``, such that a strip of a stays in the first-level cache while the strips of b pass it,
and the columns are cut so that those strips of b stay in the second-level cache for the next.

A strip is *packed*, copied into the order in which the tile reads it, where its place in memory
would make it slow, and at the edges, where zeros fill it up to a full tile.  Else it is read where
it lies: for small matrices the copy would cost more than it saves.

Source: Goto and van de Geijn (2008), as in :mod:`mtlib.kernels.products.tile`.
"""

from mtlib.kernels.jit import compiled, inlined
from mtlib.kernels.plans.products import BLOCK_COLUMNS, DEPTH, STEP, TALL, VECTOR_BYTES, wide
from mtlib.kernels.products.tile import register_tiles
from mtlib.kernels.products.transpose import copy_square, turn_square

_tile = register_tiles((STEP, 2 * STEP, TALL), (1, 2))


@inlined
def _height(rows: int) -> int:
    """How many of the last ``rows`` rows the next tile takes: all that it can.

    Unless that would leave a third of a tile.  Such a low one has too few totals to add to while
    it waits for each of them, and takes as long as one of two thirds: so two of these instead.
    """
    return 2 * STEP if TALL < rows <= TALL + STEP else min(TALL, rows)


@compiled
def in_place(out, a, b, first, last, bias):
    """``out[p] = a[p] @ b[p]`` from ``first`` to ``last``, for matrices that fit: nothing packed.

    ``bias`` is None or, as for :func:`multiply`, what each row starts from.
    """
    (_, m, n), depth = out.shape, a.shape[2]
    broad = wide(out.itemsize)
    for p in range(first, last):
        i = 0
        while i < m:
            height = _height(m - i)
            if bias is not None:
                _start_from(bias, out[p, i : i + height])
            for j in range(0, n, broad):
                vectors = 2 if n - j >= broad else 1
                ia, ib, ic = (p, i, 0), (p, 0, j), (p, i, j)
                _tile(a, ia, b, ib, out, ic, depth, bias is None, height, vectors)
            i += height


@compiled
def multiply(out, a, b, a_strip, b_strips, edge, pack_a, pack_b, bias=None):
    """``out = a @ b`` for 2-D arrays, on one thread; k must not be 0.  Or ``a @ b + bias``.

    A bias (n,) is no pass of its own over the output: a tile adds to it instead of to 0.

    ``a`` and ``b`` may have any strides, but the columns of ``b`` must lie side by side unless it
    is packed.  ``a_strip``, ``b_strips`` and ``edge`` have as many rows as ``workspace`` in
    :mod:`mtlib.kernels.plans.products` says.
    """
    (m, n), k, broad = out.shape, a.shape[1], b_strips.shape[1]
    a_packed = a_strip.T  # stored by columns, which is the order in which a tile reads it
    for j0 in range(0, n, BLOCK_COLUMNS):
        j_end = min(j0 + BLOCK_COLUMNS, n)
        for k0 in range(0, k, DEPTH):
            depth = min(DEPTH, k - k0)
            for j in range(j0, j_end, broad):
                width = min(broad, j_end - j)
                if pack_b:
                    _pack(b_strips, (j - j0) // broad * depth, b, k0, j, depth, width)
                elif width % (broad // 2):
                    _pack(b_strips, 0, b, k0, j, depth, width)
            i = 0
            while i < m:
                height = _height(m - i)
                a_from, ia = a, (i, k0)
                if pack_a or height % STEP:
                    _pack(a_strip, 0, a.T, k0, i, depth, height)
                    a_from, ia = a_packed, (0, 0)
                fresh = k0 == 0 and bias is None
                if bias is not None and k0 == 0:
                    _start_from(bias[j0:j_end], out[i : i + height, j0:j_end])
                for j in range(j0, j_end, broad):
                    width = min(broad, j_end - j)
                    b_from, ib = b, (k0, j)
                    if pack_b:
                        b_from, ib = b_strips, ((j - j0) // broad * depth, 0)
                    elif width % (broad // 2):
                        b_from, ib = b_strips, (0, 0)
                    rows = (height + STEP - 1) // STEP * STEP
                    vectors = 2 if 2 * width > broad else 1
                    if height % STEP or width % (broad // 2):  # smaller than any tile
                        _tile(a_from, ia, b_from, ib, edge, (0, 0), depth, True, rows, vectors)
                        for x in range(height):
                            for y in range(width):
                                total = edge[x, y] if fresh else out[i + x, j + y] + edge[x, y]
                                out[i + x, j + y] = total
                    else:
                        _tile(a_from, ia, b_from, ib, out, (i, j), depth, fresh, rows, vectors)
                i += height


@compiled
def _start_from(bias, rows):
    for x in range(len(rows)):
        for y in range(len(bias)):
            rows[x, y] = bias[y]


@compiled
def _pack(strips, place, x, k0, first, depth, length):
    """Copy ``x[k0 : k0 + depth, first : first + length]`` to a strip, with zeros after it.

    In squares where numbers lie side by side in rows or columns, one number at a time elsewhere.
    """
    side = VECTOR_BYTES // x.itemsize
    down, right = x.strides
    adjacent = right == x.itemsize or down == x.itemsize
    even_depth, even_length = depth // side * side, length // side * side if adjacent else 0
    for k in range(0, even_depth, side):
        for i in range(0, even_length, side):
            if right == x.itemsize:
                copy_square(x, (k0 + k, first + i), strips, (place + k, i))
            else:
                turn_square(x.T, (first + i, k0 + k), strips, (place + k, i))
    for k in range(depth):
        for i in range(even_length if k < even_depth else 0, length):
            strips[place + k, i] = x[k0 + k, first + i]
        for i in range(length, strips.shape[1]):
            strips[place + k, i] = 0

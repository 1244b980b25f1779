"""Matrix multiplication by register tiles, with the operands brought into the order they are used.

The output is cut into tiles (:mod:`mtlib.kernels.tile`).  A tile reads a strip of rows of a and a
strip of columns of b, and it is fast if these lie close together.  So k is cut into blocks of
``DEPTH``, such that a strip of a stays in the first-level cache with the strip of b that passes it,
and the rows are cut so that all those strips of a stay in the second-level cache.

A strip is *packed*, copied into the order in which the tile reads it, where its place in memory
would make it slow, and at the edges, where zeros fill it up to a full tile.  Else it is read where
it lies: for small matrices the copy would cost more than it saves.

Source: Goto and van de Geijn (2008), as in :mod:`mtlib.kernels.tile`.
"""

import numpy as np

from mtlib.kernels.jit import compiled
from mtlib.kernels.tile import ROWS, VECTOR_BYTES, register_tile

TALL = ROWS  # rows of a full tile; at the edge come lower ones, to multiply fewer zeros
STEP = TALL // 3
DEPTH = 256
BLOCK_ROWS = 16 * TALL
BLOCK_COLUMNS = 1024

_tall, _middle, _short = (register_tile(rows, 2) for rows in (TALL, 2 * STEP, STEP))
_tall_half, _middle_half, _short_half = (register_tile(rows, 1) for rows in (TALL, 2 * STEP, STEP))


def wide(dtype) -> int:
    """Columns of a full tile: two vectors."""
    return 2 * VECTOR_BYTES // np.dtype(dtype).itemsize


def workspace(m: int, k: int, n: int, dtype, pack_a: bool, pack_b: bool):
    """The shapes (strips, depth, length) of what :func:`multiply` needs to pack a and b.

    All the strips of a block; or, of an operand that is read where it lies, one for an edge that
    does not fill a tile, or none.

    >>> workspace(2 * TALL, 100, 64, "float64", True, False)[0] == (2, 100, TALL)
    True
    """
    depth, broad = min(k, DEPTH), wide(dtype)
    a_strips = -(-min(m, BLOCK_ROWS) // TALL) if pack_a else int(m % STEP != 0)
    b_strips = -(-min(n, BLOCK_COLUMNS) // broad) if pack_b else int(n % (broad // 2) != 0)
    return (a_strips, depth, TALL), (b_strips, depth, broad)


@compiled
def multiply(out, a, b, a_strips, b_strips, pack_a, pack_b):
    """``out = a @ b`` for 2-D arrays, on one thread; k must not be 0.

    ``a`` and ``b`` may have any strides, but the columns of ``b`` must lie side by side unless it
    is packed.  ``a_strips`` and ``b_strips`` have the shapes that :func:`workspace` says.
    """
    (m, n), k = out.shape, a.shape[1]
    broad = b_strips.shape[2]
    edge = np.empty((TALL, broad), out.dtype)
    for j0 in range(0, n, BLOCK_COLUMNS):
        columns = min(BLOCK_COLUMNS, n - j0)
        for k0 in range(0, k, DEPTH):
            depth = min(DEPTH, k - k0)
            b_block = b[k0 : k0 + depth, j0 : j0 + columns]
            for j in range(0, columns, broad):
                if pack_b or not _fills(min(broad, columns - j), broad // 2):
                    _pack(b_strips[j // broad if pack_b else 0], b_block[:, j : j + broad])
            for i0 in range(0, m, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, m - i0)
                a_block = a[i0 : i0 + rows, k0 : k0 + depth]
                c_block = out[i0 : i0 + rows, j0 : j0 + columns]
                for i in range(0, rows, TALL):
                    if pack_a or not _fills(min(TALL, rows - i), STEP):
                        _pack(a_strips[i // TALL if pack_a else 0], a_block[i : i + TALL].T)
                for j in range(0, columns, broad):
                    width = min(broad, columns - j)
                    if pack_b or not _fills(width, broad // 2):
                        b_strip = b_strips[j // broad if pack_b else 0, :depth]
                    else:
                        b_strip = b_block[:, j : j + width]
                    for i in range(0, rows, TALL):
                        height = min(TALL, rows - i)
                        if pack_a or not _fills(height, STEP):
                            a_strip = a_strips[i // TALL if pack_a else 0, :depth].T
                        else:
                            a_strip = a_block[i : i + height]
                        c = c_block[i : i + height, j : j + width]
                        _put(c, a_strip, b_strip, edge, k0 == 0)


@compiled
def _fills(length, step):
    """Whether a strip of this length fills a tile, so that it needs no zeros."""
    return length % step == 0


@compiled
def _pack(strip, block):
    """Copy ``block`` (depth, length) to the front of ``strip``, with zeros after it."""
    depth, length = block.shape
    for k in range(depth):
        for x in range(length):
            strip[k, x] = block[k, x]
        for x in range(length, strip.shape[1]):
            strip[k, x] = 0


@compiled
def _put(c, a, b, edge, fresh):
    """Compute one tile into ``c``, by way of ``edge`` if ``c`` is smaller than any tile."""
    broad = edge.shape[1]
    height = (c.shape[0] + STEP - 1) // STEP * STEP
    width = broad if 2 * c.shape[1] > broad else broad // 2
    if c.shape == (height, width):
        _tile(a, b, c, fresh, width == broad)
    else:
        _tile(a, b, edge[:height, :width], True, width == broad)
        for i in range(c.shape[0]):
            for j in range(c.shape[1]):
                c[i, j] = edge[i, j] if fresh else c[i, j] + edge[i, j]


@compiled
def _tile(a, b, c, fresh, full):
    """The tile for this height and width."""
    if full:
        if c.shape[0] == TALL:
            _tall(a, b, c, fresh)
        elif c.shape[0] == STEP:
            _short(a, b, c, fresh)
        else:
            _middle(a, b, c, fresh)
    elif c.shape[0] == TALL:
        _tall_half(a, b, c, fresh)
    elif c.shape[0] == STEP:
        _short_half(a, b, c, fresh)
    else:
        _middle_half(a, b, c, fresh)

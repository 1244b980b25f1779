"""How products of matrices are cut into tiles and blocks, and what they need for it.

Why it is done so is told in :mod:`mtlib.kernels.products.packed`.
"""

from __future__ import annotations

from operator import mul
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np

from mtlib.kernels.jit import inlined
from mtlib.layout import Layout, collapse, contiguous


def _vector_bytes() -> int:
    """How wide this processor's vectors are."""
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()
# The tallest tile whose totals, with 2 vectors of b and one of a, fit the registers: AVX-512 and
# ARM have 32 of them, AVX2 and SSE 16.
TALL = 6 if VECTOR_BYTES == 32 else 12
STEP = TALL // 3
DEPTH = 512
BLOCK_COLUMNS = 384
FAR_A, FAR_B = 2048, 4096  # bytes

TINY = 1 << 9  # multiplications below which setting up tiles costs more than they save
AT_ONCE = 1 << 5  # multiplications that a core does in the time of one scalar operation


@inlined
def wide(itemsize: int) -> int:
    """Columns of a full tile: two vectors."""
    return 2 * VECTOR_BYTES // itemsize


@inlined
def fits(m: int, k: int, n: int, itemsize: int) -> bool:
    """Whether the tiles come out even and all of k and n make one block: see :func:`in_place`."""
    return (
        m % STEP == 0 and n % (VECTOR_BYTES // itemsize) == 0 and k <= DEPTH and n <= BLOCK_COLUMNS
    )


@inlined
def workspace(m: int, k: int, n: int, itemsize: int, pack_a: bool, pack_b: bool):
    """Rows of what :func:`multiply` needs: (strip of a, strips of b, tile for the edge).

    Of a, one strip if it is packed or does not fill its last tile.  Of b, all the strips of a block
    one below the other if it is packed, one if it does not fill its last tile.

    >>> workspace(2 * TALL, 100, 64, 8, False, False)
    (0, 0, 0)
    """
    depth, broad = min(k, DEPTH), wide(itemsize)
    a_edge, b_edge = m % STEP != 0, n % (broad // 2) != 0
    b_strips = (min(n, BLOCK_COLUMNS) + broad - 1) // broad if pack_b else int(b_edge)
    return depth if pack_a or a_edge else 0, b_strips * depth, TALL if a_edge or b_edge else 0


@inlined
def room(rows, itemsize: int) -> int:
    """Elements of a workspace with so many ``rows``."""
    return rows[0] * TALL + (rows[1] + rows[2]) * wide(itemsize)


@inlined
def cut(space, rows):
    """``space`` as a strip of a, strips of b and a tile for the edge, with so many ``rows``."""
    broad = wide(space.itemsize)
    a_end = rows[0] * TALL
    b_end = a_end + rows[1] * broad
    return (
        space[:a_end].reshape(rows[0], TALL),
        space[a_end:b_end].reshape(rows[1], broad),
        space[b_end:].reshape(rows[2], broad),
    )


@inlined
def packs(m: int, n: int, a_row: int, a_column: int, b_row: int, b_column: int, itemsize: int):
    """Whether strips of a (m, k), and of b (k, n), are slow to read where they lie.

    They are if neither rows nor columns lie side by side, or, in b, if columns do not.  And they
    are if what is read one after the other is so far apart, on a page of memory each, of which
    there are more than a processor has at hand.  If the strip is used only a few times, though,
    the copy takes longer than that.
    """
    a_far = a_row == 1 and a_column * itemsize > FAR_A and n >= 2 * wide(itemsize)
    b_far = b_row * itemsize >= FAR_B and m >= 4 * TALL
    return a_far or (a_row != 1 and a_column != 1), b_far or b_column != 1


class Product(NamedTuple):
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


def product(a: Layout, b: Layout, itemsize: int) -> Product:
    """The plan for stacks (…, m, k) and (…, k, n) of one batch shape, and a row-major output.

    >>> from mtlib.layout import expand
    >>> how = product(contiguous((5, 2, 4)), expand(contiguous((1, 4, 3)), (5, 4, 3)), itemsize=8)
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
    tiny, packed = m * k * n <= TINY, packs(m, n, *a.strides[-2:], *b.strides[-2:], itemsize)
    return Product(
        layout=out,
        tables=tuple(tables),
        stack=stack,
        work=stack * m * k * n // AT_ONCE,
        tiny=tiny,
        unpacked=tiny or (not any(packed) and fits(m, k, n, itemsize)),
        room=room(workspace(m, k, n, itemsize, *packed), itemsize),
    )

"""Squares of numbers moved through vector registers, as they lie or with rows made columns.

To bring an operand into the order in which it is used is mostly copying, and one number at a time
that would cost as much as it saves.  A square with as many rows as a vector has numbers is moved
with one load and one store for each row.  Between them it fills the registers, and there it can be
turned over: in each of log₂ rounds, every row exchanges half of its numbers with another row.

Source: Eklundh, "A Fast Computer Method for Matrix Transposing", IEEE Transactions on Computers
C-21 (1972).
"""

import functools

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mtlib.kernels.plans.products import VECTOR_BYTES
from mtlib.kernels.products.tile import start_of


def _mover(turned: bool):
    """A function ``move(x, ix, y, iy)`` for kernels to call; nothing is checked."""
    if numba.config.DISABLE_JIT:
        return functools.partial(_plain, turned)

    @intrinsic
    def move(typing_context, x, ix, y, iy):
        itemsize = x.dtype.bitwidth // 8
        lanes = VECTOR_BYTES // itemsize

        def generate(context, builder, signature, arguments):
            x_, ix_, y_, iy_ = arguments
            vector = ir.VectorType(context.get_value_type(x.dtype), lanes)

            def rows_of(kind, array, index_kind, index):
                start, (down, _) = start_of(context, builder, kind, array, index_kind, index)
                steps = (builder.mul(down, down.type(r)) for r in range(lanes))
                places = (builder.gep(start, [step]) for step in steps)
                return [builder.bitcast(place, vector.as_pointer()) for place in places]

            rows = [builder.load(place, align=itemsize) for place in rows_of(x, x_, ix, ix_)]
            if turned:
                rows = _turned_over(builder, rows)
            for row, place in zip(rows, rows_of(y, y_, iy, iy_), strict=True):
                builder.store(row, place, align=itemsize)
            return context.get_dummy_value()

        return types.void(x, ix, y, iy), generate

    return move


def _turned_over(builder, rows):
    """Transpose: swap the upper right and lower left quarters, then the same in each quarter."""
    lanes = len(rows)
    half = lanes // 2
    while half:
        # Of two rows one after the other, the numbers that make the new upper and the new lower.
        upper = [i if not i & half else lanes + i - half for i in range(lanes)]
        lower = [i + half if not i & half else lanes + i for i in range(lanes)]
        for r in range(lanes):
            if not r & half:
                pair = rows[r], rows[r + half]
                for place, taken in ((r, upper), (r + half, lower)):
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), taken)
                    rows[place] = builder.shuffle_vector(*pair, mask)
        half //= 2
    return rows


def _plain(turned, x, ix, y, iy):
    """The same in plain Python, for ``NUMBA_DISABLE_JIT=1``."""
    lanes = VECTOR_BYTES // x.itemsize
    for r in range(lanes):
        for c in range(lanes):
            i, j = (c, r) if turned else (r, c)
            y[iy[0] + r, iy[1] + c] = x[ix[0] + i, ix[1] + j]


# y[iy + (r, c)] = x[ix + (r, c)] and, turned over, x[ix + (c, r)], for the rows and columns of a
# square as wide as a vector.  The columns of both 2-D arrays must lie side by side.
copy_square = _mover(turned=False)
turn_square = _mover(turned=True)

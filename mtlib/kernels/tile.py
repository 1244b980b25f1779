"""The register tile: the innermost piece of a fast matrix multiplication.

A processor multiplies much faster than it loads.  With one running total, each multiplication waits
for two loads.  With a *tile* of totals, say 12 rows by 2 vectors, one step of k loads 12 elements
of a and 2 vectors of b and makes 24 vector multiplications of them.  As long as the totals stay in
registers, the arithmetic is what takes the time.

No compiler can be told in Python to keep a tile in registers, so :func:`register_tile` writes the
instructions out, with LLVM's vector types, for any element type and any size of tile.

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM Transactions
on Mathematical Software 34 (2008), and Van Zee and van de Geijn, "BLIS", ibid. 41 (2015), who call
this the micro-kernel.
"""

import functools

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _vector_bytes() -> int:
    """How wide this processor's vectors are."""
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()
# The tallest tile whose totals, with 2 vectors of b and one of a, fit the registers: AVX-512 and
# ARM have 32 of them, AVX2 and SSE 16.
ROWS = 6 if VECTOR_BYTES == 32 else 12


def register_tile(rows: int, vectors: int):
    """A function ``tile(a, i, ka, b, kb, jb, c, ic, jc, depth, fresh)`` for kernels to call:

        c[ic:, jc:] (+)= a[i:, ka : ka + depth] @ b[kb : kb + depth, jb:]

    for ``rows`` rows and ``vectors`` vectors' worth of columns; it sets c if ``fresh``, else adds
    to it.  All are 2-D arrays: ``a`` with any strides, ``b`` and ``c`` with columns side by side.
    ``depth`` must not be 0, and nothing is checked.  (It takes offsets because a slice, which has
    an owner to be counted, costs more than a small tile's arithmetic.)
    """
    if numba.config.DISABLE_JIT:
        return functools.partial(_plain_tile, rows, vectors)

    @intrinsic
    def tile(typing_context, a, i, ka, b, kb, jb, c, ic, jc, depth, fresh):
        itemsize = a.dtype.bitwidth // 8
        lanes = VECTOR_BYTES // itemsize

        def generate(context, builder, signature, arguments):
            scalar = context.get_value_type(a.dtype)
            vector = ir.VectorType(scalar, lanes)
            int32, int64 = ir.IntType(32), ir.IntType(64)
            fma = cgutils.get_or_insert_function(  # one rounding, one instruction: x * y + total
                builder.module,
                ir.FunctionType(vector, [vector] * 3),
                f"llvm.fma.v{lanes}f{8 * itemsize}",
            )
            a_, i_, ka_, b_, kb_, jb_, c_, ic_, jc_, depth_, fresh_ = arguments

            def operand(kind, value, row, column):
                """The address of element (row, column) and the two strides, in elements."""
                array = context.make_array(kind)(context, builder, value)
                steps = cgutils.unpack_tuple(builder, array.strides, 2)
                down, right = (builder.sdiv(step, int64(itemsize)) for step in steps)
                offset = builder.add(builder.mul(row, down), builder.mul(column, right))
                return builder.gep(array.data, [offset]), down, right

            def vector_at(start, j):
                return builder.bitcast(builder.gep(start, [int64(j * lanes)]), vector.as_pointer())

            def row_at(start, stride, r):
                return builder.gep(start, [builder.mul(stride, int64(r))])

            def spread(x):
                one = builder.insert_element(ir.Constant(vector, ir.Undefined), x, int32(0))
                everywhere = ir.Constant(ir.VectorType(int32, lanes), [0] * lanes)
                return builder.shuffle_vector(one, one, everywhere)

            a_start, a_row, a_step = operand(a, a_, i_, ka_)
            b_start, b_step, _ = operand(b, b_, kb_, jb_)
            c_start, c_row, _ = operand(c, c_, ic_, jc_)

            # The loop over k.  A phi is a value that changes from one turn to the next.
            before, loop = builder.block, builder.append_basic_block("k")
            after = builder.append_basic_block("after")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(int64)
            a_now, b_now = builder.phi(a_start.type), builder.phi(b_start.type)
            totals = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]

            columns = [builder.load(vector_at(b_now, j), align=itemsize) for j in range(vectors)]
            sums = []
            for r in range(rows):
                x = spread(builder.load(row_at(a_now, a_row, r)))
                sums.append(
                    [builder.call(fma, [x, columns[j], totals[r][j]]) for j in range(vectors)]
                )

            zero = ir.Constant(vector, [0.0] * lanes)
            turns = [
                (k, int64(0), builder.add(k, int64(1))),
                (a_now, a_start, builder.gep(a_now, [a_step])),
                (b_now, b_start, builder.gep(b_now, [b_step])),
                *((totals[r][j], zero, sums[r][j]) for r in range(rows) for j in range(vectors)),
            ]
            for phi, first, then in turns:
                phi.add_incoming(first, before)
                phi.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", turns[0][2], depth_), loop, after)

            builder.position_at_end(after)
            with builder.if_else(fresh_) as branches:
                for branch, adds in zip(branches, (False, True), strict=True):
                    with branch:
                        for r in range(rows):
                            row = row_at(c_start, c_row, r)
                            for j in range(vectors):
                                place, total = vector_at(row, j), sums[r][j]
                                if adds:
                                    old = builder.load(place, align=itemsize)
                                    total = builder.fadd(old, total)
                                builder.store(total, place, align=itemsize)
            return context.get_dummy_value()

        offset = types.int64
        kinds = (a, offset, offset, b, offset, offset, c, offset, offset, offset, types.boolean)
        return types.void(*kinds), generate

    return tile


def _plain_tile(rows, vectors, a, i, ka, b, kb, jb, c, ic, jc, depth, fresh):
    """The same in plain Python, for ``NUMBA_DISABLE_JIT=1``."""
    for x in range(rows):
        for y in range(vectors * VECTOR_BYTES // c.itemsize):
            total = c.dtype.type(0)
            for k in range(depth):
                total += a[i + x, ka + k] * b[kb + k, jb + y]
            c[ic + x, jc + y] = total if fresh else c[ic + x, jc + y] + total

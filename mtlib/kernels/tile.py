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
    """A function ``tile(a, b, c, fresh)``: ``c = a @ b`` if ``fresh``, else ``c += a @ b``.

    For 2-D arrays, to be called from kernels: ``a`` (rows, k) with any strides, ``b`` (k, columns)
    and ``c`` (rows, columns) with any row stride and columns side by side, where ``columns`` is
    ``vectors`` vectors' worth.  k must not be 0, and shapes are not checked.
    """
    if numba.config.DISABLE_JIT:
        return _plain_tile

    @intrinsic
    def tile(typing_context, a, b, c, fresh):
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

            def operand(kind, value):
                """The address of element (0, 0) and the two strides, in elements."""
                array = context.make_array(kind)(context, builder, value)
                steps = cgutils.unpack_tuple(builder, array.strides, 2)
                return array.data, *(builder.sdiv(step, int64(itemsize)) for step in steps)

            def vector_at(start, j):
                return builder.bitcast(builder.gep(start, [int64(j * lanes)]), vector.as_pointer())

            def row_at(start, stride, i):
                return builder.gep(start, [builder.mul(stride, int64(i))])

            def spread(x):
                one = builder.insert_element(ir.Constant(vector, ir.Undefined), x, int32(0))
                everywhere = ir.Constant(ir.VectorType(int32, lanes), [0] * lanes)
                return builder.shuffle_vector(one, one, everywhere)

            a_start, a_row, a_step = operand(a, arguments[0])
            b_start, b_step, _ = operand(b, arguments[1])
            c_start, c_row, _ = operand(c, arguments[2])
            depth = cgutils.unpack_tuple(
                builder, context.make_array(b)(context, builder, arguments[1]).shape, 2
            )[0]

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
            for i in range(rows):
                x = spread(builder.load(row_at(a_now, a_row, i)))
                sums.append(
                    [builder.call(fma, [x, columns[j], totals[i][j]]) for j in range(vectors)]
                )

            zero = ir.Constant(vector, [0.0] * lanes)
            turns = [
                (k, int64(0), builder.add(k, int64(1))),
                (a_now, a_start, builder.gep(a_now, [a_step])),
                (b_now, b_start, builder.gep(b_now, [b_step])),
                *((totals[i][j], zero, sums[i][j]) for i in range(rows) for j in range(vectors)),
            ]
            for phi, first, then in turns:
                phi.add_incoming(first, before)
                phi.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", turns[0][2], depth), loop, after)

            builder.position_at_end(after)
            with builder.if_else(arguments[3]) as branches:
                for branch, adds in zip(branches, (False, True), strict=True):
                    with branch:
                        for i in range(rows):
                            row = row_at(c_start, c_row, i)
                            for j in range(vectors):
                                place, total = vector_at(row, j), sums[i][j]
                                if adds:
                                    old = builder.load(place, align=itemsize)
                                    total = builder.fadd(old, total)
                                builder.store(total, place, align=itemsize)
            return context.get_dummy_value()

        return types.void(a, b, c, types.boolean), generate

    return tile


def _plain_tile(a, b, c, fresh):
    """The same in plain Python, for ``NUMBA_DISABLE_JIT=1``."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = c.dtype.type(0)
            for k in range(b.shape[0]):
                total += a[i, k] * b[k, j]
            c[i, j] = total if fresh else c[i, j] + total

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


def start_of(context, builder, kind, array, index_kind, index):
    """The address of the element at ``index`` of an array, and the array's strides, in bytes."""
    array = context.make_array(kind)(context, builder, array)
    address, steps = array.data, cgutils.unpack_tuple(builder, array.strides, kind.ndim)
    address = builder.bitcast(address, ir.IntType(8).as_pointer())
    index = cgutils.unpack_tuple(builder, index)
    for step, place, integer in zip(steps, index, index_kind, strict=True):
        place = context.cast(builder, place, integer, types.int64)
        address = builder.gep(address, [builder.mul(step, place)])
    return address, steps


def _multiply_add(builder, vector, name: str):
    """x * y + total for vectors: one instruction, and one rounding."""
    kind = ir.FunctionType(vector, [vector] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, name)


def _spread(builder, vector, x):
    """A vector with ``x`` in every place."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.IntType(32)(0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, one, everywhere)


def register_tile(rows: int, vectors: int):
    """A function ``tile(a, ia, b, ib, c, ic, depth, fresh)`` for kernels to call:

        c[ic] (+)= a[ia] @ b[ib]

    where ``[ia]`` stands for the ``rows`` by ``depth`` elements that begin at the index ``ia``,
    ``[ib]`` for ``depth`` by as many as ``vectors`` hold, and ``[ic]`` for the tile.  It sets c if
    ``fresh``, else adds to it.  All are arrays of which the last two dimensions are the matrix:
    ``a`` with any strides, ``b`` and ``c`` with columns side by side.  ``depth`` must not be 0, and
    nothing is checked.  (It takes indices because a slice, which has an owner to be counted, costs
    more than a small tile's arithmetic.)
    """
    if numba.config.DISABLE_JIT:
        return functools.partial(_plain_tile, rows, vectors)

    @intrinsic
    def tile(typing_context, a, ia, b, ib, c, ic, depth, fresh):
        itemsize = a.dtype.bitwidth // 8
        lanes = VECTOR_BYTES // itemsize

        def generate(context, builder, signature, arguments):
            scalar = context.get_value_type(a.dtype)
            vector = ir.VectorType(scalar, lanes)
            int64 = ir.IntType(64)
            width = int64(VECTOR_BYTES)
            fma = _multiply_add(builder, vector, f"llvm.fma.v{lanes}f{8 * itemsize}")
            a_, ia_, b_, ib_, c_, ic_, depth_, fresh_ = arguments
            a_start, (*_, a_row, a_step) = start_of(context, builder, a, a_, ia, ia_)
            b_start, (*_, b_step, _) = start_of(context, builder, b, b_, ib, ib_)
            c_start, (*_, c_row, _) = start_of(context, builder, c, c_, ic, ic_)

            def place(kind, start, *ways):
                for stride, times in ways:
                    start = builder.gep(start, [builder.mul(stride, int64(times))])
                return builder.bitcast(start, kind.as_pointer())

            # The loop over k.  A phi is a value that changes from one turn to the next.
            before, loop = builder.block, builder.append_basic_block("k")
            after = builder.append_basic_block("after")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(int64)
            a_now, b_now = builder.phi(a_start.type), builder.phi(b_start.type)
            totals = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]

            columns, sums = [], []
            for j in range(vectors):
                columns.append(builder.load(place(vector, b_now, (width, j)), align=itemsize))
            for r in range(rows):
                x = _spread(builder, vector, builder.load(place(scalar, a_now, (a_row, r))))
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
                            for j in range(vectors):
                                start = place(vector, c_start, (c_row, r), (width, j))
                                total = sums[r][j]
                                if adds:
                                    old = builder.load(start, align=itemsize)
                                    total = builder.fadd(old, total)
                                builder.store(total, start, align=itemsize)
            return context.get_dummy_value()

        return types.void(a, ia, b, ib, c, ic, types.int64, types.boolean), generate

    return tile


def _plain_tile(rows, vectors, a, ia, b, ib, c, ic, depth, fresh):
    """The same in plain Python, for ``NUMBA_DISABLE_JIT=1``."""
    (*stack_a, i, ka), (*stack_b, kb, j), (*stack_c, x, y) = ia, ib, ic
    a, b, c = a[*stack_a, i:, ka:], b[*stack_b, kb:, j:], c[*stack_c, x:, y:]
    for x in range(rows):
        for y in range(vectors * VECTOR_BYTES // c.itemsize):
            total = c.dtype.type(0)
            for k in range(depth):
                total += a[x, k] * b[k, y]
            c[x, y] = total if fresh else c[x, y] + total

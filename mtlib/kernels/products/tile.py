"""The register tile: the innermost piece of a fast matrix multiplication.

A processor multiplies much faster than it loads.  With one running total, each multiplication waits
for two loads.  With a *tile* of totals, say 12 rows by 2 vectors, one step of k loads 12 elements
of a and 2 vectors of b and makes 24 vector multiplications of them.  As long as the totals stay in
registers, the arithmetic is what takes the time.

No compiler can be told in Python to keep a tile in registers, so :func:`register_tiles` writes the
instructions out, with LLVM's vector types, for any element type and any size of tile.

Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM Transactions
on Mathematical Software 34 (2008), and Van Zee and van de Geijn, "BLIS", ibid. 41 (2015), who call
this the micro-kernel.
"""

import itertools

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mtlib.kernels.plans.products import VECTOR_BYTES

INT64 = ir.IntType(64)


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


def register_tiles(heights, widths):
    """A function ``tile(a, ia, b, ib, c, ic, depth, fresh, rows, vectors)`` for kernels to call:

        c[ic] (+)= a[ia] @ b[ib]

    where ``[ia]`` stands for the ``rows`` by ``depth`` elements that begin at the index ``ia``,
    ``[ib]`` for ``depth`` by as many as ``vectors`` hold, and ``[ic]`` for the tile.  It sets c if
    ``fresh``, else adds to it.  All are arrays of which the last two dimensions are the matrix:
    ``a`` with any strides, ``b`` and ``c`` with columns side by side.  ``depth`` must not be 0,
    ``rows`` and ``vectors`` must be among ``heights`` and ``widths``, and nothing is checked.

    (It takes indices, and chooses among the sizes itself, because a slice has an owner to be
    counted, and so has each argument of a function: that costs more than a small tile.)
    """
    if numba.config.DISABLE_JIT:
        return _plain_tile

    @intrinsic
    def tile(typing_context, a, ia, b, ib, c, ic, depth, fresh, rows, vectors):
        def generate(context, builder, signature, arguments):
            a_, ia_, b_, ib_, c_, ic_, *how, rows_, vectors_ = arguments
            kinds = (a, a_, ia, ia_), (b, b_, ib, ib_), (c, c_, ic, ic_)
            places = [start_of(context, builder, *each) for each in kinds]
            done, nowhere = map(builder.append_basic_block, ("done", "nowhere"))
            many = max(widths) + 1
            size = builder.add(builder.mul(rows_, INT64(many)), vectors_)
            choice = builder.switch(size, nowhere)
            for height, width in itertools.product(heights, widths):
                block = builder.append_basic_block(f"tile_{height}_{width}")
                choice.add_case(INT64(height * many + width), block)
                builder.position_at_end(block)
                _write_tile(builder, context.get_value_type(a.dtype), height, width, places, *how)
                builder.branch(done)
            builder.position_at_end(nowhere)
            builder.unreachable()
            builder.position_at_end(done)
            return context.get_dummy_value()

        numbers = types.int64, types.boolean, types.int64, types.int64
        return types.void(a, ia, b, ib, c, ic, *numbers), generate

    return tile


def _write_tile(builder, scalar, rows: int, vectors: int, places, depth, fresh) -> None:
    """The instructions for a tile of one size: the loop over k, and what becomes of the totals."""
    itemsize = 4 if scalar == ir.FloatType() else 8
    vector = ir.VectorType(scalar, VECTOR_BYTES // itemsize)
    fma = _multiply_add(builder, vector, f"llvm.fma.v{vector.count}f{8 * itemsize}")
    (a, (*_, a_row, a_step)), (b, (*_, b_step, _)), (c, (*_, c_row, _)) = places
    width = INT64(VECTOR_BYTES)

    def place(kind, start, *ways):
        for stride, times in ways:
            start = builder.gep(start, [builder.mul(stride, INT64(times))])
        return builder.bitcast(start, kind.as_pointer())

    # A phi is a value that changes from one turn of the loop to the next.
    before, loop = builder.block, builder.append_basic_block("k")
    builder.branch(loop)
    builder.position_at_end(loop)
    k, a_now, b_now = builder.phi(INT64), builder.phi(a.type), builder.phi(b.type)
    totals = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]

    columns, sums = [], []
    for j in range(vectors):
        columns.append(builder.load(place(vector, b_now, (width, j)), align=itemsize))
    for r in range(rows):
        x = _spread(builder, vector, builder.load(place(scalar, a_now, (a_row, r))))
        sums.append([builder.call(fma, [x, columns[j], totals[r][j]]) for j in range(vectors)])

    zero = ir.Constant(vector, [0.0] * vector.count)
    turns = [
        (k, INT64(0), builder.add(k, INT64(1))),
        (a_now, a, builder.gep(a_now, [a_step])),
        (b_now, b, builder.gep(b_now, [b_step])),
        *((totals[r][j], zero, sums[r][j]) for r in range(rows) for j in range(vectors)),
    ]
    for phi, first, then in turns:
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed("<", turns[0][2], depth), loop, after)

    builder.position_at_end(after)
    with builder.if_else(fresh) as branches:
        for branch, adds in zip(branches, (False, True), strict=True):
            with branch:
                for r in range(rows):
                    for j in range(vectors):
                        start = place(vector, c, (c_row, r), (width, j))
                        total = sums[r][j]
                        if adds:
                            old = builder.load(start, align=itemsize)
                            total = builder.fadd(old, total)
                        builder.store(total, start, align=itemsize)


def _plain_tile(a, ia, b, ib, c, ic, depth, fresh, rows, vectors):
    """The same in plain Python, for ``NUMBA_DISABLE_JIT=1``."""
    (*stack_a, i, ka), (*stack_b, kb, j), (*stack_c, x, y) = ia, ib, ic
    a, b, c = a[*stack_a, i:, ka:], b[*stack_b, kb:, j:], c[*stack_c, x:, y:]
    for x in range(rows):
        for y in range(vectors * VECTOR_BYTES // c.itemsize):
            total = c.dtype.type(0)
            for k in range(depth):
                total += a[x, k] * b[k, y]
            c[x, y] = total if fresh else c[x, y] + total

"""The two limits of a processor: how fast it computes, and how fast it reads and writes."""

from __future__ import annotations

import time

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.measure import WARM, Effort, seconds
from mtlib.kernels.plans.products import VECTOR_BYTES

CHAINS = 12  # enough for two units that take 4 or 5 cycles each; few enough for 16 registers
TURNS = 1 << 20  # a millisecond or two, beside which waking the threads is nothing


@intrinsic
def _multiply_add(typing_context, x, turns):
    """``turns`` times, ``total = total · x + x`` for CHAINS vectors that never leave registers."""
    itemsize = x.bitwidth // 8
    lanes = VECTOR_BYTES // itemsize

    def generate(context, builder, signature, arguments):
        scalar, int64 = context.get_value_type(x), ir.IntType(64)
        vector = ir.VectorType(scalar, lanes)
        fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fma.v{lanes}f{8 * itemsize}",
        )
        start = ir.Constant(vector, ir.Undefined)
        for lane in range(lanes):
            start = builder.insert_element(start, arguments[0], ir.Constant(ir.IntType(32), lane))

        before, loop = builder.block, builder.append_basic_block("turn")
        after = builder.append_basic_block("after")
        builder.branch(loop)
        builder.position_at_end(loop)
        turn = builder.phi(int64)
        totals = [builder.phi(vector) for _ in range(CHAINS)]
        sums = [builder.call(fma, [total, start, start]) for total in totals]
        following = builder.add(turn, int64(1))
        for phi, first, then in (
            (turn, int64(0), following),
            *((t, start, s) for t, s in zip(totals, sums, strict=True)),
        ):
            phi.add_incoming(first, before)
            phi.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[1]), loop, after)

        builder.position_at_end(after)
        result = sums[0]
        for each in sums[1:]:
            result = builder.fadd(result, each)
        return builder.extract_element(result, ir.Constant(ir.IntType(32), 0))

    return x(x, types.int64), generate


@numba.njit(parallel=True, cache=True)
def _compute(x, out):
    for thread in numba.prange(len(out)):
        out[thread] = _multiply_add(x, TURNS)


@numba.njit(parallel=True, cache=True, fastmath={"contract"})
def _triad(a, b, c):
    for i in numba.prange(len(a)):
        a[i] = b[i] + np.float64(3.0) * c[i]


def gflops(dtype: str, threads: int, effort: Effort) -> float:
    """Billions of additions and multiplications a second, on numbers that stay in registers."""
    x, out = np.dtype(dtype).type(0.5), np.empty(threads, dtype)
    flops = 2 * TURNS * CHAINS * (VECTOR_BYTES // out.itemsize) * threads
    return flops / _best(lambda: _compute(x, out), effort) / 1e9


def gbytes(effort: Effort, size: int) -> float:
    """Billions of bytes a second that ``a = b + 3 c`` reads and writes, on ``size`` elements."""
    a, b, c = (np.full(size, float(i)) for i in range(3))
    return 3 * a.nbytes / _best(lambda: _triad(a, b, c), effort) / 1e9


def _best(call, effort: Effort) -> float:
    """Seconds of the fastest call: a limit is what is reached when nothing is in the way.

    Without a rest, and for long enough that threads which have met on one core can part.
    """
    call()
    tries, ready = [], time.perf_counter() + 2 * WARM
    while len(tries) < 5 * effort.most_rounds or time.perf_counter() < ready:
        tries.append(seconds(call))
    return min(tries)


def limits(threads: int, effort: Effort, size: int) -> dict:
    """What this machine can do with so many threads."""
    return {
        "threads": threads,
        "float32": gflops("float32", threads, effort),
        "float64": gflops("float64", threads, effort),
        "gbytes": gbytes(effort, size),
    }

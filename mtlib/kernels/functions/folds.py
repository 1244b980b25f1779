"""Folding for loops that a compiler may reorder.

A running total that is added to once per turn of a loop keeps its order, and so one vector
instruction cannot add to several totals at a time.  These functions say that the order does not
matter: the compiler deals the elements out to as many totals as its vectors hold, and folds those
at the end.  Rounding errors become smaller, as there are fewer additions to each total.

Still they grow with the length.  So a long sum is cut into blocks, and what rounding takes away
from a total of blocks is given to the next of them (:func:`add_block`).
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic, overload

from mtlib.kernels.functions import scalars
from mtlib.kernels.jit import inlined


def _reordered(plain, emit):
    """``plain``, a function of two numbers, as the instruction that ``emit`` writes."""

    @intrinsic
    def instruction(typing_context, total, x):
        def generate(context, builder, signature, arguments):
            total_, x_ = arguments
            x_ = context.cast(builder, x_, x, total)
            return emit(builder, total_, x_)

        return total(total, x), generate

    def fold(total, x):
        return plain(total, x)

    @overload(fold, jit_options={"forceinline": True}, strict=False)
    def _(total, x):
        return lambda total, x: instruction(total, x)

    return fold


def _larger_or_smaller(name: str):
    """NaN if either is, as NumPy's maximum and minimum; of 0 and -0 one or the other."""

    def emit(builder, total, x):
        kind = total.type
        bits = 32 if isinstance(kind, ir.FloatType) else 64
        signature = ir.FunctionType(kind, [kind, kind])
        function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.f{bits}")
        return builder.call(function, [total, x], fastmath=("nsz",))

    return emit


ANY_ORDER = ("reassoc", "nsz")

add = _reordered(scalars.add, lambda builder, t, x: builder.fadd(t, x, flags=ANY_ORDER))
mul = _reordered(scalars.mul, lambda builder, t, x: builder.fmul(t, x, flags=ANY_ORDER))
maximum = _reordered(scalars.maximum, _larger_or_smaller("maximum"))
minimum = _reordered(scalars.minimum, _larger_or_smaller("minimum"))


BLOCK = 256  # elements that are folded in any order


@inlined
def blocks(first, end):
    """Where each block of a loop begins; unsigned, as in :func:`share`."""
    return range(np.uint64(first), np.uint64(end), np.uint64(BLOCK))


@inlined
def block(first, end):
    """The turns of one block."""
    return range(np.uint64(first), min(np.uint64(first) + np.uint64(BLOCK), np.uint64(end)))


@inlined
def add_block(total, lost, x):
    """``total + x``, and what rounding added to that, for the next addition to take back.

    The error of a sum does not grow with its length then.  Source: Kahan (1965), as in Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 4.3.
    """
    x = x - lost
    longer = total + x
    off = (longer - total) - x
    return longer, off if off == off else lost  # infinity is not rounded


@inlined
def share(length, parts, part):
    """Where the ``part``-th of ``parts`` equal shares of a loop begins and ends.

    As unsigned numbers: then an index can be no negative one, which counts from the end, and the
    loop needs no test for it.
    """
    return np.uint64(length * part // parts), np.uint64(length * (part + 1) // parts)

"""eˣ for x up to 0, as softmax needs it.

Without large results to look after, and with those too small for all their digits taken as 0, it
takes two thirds of the instructions of :func:`mtlib.kernels.transcendental.exp`, which is made in
the same way: x = k ln 2 + r with r close to 0, and eˣ = 2ᵏ eʳ.
"""

import math
from math import factorial

import numpy as np
from numba import types
from numba.extending import overload

from mtlib.kernels.jit import inlined
from mtlib.kernels.transcendental import as_integer, as_real


def _decay(real, integer, digits, bias, ln2_high, ln2_low, terms):
    """For numbers with ``digits`` binary digits after the point, exponent 0 stored as ``bias``.

    ``ln2_high + ln2_low`` is ln 2, the first with so many zeros at its end that a small integer
    times it is exact.  ``terms`` of the series for eʳ are taken.
    """
    zero, per_ln2 = real(0), real(1 / math.log(2))
    high, low = real(ln2_high), real(ln2_low)
    rounder = real(1.5 * 2.0**digits)  # adding it rounds to an integer, left in the lowest bits
    zeroth = integer(rounder.view(integer) - bias)
    point, smallest = integer(digits), real((1 - bias) * math.log(2))
    series = tuple(real(1 / factorial(n)) for n in range(terms, 1, -1))

    @inlined
    def decay(x):
        y = smallest if x < smallest else x
        shifted = y * per_ln2 + rounder
        k = shifted - rounder
        r = (y - k * high) - k * low
        q = series[0]
        for i in range(1, len(series)):
            q = q * r + series[i]
        q = q * r * r + r  # eʳ - 1
        scale = as_real(integer((as_integer(shifted) - zeroth) << point))
        return zero if x < smallest else q * scale + scale

    return decay


FLOAT32 = _decay(np.float32, np.int32, 23, 127, 0.693359375, -2.12194440e-4, 7)
FLOAT64 = _decay(
    *(np.float64, np.int64, 52, 1023, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 13)
)


def decay(x):
    """eˣ for x ≤ 0, to 2 units in the last place; nan for nan."""
    return (FLOAT32 if x.dtype == np.float32 else FLOAT64)(x)


@overload(decay, jit_options={"forceinline": True})
def _(x):
    return FLOAT32 if x == types.float32 else FLOAT64

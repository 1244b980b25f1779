"""Powers xʸ, and their slopes.

With a few exponents a power is mere arithmetic: x² is x · x.  Where the exponent is a number that
is known when the loop is compiled, ``pow_by`` has a short cut for it: the compiler strikes out all
the others, and the loop runs as fast as memory delivers.

In general xʸ is 2 to the y · log₂ x.  That product must be right to more digits than the result
will have, since its whole digits become the exponent: a power of float32 is worked out in float64,
and off by little more than half a unit in the last place.  There is nothing wider for float64
itself, whose powers are the C library's, one call each.  Infinities, nan and negative bases come
out as C's pow has them.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from mtlib.kernels.functions.transcendental import LN2, as_integer, as_real, powers_near_0
from mtlib.kernels.jit import inlined

# With float64's digits, and no more terms than float32 needs.
DIGITS, BIAS = 52, 1023
POINT, FRACTION = np.int64(DIGITS), np.int64((1 << DIGITS) - 1)
ROOT_HALF = np.float64(math.sqrt(0.5)).view(np.int64)
UNIT = np.float64(1).view(np.int64)
ROUNDER = 1.5 * 2.0**DIGITS  # adding it rounds to an integer, left in the lowest bits
LOG2_SERIES = tuple(2 / LN2 / (2 * n + 1) for n in range(6, -1, -1))
POWER_SERIES = tuple(map(float, powers_near_0(1, 7, LN2)))
LOWEST, HIGHEST = -1022.0, 1023.0  # beyond these exponents of float64, powers are 0 or infinite


@inlined
def _power(x, y):
    """xʸ of a number of float32, as one of float64."""
    x, y = np.float64(x), np.float64(y)
    size = abs(x)
    # log₂ of 2ᵏ (1 + f), as in transcendental.py
    bits = as_integer(size) + (UNIT - ROOT_HALF)
    f = as_real((bits & FRACTION) + ROOT_HALF) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = LOG2_SERIES[0]
    for i in range(1, len(LOG2_SERIES)):
        p = p * z + LOG2_SERIES[i]
    log2 = np.float64((bits >> POINT) - BIAS) + s * p
    log2 = -np.inf if size == 0.0 else (log2 if size < np.inf else size)
    t = y * log2
    t = HIGHEST + 1 if t > HIGHEST else t  # its bits are those of an infinite power
    t = LOWEST - 1 if t < LOWEST else t  # and of 0
    shifted = t + ROUNDER
    r = t - (shifted - ROUNDER)
    q = POWER_SERIES[0]
    for i in range(1, len(POWER_SERIES)):
        q = q * r + POWER_SERIES[i]
    power = as_real(as_integer(q * r + 1.0) + (as_integer(shifted) << POINT))
    # What powers of a negative number are depends on whether y is whole, and then on whether it is
    # odd; and some are 1 whatever else there is.
    whole = np.floor(y) == y
    odd = whole and np.floor(y * 0.5) != y * 0.5
    power = -power if odd and math.copysign(1.0, x) < 0.0 else power
    power = np.nan if -np.inf < x < 0.0 and not whole else power
    return 1.0 if y == 0.0 or x == 1.0 or (x == -1.0 and abs(y) == np.inf) else power


# Exponents for which ``pow_by`` has a short cut.
SHORT = (0, 1, 2, 3, -1, -2, 0.5, -0.5)


def _functions(real):
    """By name, the functions below for numbers of the type ``real``."""
    zero, one, half, infinity = real(0), real(1), real(0.5), real(np.inf)

    @inlined
    def root(x):
        return infinity if x == -infinity else math.sqrt(x) + zero  # of -0.0 the power is 0.0

    @inlined
    def pow(x, y):
        return real(_power(x, y)) if real is np.float32 else x**y

    @inlined
    def pow_slope(x, y):
        y = np.float64(y)  # y - 1 is another number if it has to be rounded
        y_power = y * _power(x, y - 1.0) if real is np.float32 else y * x ** (y - 1.0)
        return zero if y == 0.0 else real(y_power)

    @inlined
    def pow_by(x, y):
        if y == 0:
            return one
        if y == 1:
            return x
        if y == 2:
            return x * x
        if y == 3:
            return x * x * x
        if y == -1:
            return one / x
        if y == -2:  # x · x can leave the range where its inverse does not
            return (one / x) * (one / x)
        if y == half:
            return root(x)
        if y == -half:
            return one / root(x)
        return pow(x, real(y))

    @inlined
    def pow_slope_by(x, y):
        return zero if y == 0 else real(y) * pow_by(x, real(y) - one)

    functions = (pow, pow_slope, pow_by, pow_slope_by)
    return {function.__name__: function for function in functions}


FLOAT32, FLOAT64 = _functions(np.float32), _functions(np.float64)


def _compiled_as(name: str):
    def decorate(function):
        @overload(function, jit_options={"forceinline": True, "fastmath": {"contract"}})
        def _(x, y):
            return FLOAT32[name] if x == types.float32 else FLOAT64[name]

        return function

    return decorate


@_compiled_as("pow")
def pow(x, y):
    """xʸ"""
    return x**y


@_compiled_as("pow_slope")
def pow_slope(x, y):
    """The derivative of xʸ by x: 0 where the power is 1 whatever x is."""
    return 0 if y == 0 else y * x ** (y - 1)


@_compiled_as("pow_by")
def pow_by(x, y):
    """xʸ for a y that is known when the loop is compiled."""
    return x**y


@_compiled_as("pow_slope_by")
def pow_slope_by(x, y):
    """The derivative of xʸ by x, for a y that is known when the loop is compiled."""
    return 0 if y == 0 else y * x ** (y - 1)

"""exp, log, tanh, sigmoid and gelu as plain arithmetic, so that a loop over them can use vectors.

The library's ``exp`` is a call, and a loop with a call in it computes one element at a time.  These
have no calls and no branches, only arithmetic and choices, and the compiler turns a loop over them
into vector instructions.

Each works the same way: bring the argument into a small range, where a short polynomial is right to
the last bits, and put what was taken out into the exponent of the result, where a floating-point
number keeps its powers of 2.  tanh follows from e²ˣ, except near 0, where digits would cancel and a
polynomial of its own takes over.  gelu needs the normal distribution function Φ: near 0 again a
polynomial, beyond a power of 2.  Errors stay within 2 units in the last place (those of Φ below 0
within 2 of 1/2); infinities, nan and results too small to have all their digits come out as
IEEE 754 says.

Source: Muller, *Elementary Functions*, 3rd ed., chapter 11, for the reduction of the argument, and
chapter 3 for polynomials through Chebyshev's points; the logarithm is arranged as in FDLIBM's
e_log.c (Sun Microsystems, 1993).
"""

import math
from math import factorial

import numpy as np
from numba import types
from numba.extending import intrinsic, overload
from numpy.polynomial import Chebyshev, Polynomial

from mtlib.kernels.jit import inlined

LN2 = math.log(2)
NEAR_0 = 0.625  # up to here tanh is a polynomial; beyond, 1 - 2 / (e²ˣ + 1) loses no digits


def as_integer(x):
    """The bits of a floating-point number, as an integer of the same size."""
    return x.view(np.int32 if x.dtype == np.float32 else np.int64)


def as_real(x):
    """The floating-point number that has these bits."""
    return x.view(np.float32 if x.dtype == np.int32 else np.float64)


@intrinsic
def _relabelled(typing_context, x):
    """The same bits, taken to be the other kind of number; in machine code this costs nothing."""
    integers = {types.float32: types.int32, types.float64: types.int64}
    kind = integers.get(x) or {b: a for a, b in integers.items()}[x]

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(kind))

    return kind(x), generate


@overload(as_integer, jit_options={"forceinline": True})
@overload(as_real, jit_options={"forceinline": True})
def _(x):
    return lambda x: _relabelled(x)


def _polynomial(function, terms: int, end: float, start: float) -> np.ndarray:
    """Coefficients, highest power first, of the polynomial like ``function`` from start to end.

    Taylor's series is best at one point and gets worse away from it.  This is the polynomial
    through Chebyshev's points, which is about equally good everywhere and needs fewer terms.
    """
    fit = Chebyshev.interpolate(function, terms - 1, [start, end])
    return fit.convert(kind=Polynomial).coef[::-1]


def powers_near_0(exact: int, terms: int, rate: float) -> np.ndarray:
    """The q of exp(rate · r) = 1 + r q(r), for rate · r up to half of ln 2 on both sides of 0.

    The last digits of Chebyshev's coefficients are wrong.  Where they would show, the first
    ``exact`` are Taylor's instead; in the ``terms`` after these, powers of r make them small.
    """
    taylor = [rate**n / factorial(n) for n in range(1, 25)]
    end = math.log(2) / 2 / rate
    rest = _polynomial(Polynomial(taylor[exact:]), terms, end, -end)
    return np.r_[rest, taylor[:exact][::-1]]


def _tanh_near_0(terms: int) -> np.ndarray:
    """The q of tanh x = x + x³ q(x²), for x up to ``NEAR_0``."""

    def rest(y):  # (tanh x - x) / x³ for y = x²: Lambert's continued fraction, nothing cancels
        fraction = 0
        for n in range(21, 3, -2):
            fraction = y / (n + fraction)
        return -1 / (3 + y + fraction)

    return _polynomial(rest, terms, NEAR_0**2, 0)


# -ln Φ(-x) - x²/2 from ``NORMAL_NEAR_0`` to ``NORMAL_FAR``, in Chebyshev's polynomials; and, for
# float32, the q of log₂ 2Φ(-x) + x² / (2 ln 2) = x q from 0 on, in powers of 2x / ``NORMAL_FAR``
# less 1, the highest first.  How to make them again: in 60 digits, with mpmath, interpolate
# -ln(e^(x²/2) erfc(x / √2) / 2) at 80 of Chebyshev's points; and fit q by least squares, weighted
# again and again until the largest error times x (Φ(-x) + 0.001) is as small as it gets.
NORMAL_NEAR_0, NORMAL_FAR = 1.375, 8.5
NORMAL = (
    *(2.4318165770657996, 0.7457632617970338, -0.12704666959892416, 0.02665775502472117),
    *(-0.005841117276934878, 0.0012672775611708785, -0.0002644613230594984),
    *(5.171874465404829e-05, -9.127171317351861e-06, 1.3377935622605906e-06),
    *(-1.1728992453802915e-07, -1.6090038841739302e-08, 1.2327021880515862e-08),
    *(-4.275713786959158e-09, 1.1435503859851746e-09, -2.5454531114410456e-10),
    *(4.625716562114438e-11, -5.8229051940200286e-12, -5.68749988358894e-14),
    *(3.4775741373466985e-13, -1.4650292711815714e-13, 4.364477756153303e-14),
    *(-1.0582921755515444e-14, 2.1029219395829418e-15, -3.0796241738698467e-16),
    1.314605425376667e-17,
)
NORMAL_SHORT = (
    *(-0.000967474435, 0.0013230708, 0.000905186056, -0.0018491491, 0.00227246102),
    *(-0.00793079491, 0.0195752822, -0.0396497786, 0.0767410066, -0.144832366),
    *(0.27511195, -0.584526862),
)


def _normal_near_0(exact: int, terms: int) -> np.ndarray:
    """The q of Φ(x) = 1/2 + x q(x²), for x up to ``NORMAL_NEAR_0``, as in :func:`powers_near_0`."""
    density = (2 * math.pi) ** -0.5
    taylor = [density / ((-2) ** n * factorial(n) * (2 * n + 1)) for n in range(25)]
    rest = _polynomial(Polynomial(taylor[exact:]), terms, NORMAL_NEAR_0**2, 0)
    return np.r_[rest, taylor[:exact][::-1]]


def _functions(real, integer, digits, bias, ln2_high, ln2_low, terms, lowest, highest, saturated):
    """By name, the functions for numbers with ``digits`` binary digits after the point.

    Their exponent 0 is stored as ``bias``.  ``ln2_high + ln2_low`` is ln 2, the first with so many
    zeros at its end that a small integer times it is exact.  ``terms`` are those of the
    polynomials: for exp, tanh near 0, its e²ˣ beyond, the logarithm, and powers of 2.  exp is 0
    below ``lowest`` and infinite above ``highest``; tanh is 1 above ``saturated``.
    """
    zero, half, one, two = real(0), real(0.5), real(1), real(2)
    infinity, nan = real(np.inf), real(np.nan)
    point, offset, one_bit = integer(digits), integer(bias), integer(1)
    rounder = real(1.5 * 2.0**digits)  # adding it rounds to an integer, left in the lowest bits
    rounder_bits = integer(rounder.view(integer))
    high, low, per_ln2 = real(ln2_high), real(ln2_low), real(1 / math.log(2))
    lowest, highest, saturated = real(lowest), real(highest), real(saturated)
    near_0 = real(NEAR_0)

    exp_series = tuple(map(real, powers_near_0(*terms[0], rate=1)))
    near_series = tuple(map(real, _tanh_near_0(terms[1])))
    far_series = tuple(map(real, powers_near_0(*terms[2], rate=2)))
    log_series = tuple(real(2 / (2 * n + 1)) for n in range(terms[3], 0, -1))
    half_ln2, per_half_ln2 = real(math.log(2) / 2), real(2 / math.log(2))

    @inlined
    def power_of_2(k):
        return as_real(integer((k + offset) << point))

    @inlined
    def times_power_of_2(y, shifted):
        """y · 2ᵏ, where adding ``rounder`` to k gave ``shifted``; neither may be too small."""
        return as_real(integer(as_integer(y) + (as_integer(shifted) << point)))

    @inlined
    def exp_parts(x):
        """(eʳ, k + rounder) where x = k ln 2 + r with r close to 0, so that eˣ = 2ᵏ eʳ."""
        shifted = x * per_ln2 + rounder
        k = shifted - rounder
        r = (x - k * high) - k * low
        q = exp_series[0]
        for i in range(1, len(exp_series)):
            q = q * r + exp_series[i]
        return q * r + one, shifted

    @inlined
    def exp(x):
        y = highest if x > highest else x
        y = lowest if y < lowest else y
        y, shifted = exp_parts(y)
        k = integer(as_integer(shifted) - rounder_bits)
        part = integer(k >> one_bit)  # in two steps: 2ᵏ alone can be too large or too small
        return y * power_of_2(part) * power_of_2(integer(k - part))

    flat = real((1 - bias) * math.log(2))  # below it powers do not have all their digits

    @inlined
    def decay(x):
        y = times_power_of_2(*exp_parts(flat if x < flat else x))
        return zero if x < flat else y

    spare, unspare = real(64), real(2.0**-64)

    @inlined
    def sigmoid(x):
        y = -abs(x)
        y, shifted = exp_parts(lowest if y < lowest else y)
        e = (
            times_power_of_2(y, shifted + spare) * unspare
        )  # at most 1, and 2ᵏ alone can be too small
        below = one + e
        lost = (one - below) + e  # in rounding that sum
        y = (one if x > zero else e) / below
        return y - y * lost * (y if x > zero else one - y)

    @inlined
    def tanh(x):
        square = x * x
        p = near_series[0]
        for i in range(1, len(near_series)):
            p = p * square + near_series[i]
        near = x * (one + square * p)
        # Beyond, e²ˣ can be less exact than exp: the larger it is, the less it has to say.
        size = abs(x)
        y = saturated if size > saturated else size
        shifted = y * per_half_ln2 + rounder
        r = y - (shifted - rounder) * half_ln2
        q = far_series[0]
        for i in range(1, len(far_series)):
            q = q * r + far_series[i]
        power = times_power_of_2(q * r + one, shifted)
        far = math.copysign(one - two / (power + one), x)
        return far if size > near_0 else near

    per_2_ln2, farthest = real(-1 / (2 * math.log(2))), real(NORMAL_FAR)  # e^(-x²/2) = 2^(x² · it)
    power_series = tuple(map(real, powers_near_0(*terms[4], rate=LN2)))
    short_series, per_farthest = tuple(map(real, NORMAL_SHORT)), real(2 / NORMAL_FAR)

    @inlined
    def power(y):
        """2ʸ, which may not be too small"""
        shifted = y + rounder
        r = y - (shifted - rounder)
        even, odd, square = power_series[0], power_series[1], r * r
        for i in range(2, len(power_series), 2):
            even = even * square + power_series[i]
            odd = odd * square + power_series[i + 1]
        return times_power_of_2((even * r + odd) * r + one, shifted)

    @inlined
    def short_normal(x):
        """Φ(x) with the digits of float32, of which the power loses hardly any near 0"""
        square, size = x * x, abs(x)
        v = size * per_farthest - one
        even, odd, square_of_v = short_series[0], short_series[1], v * v
        for i in range(2, len(short_series), 2):
            even = even * square_of_v + short_series[i]
            odd = odd * square_of_v + short_series[i + 1]
        twice = power(square * per_2_ln2 + size * (even * v + odd))  # 2 Φ(-|x|)
        twice = zero if size > farthest else twice
        return one - half * twice if x > zero else half * twice

    middle, reach = (NORMAL_FAR + NORMAL_NEAR_0) / 2, (NORMAL_FAR - NORMAL_NEAR_0) / 2
    shift, per_reach, normal_near_0 = real(middle / reach), real(1 / reach), real(NORMAL_NEAR_0)
    middle_series = tuple(map(real, _normal_near_0(3, 11)))
    tail_series = Chebyshev(NORMAL).convert(kind=Polynomial).coef[::-1]
    tail_series = tuple(map(real, tail_series / -math.log(2)))

    @inlined
    def long_normal(x):
        """Φ(x) with all digits of float64"""
        square, size = x * x, abs(x)
        p = middle_series[0]
        for i in range(1, len(middle_series)):
            p = p * square + middle_series[i]
        v = size * per_reach - shift
        # Even powers and odd ones: a loop twice as long would not be unrolled.
        even, odd, square_of_v = tail_series[0], tail_series[1], v * v
        for i in range(2, len(tail_series), 2):
            even = even * square_of_v + tail_series[i]
            odd = odd * square_of_v + tail_series[i + 1]
        far = power(square * per_2_ln2 + (even * v + odd))  # Φ(-|x|)
        far = zero if size > farthest else far
        tail = far if size > normal_near_0 else half - size * p
        return one - tail if x > zero else tail

    normal = short_normal if real == np.float32 else long_normal
    density, densest = real((2 * math.pi) ** -0.5), real(math.sqrt(2 * LN2 * (bias - 2)))

    @inlined
    def gelu(x):
        return x * normal(x)

    # Derivatives times the gradient d of the result, so that one loop is enough.  Here x is the
    # result for tanh and sigmoid, which have their derivatives from it, and the operand for gelu.

    @inlined
    def tanh_backward(d, x):
        return d * (one - x * x)

    @inlined
    def sigmoid_backward(d, x):
        return d * x * (one - x)

    @inlined
    def gelu_backward(d, x):
        square, size = x * x, abs(x)
        bent = x * power(square * per_2_ln2) * density
        return d * (normal(x) + (zero if size > densest else bent))

    smallest, raised = real(2.0 ** (1 - bias)), integer(digits + 2)
    raise_by = real(2.0 ** (digits + 2))
    root_half, unit = (integer(real(x).view(integer)) for x in (math.sqrt(0.5), 1))
    fraction = integer((1 << digits) - 1)

    @inlined
    def log(x):
        tiny = x < smallest  # no exponent of its own: borrow one
        y = x * raise_by if tiny else x
        bits = integer(as_integer(y) + (unit - root_half))
        exponent = integer((bits >> point) - offset)
        f = as_real(integer((bits & fraction) + root_half)) - one  # y = 2ᵏ (1 + f)
        k = real(exponent - raised if tiny else exponent)
        s = f / (two + f)
        z = s * s
        p = log_series[0]
        for i in range(1, len(log_series)):
            p = p * z + log_series[i]
        h = half * f * f
        y = k * high - ((h - (s * (h + p * z) + k * low)) - f)
        y = x if x == infinity else (-infinity if x == zero else y)
        return y if x >= zero else nan

    functions = (exp, decay, log, tanh, sigmoid, gelu)
    backward = (tanh_backward, sigmoid_backward, gelu_backward)
    return {"normal": normal} | {each.__name__: each for each in (*functions, *backward)}


FLOAT32 = _functions(
    *(np.float32, np.int32, 23, 127, 0.693359375, -2.12194440e-4),
    *(((0, 6), 5, (0, 5), 5, (0, 6)), -104, 89, 10),
)
FLOAT64 = _functions(
    *(np.float64, np.int64, 52, 1023, 6.93147180369123816490e-01, 1.90821492927058770002e-10),
    *(((3, 9), 11, (2, 9), 11, (2, 10)), -746, 710, 20),
)


def _for_both(name: str):
    def function(x):
        return type(x)((FLOAT32 if x.dtype == np.float32 else FLOAT64)[name](x))  # copysign's too

    # In here x · y + z is one step in every kernel.  Each product has one use, so it always is, and
    # the same argument gives the same result everywhere.
    @overload(function, jit_options={"forceinline": True, "fastmath": {"contract"}})
    def _(x):
        return FLOAT32[name] if x == types.float32 else FLOAT64[name]

    return function


def _backward_for_both(name: str):
    def function(d, x):
        return type(x)((FLOAT32 if x.dtype == np.float32 else FLOAT64)[name](d, x))

    @overload(function, jit_options={"forceinline": True, "fastmath": {"contract"}})
    def _(d, x):
        return FLOAT32[name] if x == types.float32 else FLOAT64[name]

    return function


exp = _for_both("exp")
decay = _for_both("decay")  # eˣ for x up to 0, in fewer steps; 0 where the power is hardly more
log = _for_both("log")
tanh = _for_both("tanh")
sigmoid = _for_both("sigmoid")
normal = _for_both("normal")
gelu = _for_both("gelu")
tanh_backward = _backward_for_both("tanh_backward")
sigmoid_backward = _backward_for_both("sigmoid_backward")
gelu_backward = _backward_for_both("gelu_backward")

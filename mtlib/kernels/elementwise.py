"""Map and zip: one scalar function applied to each element of one, two or three operands.

A kernel is a scalar function put into a loop nest.  The nest walks rows (see
:mod:`mtlib.kernels.walk`), each row in blocks so that even one long row can be shared out among
threads.  Where the innermost strides are 1 the loop runs over plain slices, which is what lets the
compiler use vector instructions.

The scalar functions are plain Python that Numba inlines.  Where several answers are possible they
give NumPy's: NaN spreads, division by zero is infinite, and comparisons give 1 or 0.
"""

import math

import numpy as np
from numba.extending import register_jitable

from mtlib.kernels import transcendental
from mtlib.kernels.jit import Kernel
from mtlib.kernels.walk import start_of_row

BLOCK = 4096  # elements that a thread takes at a time

SQRT_HALF = 0.5**0.5
NORMAL_DENSITY_AT_0 = (2 * math.pi) ** -0.5


def map_kernel(f):
    """``out[i] = f(a[i])`` over any strides; call as ``kernel(out, a, plan(out, a), work=n)``."""

    def make(each):
        def loop(out, a, table):
            length = table[0, -1]
            so, sa = table[1, -1], table[2, -1]
            blocks = (length + BLOCK - 1) // BLOCK
            for task in each(table[0, 0] * blocks):
                row, first = task // blocks, task % blocks * BLOCK
                n = min(BLOCK, length - first)
                o = start_of_row(row, table, 1) + first * so
                p = start_of_row(row, table, 2) + first * sa
                if so == 1 and sa == 1:
                    y, x = out[o : o + n], a[p : p + n]
                    for i in range(len(y)):
                        y[i] = f(x[i])
                else:
                    for i in range(n):
                        out[o + i * so] = f(a[p + i * sa])

        return loop

    return Kernel(make)


def zip_kernel(f):
    """``out[i] = f(a[i], b[i])`` over any strides; a stretched operand has stride 0."""

    def make(each):
        def loop(out, a, b, table):
            length = table[0, -1]
            so, sa, sb = table[1, -1], table[2, -1], table[3, -1]
            blocks = (length + BLOCK - 1) // BLOCK
            for task in each(table[0, 0] * blocks):
                row, first = task // blocks, task % blocks * BLOCK
                n = min(BLOCK, length - first)
                o = start_of_row(row, table, 1) + first * so
                p = start_of_row(row, table, 2) + first * sa
                q = start_of_row(row, table, 3) + first * sb
                z = out[o : o + n]
                if so == 1 and sa == 1 and sb == 1:
                    x, y = a[p : p + n], b[q : q + n]
                    for i in range(len(z)):
                        z[i] = f(x[i], y[i])
                elif so == 1 and sa == 1 and sb == 0:
                    x, only = a[p : p + n], b[q]
                    for i in range(len(z)):
                        z[i] = f(x[i], only)
                elif so == 1 and sa == 0 and sb == 1:
                    only, y = a[p], b[q : q + n]
                    for i in range(len(z)):
                        z[i] = f(only, y[i])
                else:
                    for i in range(n):
                        out[o + i * so] = f(a[p + i * sa], b[q + i * sb])

        return loop

    return Kernel(make)


def zip3_kernel(f):
    """``out[i] = f(a[i], b[i], c[i])`` over any strides."""

    def make(each):
        def loop(out, a, b, c, table):
            length = table[0, -1]
            so, sa, sb, sc = table[1, -1], table[2, -1], table[3, -1], table[4, -1]
            blocks = (length + BLOCK - 1) // BLOCK
            for task in each(table[0, 0] * blocks):
                row, first = task // blocks, task % blocks * BLOCK
                n = min(BLOCK, length - first)
                o = start_of_row(row, table, 1) + first * so
                p = start_of_row(row, table, 2) + first * sa
                q = start_of_row(row, table, 3) + first * sb
                r = start_of_row(row, table, 4) + first * sc
                for i in range(n):
                    out[o + i * so] = f(a[p + i * sa], b[q + i * sb], c[r + i * sc])

        return loop

    return Kernel(make)


# --- Scalar functions of one argument -------------------------------------------------------------


@register_jitable
def _copy(x):
    return x


@register_jitable
def _neg(x):
    return -x


@register_jitable
def _sqrt(x):
    return np.sqrt(x)


@register_jitable
def _relu(x):
    return 0 if x <= 0 else x


@register_jitable
def _normal_distribution(x):
    return (1 + math.erf(x * SQRT_HALF)) / 2


@register_jitable
def _gelu(x):
    return x * _normal_distribution(x)


@register_jitable
def _gelu_slope(x):
    return _normal_distribution(x) + x * transcendental.exp(-x * x / 2) * NORMAL_DENSITY_AT_0


copy = map_kernel(_copy)
neg = map_kernel(_neg)
exp = map_kernel(transcendental.exp)
log = map_kernel(transcendental.log)
sqrt = map_kernel(_sqrt)
tanh = map_kernel(transcendental.tanh)
sigmoid = map_kernel(transcendental.sigmoid)
relu = map_kernel(_relu)
gelu = map_kernel(_gelu)
gelu_slope = map_kernel(_gelu_slope)


# --- Scalar functions of two ----------------------------------------------------------------------


@register_jitable
def _add(x, y):
    return x + y


@register_jitable
def _sub(x, y):
    return x - y


@register_jitable
def _mul(x, y):
    return x * y


@register_jitable
def _div(x, y):
    return x / y


@register_jitable
def _pow(x, y):
    return x**y


@register_jitable
def _maximum(x, y):
    return x if x >= y or x != x else y


@register_jitable
def _minimum(x, y):
    return x if x <= y or x != x else y


@register_jitable
def _eq(x, y):
    return 1 if x == y else 0


@register_jitable
def _ne(x, y):
    return 1 if x != y else 0


@register_jitable
def _lt(x, y):
    return 1 if x < y else 0


@register_jitable
def _le(x, y):
    return 1 if x <= y else 0


@register_jitable
def _gt(x, y):
    return 1 if x > y else 0


@register_jitable
def _ge(x, y):
    return 1 if x >= y else 0


add = zip_kernel(_add)
sub = zip_kernel(_sub)
mul = zip_kernel(_mul)
div = zip_kernel(_div)
pow = zip_kernel(_pow)
maximum = zip_kernel(_maximum)
minimum = zip_kernel(_minimum)
eq = zip_kernel(_eq)
ne = zip_kernel(_ne)
lt = zip_kernel(_lt)
le = zip_kernel(_le)
gt = zip_kernel(_gt)
ge = zip_kernel(_ge)


# --- And of three ---------------------------------------------------------------------------------


@register_jitable
def _where(condition, x, y):
    return x if condition != 0 else y


where = zip3_kernel(_where)

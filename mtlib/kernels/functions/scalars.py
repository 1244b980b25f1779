"""The functions of one, two or three numbers that loop nests are made of.

Plain Python, which Numba compiles into each loop.  Where several answers are possible they give
NumPy's: NaN spreads, division by zero is infinite, and comparisons with NaN are false.
"""

import numpy as np
from numba.extending import register_jitable


@register_jitable
def copy(x):
    return x


@register_jitable
def neg(x):
    return -x


@register_jitable
def logical_not(x):
    return not x


@register_jitable
def sqrt(x):
    return np.sqrt(x)


@register_jitable
def relu(x):
    return 0 if x <= 0 else x


# --- Of two ---------------------------------------------------------------------------------------


@register_jitable
def add(x, y):
    return x + y


@register_jitable
def sub(x, y):
    return x - y


@register_jitable
def mul(x, y):
    return x * y


@register_jitable
def div(x, y):
    return x / y


@register_jitable
def maximum(x, y):
    return x if x >= y or x != x else y


@register_jitable
def minimum(x, y):
    return x if x <= y or x != x else y


@register_jitable
def eq(x, y):
    return x == y


@register_jitable
def ne(x, y):
    return x != y


@register_jitable
def lt(x, y):
    return x < y


@register_jitable
def le(x, y):
    return x <= y


@register_jitable
def gt(x, y):
    return x > y


@register_jitable
def ge(x, y):
    return x >= y


@register_jitable
def logical_and(x, y):
    return x & y


@register_jitable
def logical_or(x, y):
    return x | y


@register_jitable
def logical_xor(x, y):
    return x ^ y


# --- Of three -------------------------------------------------------------------------------------


@register_jitable
def where(condition, x, y):
    return x if condition != 0 else y

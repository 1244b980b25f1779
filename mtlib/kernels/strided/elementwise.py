"""Map and zip: one scalar function applied to each element of one, two or three operands.

A kernel is a scalar function put into a loop nest.  The nest walks rows (see
:mod:`mtlib.kernels.plans.strided`) piece by piece.  A piece is a block of one row, so that even a
long row can be shared out among threads.  Where an operand is transposed, neighbours in a row lie
far apart in memory, and those in a column side by side: there a piece is a tile of several rows,
and what a cache line brings along for the next row is used before it is gone.

Where the innermost strides are 1 the index is an unsigned integer: a signed one could be negative
and count from the end, and a loop that has to ask for each element whether it is cannot use vector
instructions.  (Nor could it be a slice: that has an owner to be counted, which for a short row
costs more than the row.)
"""

import functools
from collections.abc import Callable

import numpy as np

from mtlib.kernels.functions import powers, scalars
from mtlib.kernels.jit import Kernel, full_vectors, inlined, narrow_vectors
from mtlib.kernels.plans.strided import start_of_row
from mtlib.runtime.mode import thread

BLOCK = 1 << 15  # elements that a thread takes at a time
TILE = 64  # rows and columns of a tile


@inlined
def _piece_shape(table):
    """(rows, columns) of a piece: a block of a row, or a tile if an operand is transposed."""
    if table.shape[1] > 2:
        for operand in range(1, table.shape[0]):
            if abs(table[operand, -1]) > max(1, abs(table[operand, -2])):
                return TILE, TILE
    return 1, BLOCK


@inlined
def _pieces(table, height, width):
    """How many pieces there are: down, and across."""
    return (table[0, 0] + height - 1) // height, (table[0, -1] + width - 1) // width


@inlined
def _piece(task, across, table, height, width):
    """(first row, the one after the last, first element of a row, how many) of a piece."""
    task = np.int64(task)  # from prange it comes unsigned, and with signed numbers makes floats
    down, first = (task, 0) if across == 1 else (task // across, task % across * width)
    top = down * height
    return top, min(top + height, table[0, 0]), first, min(width, table[0, -1] - first)


class ElementKernel(Kernel):
    """A function of numbers, ``scalar``, in a loop nest; ``costly`` if it is slower than a load."""

    def __init__(self, scalar: Callable, make: Callable, costly: bool = False, **options) -> None:
        super().__init__(make, **options)
        self.scalar = scalar
        self.costly = costly

    @functools.cached_property  # made when it is first asked for, as most never are
    def in_place(self) -> Kernel:
        """For a zip: the same with the result where the first operand was."""
        return update_kernel(self.scalar)


def map_kernel(f: Callable, costly: bool = False) -> ElementKernel:
    """``out[i] = f(a[i])`` over any strides: ``kernel(out, a, iteration(out, a), work=n)``."""
    vectors = full_vectors if costly else narrow_vectors

    def make(each):
        def loop(out, a, table):
            so, sa = table[1, -1], table[2, -1]
            height, width = _piece_shape(table)
            down, across = _pieces(table, height, width)
            for task in each(down * across):
                vectors()
                top, bottom, first, n = _piece(task, across, table, height, width)
                for row in range(top, bottom):
                    o = start_of_row(row, table, 1) + first * so
                    p = start_of_row(row, table, 2) + first * sa
                    if so == 1 and sa == 1:
                        z, x = np.uintp(o), np.uintp(p)
                        for i in range(np.uintp(n)):
                            out[z + i] = f(a[x + i])
                    else:
                        for i in range(n):
                            out[o + i * so] = f(a[p + i * sa])

        return loop

    return ElementKernel(f, make, costly, fuse_add=True)


def zip_kernel(f: Callable, costly: bool = False) -> ElementKernel:
    """``out[i] = f(a[i], b[i])`` over any strides; a stretched operand has stride 0."""
    vectors = full_vectors if costly else narrow_vectors

    def make(each):
        def loop(out, a, b, table):
            so, sa, sb = table[1, -1], table[2, -1], table[3, -1]
            height, width = _piece_shape(table)
            down, across = _pieces(table, height, width)
            for task in each(down * across):
                vectors()
                top, bottom, first, n = _piece(task, across, table, height, width)
                for row in range(top, bottom):
                    o = start_of_row(row, table, 1) + first * so
                    p = start_of_row(row, table, 2) + first * sa
                    q = start_of_row(row, table, 3) + first * sb
                    z, x, y, count = np.uintp(o), np.uintp(p), np.uintp(q), np.uintp(n)
                    if so == 1 and sa == 1 and sb == 1:
                        for i in range(count):
                            out[z + i] = f(a[x + i], b[y + i])
                    elif so == 1 and sa == 1 and sb == 0:
                        only = b[y]
                        for i in range(count):
                            out[z + i] = f(a[x + i], only)
                    elif so == 1 and sa == 0 and sb == 1:
                        only = a[x]
                        for i in range(count):
                            out[z + i] = f(only, b[y + i])
                    else:
                        for i in range(n):
                            out[o + i * so] = f(a[p + i * sa], b[q + i * sb])

        return loop

    return ElementKernel(f, make, costly)


def update_kernel(f: Callable) -> Kernel:
    """``x[i] = f(x[i], y[i])`` over any strides; call as ``kernel(x, y, iteration(x, y), work=n)``.

    The kernel of :func:`zip_kernel` would give the same, called with one array as result and as
    operand.  But it is compiled for two, and uses vector instructions only where those lie apart.
    Here the compiler sees that there is one: up to four times as fast, for arrays in the cache.  So
    it would not if both called one function for a row: that is compiled before it is inlined.
    """

    def make(each):
        def loop(x, y, table):
            sx, sy = table[1, -1], table[2, -1]
            height, width = _piece_shape(table)
            down, across = _pieces(table, height, width)
            for task in each(down * across):
                narrow_vectors()
                top, bottom, first, n = _piece(task, across, table, height, width)
                for row in range(top, bottom):
                    p = start_of_row(row, table, 1) + first * sx
                    q = start_of_row(row, table, 2) + first * sy
                    a, b, count = np.uintp(p), np.uintp(q), np.uintp(n)
                    if sx == 1 and sy == 1:
                        for i in range(count):
                            x[a + i] = f(x[a + i], y[b + i])
                    elif sx == 1 and sy == 0:
                        only = y[b]
                        for i in range(count):
                            x[a + i] = f(x[a + i], only)
                    else:
                        for i in range(n):
                            x[p + i * sx] = f(x[p + i * sx], y[q + i * sy])

        return loop

    return Kernel(make)


def zip3_kernel(f: Callable) -> ElementKernel:
    """``out[i] = f(a[i], b[i], c[i])`` over any strides."""

    def make(each):
        def loop(out, a, b, c, table):
            so, sa, sb, sc = table[1, -1], table[2, -1], table[3, -1], table[4, -1]
            height, width = _piece_shape(table)
            down, across = _pieces(table, height, width)
            for task in each(down * across):
                narrow_vectors()
                top, bottom, first, n = _piece(task, across, table, height, width)
                for row in range(top, bottom):
                    o = start_of_row(row, table, 1) + first * so
                    p = start_of_row(row, table, 2) + first * sa
                    q = start_of_row(row, table, 3) + first * sb
                    r = start_of_row(row, table, 4) + first * sc
                    z, x, y, w = np.uintp(o), np.uintp(p), np.uintp(q), np.uintp(r)
                    count = np.uintp(n)
                    if so == 1 and sa == 1 and sb == 1 and sc == 1:
                        for i in range(count):
                            out[z + i] = f(a[x + i], b[y + i], c[w + i])
                    elif so == 1 and sa == 1 and sb == 1 and sc == 0:
                        only = c[w]
                        for i in range(count):
                            out[z + i] = f(a[x + i], b[y + i], only)
                    elif so == 1 and sa == 1 and sb == 0 and sc == 1:
                        only = b[y]
                        for i in range(count):
                            out[z + i] = f(a[x + i], only, c[w + i])
                    else:
                        for i in range(n):
                            out[o + i * so] = f(a[p + i * sa], b[q + i * sb], c[r + i * sc])

        return loop

    return ElementKernel(f, make)


class PowerKernel:
    """``f(a[i], b[i])``, or ``by(a[i], y)`` if b is one number y for which there is a short cut."""

    costly = True

    def __init__(self, f: Callable, by: Callable) -> None:
        self.scalar, self.by = f, by
        self.zip = zip_kernel(f, costly=True)
        self.map = functools.cache(lambda y: map_kernel(_with_exponent(by, y)))

    def __call__(self, out, a, b, table, *, work: int) -> None:
        if thread.mode.rehearsing:
            return
        y = None if table[3, 1:].any() else float(b[table[3, 0]])
        if y in powers.SHORT:
            self.map(y)(out, a, table[:3], work=work)
        else:
            self.zip(out, a, b, table, work=work)

    def in_place(self, x, y, table, *, work: int) -> None:
        """It takes so long that it gains nothing by a kernel of its own."""
        self(x, x, y, table[[0, 1, 1, 2]], work=work)


def _with_exponent(by, y):
    return inlined(lambda x: by(x, y))


copy = map_kernel(scalars.copy)
second = zip_kernel(inlined(lambda x, y: y))  # of two operands, as overwriting takes it

"""Values written into cells."""

from __future__ import annotations

import numpy as np
from chalk import concat
from chalk.types import Diagram

from mt_diagrams.pieces.elide import Axis
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.theme import SMALL


def short_number(value: float) -> str:
    """A value in few characters.

    >>> [short_number(v) for v in (3.0, -0.12345, 12.34, 1234.5, 1.5e7, float("nan"))]
    ['3', '-0.12', '12.3', '1234', '1.5e7', 'nan']
    """
    if not np.isfinite(value):
        return str(float(value))
    if value == int(value) and abs(value) < 10_000:
        return str(int(value))
    size = abs(value)
    if 0.01 <= size < 10:
        return f"{value:.2f}"
    if 0.01 <= size < 10_000:
        return f"{value:.1f}" if size < 100 else f"{value:.0f}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def values_of(who: str, *operands) -> list[np.ndarray]:
    """The numbers in operands, as arrays.

    Raises:
        TypeError: if one is only a shape.
    """
    for operand in operands:
        if not hasattr(operand, "shape"):
            raise TypeError(f"{who}: values=True needs operands that hold numbers, not shapes")
    return [real_values(who, operand) for operand in operands]


def real_values(who: str, thing) -> np.ndarray:
    """The numbers in a tensor or an array, or in what makes one.

    Raises:
        TypeError: if they are complex: a cell has room for one part, and would hide the other.
    """
    array = np.asarray(getattr(thing, "detach", lambda: thing)())
    if np.iscomplexobj(array):
        raise TypeError(f"{who}: {array.dtype} values are complex, and only real ones are drawn")
    return array.astype(float)


def matrix_of(values: np.ndarray) -> np.ndarray:
    """What is drawn of an array of any rank: the front matrix of it, a vector as a row.

    >>> matrix_of(np.zeros((5, 2, 4))).shape, matrix_of(np.zeros(3)).shape
    ((2, 4), (1, 3))
    """
    while values.ndim > 2:
        values = values[0]
    return np.atleast_2d(values)


def written(values: np.ndarray, down: Axis, across: Axis, done: int | None = None) -> Diagram:
    """The values of a matrix, set in the cells of a grid centred on its origin.

    Of the first ``done`` only, in reading order, if given; set as small as all of them need.
    """
    left, top = -len(across) / 2 + 0.5, -len(down) / 2 + 0.5
    places = [
        (short_number(values[i, j]), left + x, top + y, i * across.size + j)
        for y, i in down.shown
        for x, j in across.shown
    ]
    size = min([SMALL, *(0.86 / width_of(text, 1.0) for text, *_ in places)])
    shown = [(text, x, y) for text, x, y, n in places if done is None or n < done]
    return concat([label(text, size).translate(x, y) for text, x, y in shown])

"""Values written into cells."""

from __future__ import annotations

import numpy as np
from chalk import concat
from chalk.types import Diagram

from .elide import Axis
from .lettering import label, width_of
from .theme import SMALL


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


def values_of(who: str, a, b) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in two operands, as arrays.

    Raises:
        TypeError: if either is only a shape.
    """
    for operand in (a, b):
        if not hasattr(operand, "shape"):
            raise TypeError(f"{who}: values=True needs operands that hold numbers, not shapes")
    return tuple(np.asarray(getattr(x, "detach", lambda x=x: x)(), dtype=float) for x in (a, b))


def written(values: np.ndarray, down: Axis, across: Axis) -> Diagram:
    """The values of a matrix, set in the cells of a grid centred on its origin."""
    left, top = -len(across) / 2 + 0.5, -len(down) / 2 + 0.5
    places = [
        (short_number(values[i, j]), left + x, top + y)
        for y, i in down.shown
        for x, j in across.shown
    ]
    size = min(SMALL, 0.86 / max(width_of(text, 1.0) for text, _, _ in places))
    return concat([label(text, size).translate(x, y) for text, x, y in places])

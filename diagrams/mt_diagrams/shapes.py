"""Shapes of operands: read, check and write them, with errors that name the culprit."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

Shape = tuple[int, ...]


class MatmulShape(NamedTuple):
    """The three sizes of a matrix multiplication, (m, k) @ (k, n)."""

    m: int
    k: int
    n: int


def shape_of(thing) -> Shape:
    """The shape of an array, of a tensor, or of a plain tuple of ints that is one.

    >>> shape_of((2, 4))
    (2, 4)
    """
    shape = getattr(thing, "shape", thing)
    try:
        return tuple(int(size) for size in shape)
    except (TypeError, ValueError):
        raise TypeError(f"shape_of: {type(thing).__name__} has no shape") from None


def check_sizes(who: str, shape: Shape) -> None:
    """Raise ValueError, naming ``who``, if a dimension of ``shape`` is below 1."""
    for dimension, size in enumerate(shape):
        if size < 1:
            raise ValueError(f"{who}: {shape}: dimension {dimension} is {size}, must be at least 1")


def matmul_shape(who: str, a, b) -> MatmulShape:
    """The sizes of ``a @ b``.

    Args:
        who: the function that asks, named in errors.
        a, b: anything with a ``.shape``, or shapes.

    Raises:
        ValueError: if either is not a matrix, is empty, or the inner dimensions differ.

    >>> matmul_shape("f", (2, 4), (4, 3))
    MatmulShape(m=2, k=4, n=3)
    >>> matmul_shape("f", (2, 4), (3, 5))
    Traceback (most recent call last):
    ValueError: f: (2, 4) @ (3, 5): inner dimensions 4 and 3 differ
    """
    left, right = shape_of(a), shape_of(b)
    for shape in (left, right):
        if len(shape) != 2:
            raise ValueError(f"{who}: {left} @ {right}: {shape} is not a matrix (rank 2)")
        check_sizes(who, shape)
    (m, k), (k2, n) = left, right
    if k != k2:
        raise ValueError(f"{who}: {left} @ {right}: inner dimensions {k} and {k2} differ")
    return MatmulShape(m, k, n)


def check_cell(who: str, cell: tuple[int, int], shape: Shape) -> None:
    """Raise IndexError, naming ``who``, if ``cell`` is not an index of ``shape``."""
    if len(cell) != len(shape) or any(
        not 0 <= i < size for i, size in zip(cell, shape, strict=True)
    ):
        raise IndexError(f"{who}: cell {tuple(cell)} is outside {shape}")


def elements(shape: Shape) -> str:
    """How many elements, in words.

    >>> elements((2, 4, 3)), elements((1, 1))
    ('24 elements', '1 element')
    """
    count = prod(shape)
    return f"{count:,} element" + ("" if count == 1 else "s")


def bytes_in_words(count: int) -> str:
    """A number of bytes, exactly and, when it is long, rounded to a decimal unit as well.

    >>> bytes_in_words(192)
    '192 bytes'
    >>> bytes_in_words(134_742_016)
    '134,742,016 bytes (134.7 MB)'
    """
    short = short_bytes(count)
    return f"{count:,} bytes" + ("" if short.endswith(" B") else f" ({short})")


def short_bytes(count: float) -> str:
    """A number of bytes in three or four figures.

    >>> short_bytes(192), short_bytes(1536), short_bytes(134_742_016)
    ('192 B', '1.5 kB', '134.7 MB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    power = 0
    while count >= 999.95 and power < len(units) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.1f}".removesuffix(".0") + f" {units[power]}"

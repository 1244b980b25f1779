"""Shapes of operands: read, check and write them, with errors that name the culprit."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

Shape = tuple[int, ...]


class MatmulShape(NamedTuple):
    """A matrix multiplication, (m, k) @ (k, n), of matrices or of stacks of them."""

    m: int
    k: int
    n: int
    left: Shape  # of the operands, as they were given
    right: Shape
    stack: Shape  # () for plain matrices, else how many

    @property
    def out(self) -> Shape:
        """The shape of the result."""
        return (*self.stack, self.m, self.n)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to multiply."""
        return 0 in (self.m, self.k, self.n, *self.stack)


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


def check_sizes(who: str, shape: Shape, least: int = 0) -> None:
    """Raise ValueError, naming ``who``, if a dimension of ``shape`` is below ``least``."""
    for dimension, size in enumerate(shape):
        if size < least:
            raise ValueError(
                f"{who}: {shape}: dimension {dimension} is {size}, must be at least {least}"
            )


def check_rank(who: str, shape: Shape, most: int = 3) -> None:
    """Raise ValueError, naming ``who``, if ``shape`` cannot be drawn: too many dimensions."""
    check_sizes(who, shape)
    if len(shape) > most:
        raise ValueError(f"{who}: {shape} has {len(shape)} dimensions, at most {most} can be drawn")


def common_shape(who: str, a: Shape, b: Shape) -> Shape:
    """What two shapes broadcast to: aligned at the last dimension, a size of 1 stretches.

    Raises:
        ValueError: if they do not broadcast.

    >>> common_shape("f", (4, 1), (2, 4, 3))
    (2, 4, 3)
    """
    rank = max(len(a), len(b))
    left, right = ((1,) * (rank - len(shape)) + tuple(shape) for shape in (a, b))
    for d, (x, y) in enumerate(zip(left, right, strict=True)):
        if x != y and 1 not in (x, y):
            raise ValueError(
                f"{who}: {a} and {b} do not broadcast: sizes {x} and {y} in dimension "
                f"{d - rank} differ"
            )
    return tuple(y if x == 1 else x for x, y in zip(left, right, strict=True))


def of_operand(at: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """Which element of an operand of ``shape`` stands at an index of what it broadcasts to.

    >>> of_operand((1, 3, 2), (4, 1))
    (3, 0)
    """
    return tuple(0 if n == 1 else i for i, n in zip(at[len(at) - len(shape) :], shape, strict=True))


def matmul_shape(who: str, a, b) -> MatmulShape:
    """The sizes of ``a @ b``.

    Args:
        who: the function that asks, named in errors.
        a, b: anything with a ``.shape``, or shapes: (m, k) and (k, n), or stacks (b, m, k) and
            (b, k, n), of which a single matrix or a stack of one is shared by all.

    Raises:
        ValueError: if either is neither a matrix nor a stack of them, or they do not multiply.

    >>> matmul_shape("f", (2, 4), (4, 3)).out, matmul_shape("f", (5, 2, 4), (4, 3)).out
    ((2, 3), (5, 2, 3))
    >>> matmul_shape("f", (2, 4), (3, 5))
    Traceback (most recent call last):
    ValueError: f: (2, 4) @ (3, 5): inner dimensions 4 and 3 differ
    """
    left, right = shape_of(a), shape_of(b)
    for shape in (left, right):
        if len(shape) < 2:
            raise ValueError(f"{who}: {left} @ {right}: {shape} is not a matrix (rank 2)")
        if len(shape) > 3:
            raise ValueError(
                f"{who}: {left} @ {right}: {shape} has {len(shape)} dimensions; a stack of "
                "matrices (rank 3) is the most that can be drawn"
            )
        check_sizes(who, shape)
    (m, k), (k2, n) = left[-2:], right[-2:]
    if k != k2:
        raise ValueError(f"{who}: {left} @ {right}: inner dimensions {k} and {k2} differ")
    if len({*left[:-2], *right[:-2]} - {1}) > 1:
        raise ValueError(
            f"{who}: {left} @ {right}: stacks of {left[0]} and {right[0]} matrices do not broadcast"
        )
    return MatmulShape(m, k, n, left, right, common_shape(who, left[:-2], right[:-2]))


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

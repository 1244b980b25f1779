"""Where the elements of a tensor lie, whatever library it is from: its layout, in elements."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mt_diagrams.pieces.shapes import Shape, check_rank, shape_of


@dataclass(frozen=True)
class Strided:
    """Element ``(i, j, …)`` is at ``offset + i * strides[0] + j * strides[1] + …``.

    ``cells`` is how many elements the storage holds, used or not.
    """

    shape: Shape
    strides: tuple[int, ...]
    offset: int
    cells: int

    def position(self, index) -> int:
        """Which cell of the storage an index reads.

        >>> Strided((3, 2), (1, 3), 0, 6).position((2, 1))
        5
        """
        return self.offset + sum(i * s for i, s in zip(index, self.strides, strict=True))


def strided_of(who: str, thing) -> Strided:
    """The layout of an array or a tensor; of a plain shape, that of a new array.

    Args:
        who: the function that asks, named in errors.
        thing: a tensor of mtlib, an array of NumPy, a tensor of PyTorch, or a shape.

    Raises:
        ValueError: if it has more than three dimensions, or strides that are no whole elements.

    >>> strided_of("f", np.zeros((2, 3)).T)
    Strided(shape=(3, 2), strides=(1, 3), offset=0, cells=6)
    """
    shape = shape_of(thing)
    check_rank(who, shape)
    if hasattr(thing, "layout") and hasattr(thing, "storage") and hasattr(thing.layout, "offset"):
        layout = thing.layout
        return Strided(shape, tuple(layout.strides), layout.offset, int(thing.storage.size))
    if isinstance(thing, np.ndarray):
        return _of_array(who, thing)
    if callable(getattr(thing, "stride", None)):  # PyTorch's
        cells = thing.untyped_storage().nbytes() // thing.element_size()
        return Strided(shape, tuple(thing.stride()), thing.storage_offset(), cells)
    strides = tuple(prod(shape[d + 1 :]) for d in range(len(shape)))
    return Strided(shape, strides, 0, prod(shape))


def _of_array(who: str, array: np.ndarray) -> Strided:
    """NumPy counts in bytes, and from wherever the view begins."""
    size = array.itemsize
    if any(stride % size for stride in array.strides):
        raise ValueError(f"{who}: strides of {array.strides} bytes are no whole elements of {size}")
    strides = tuple(stride // size for stride in array.strides)
    start, (low, high) = _address(array), np.lib.array_utils.byte_bounds(array)
    owner = array
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    if isinstance(owner, np.ndarray):
        own_low, own_high = np.lib.array_utils.byte_bounds(owner)
        if own_low <= low and high <= own_high:
            low, high = own_low, own_high
    return Strided(array.shape, strides, (start - low) // size, (high - low) // size)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]

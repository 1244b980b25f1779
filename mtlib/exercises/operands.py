"""What answers are tried on: small arrays of sizes and strides at which mistakes show."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mtlib.exercises.counting import Log, Watched
from mtlib.exercises.explaining import Sizes
from mtlib.layout import contiguous

LAYOUTS = ("contiguous", "transposed", "stepped")
_ORDINARY, _ODD = (3, 5, 2, 4), (1, 7, 3, 2)


def sizes_to_try(names: list[str], empty: bool = True) -> Iterator[tuple[Sizes, str]]:
    """Sizes for ``names``, with a layout: not square, of 1, all equal, and each of them 0 in turn.

    >>> for sizes, layout in sizes_to_try(["m", "k"]):
    ...     print(sizes, layout)
    {'m': 3, 'k': 5} contiguous
    {'m': 3, 'k': 5} transposed
    {'m': 3, 'k': 5} stepped
    {'m': 1, 'k': 7} transposed
    {'m': 4, 'k': 1} contiguous
    {'m': 1, 'k': 1} contiguous
    {'m': 3, 'k': 3} transposed
    {'m': 0, 'k': 5} contiguous
    {'m': 3, 'k': 0} contiguous
    """
    ordinary = dict(zip(names, _ORDINARY, strict=False))
    for layout in LAYOUTS:
        yield ordinary, layout
    yield dict(zip(names, _ODD, strict=False)), "transposed"
    yield dict(zip(names, (4, 1, 2, 3), strict=False)), "contiguous"
    yield dict.fromkeys(names, 1), "contiguous"
    yield dict.fromkeys(names, 3), "transposed"
    for name in names if empty else ():
        yield ordinary | {name: 0}, "contiguous"


def names_in(shapes: dict[str, str]) -> list[str]:
    """The sizes that shapes like ``{"a": "m k", "b": "k n"}`` are made of, in order.

    >>> names_in({"a": "m k", "b": "k n"})
    ['m', 'k', 'n']
    """
    return list(dict.fromkeys(" ".join(shapes.values()).split()))


def shape_of(text: str, sizes: Sizes) -> tuple[int, ...]:
    return tuple(sizes[name] for name in text.split())


class Operand:
    """An array, and how it lies in its storage.

    ``array`` and ``storage`` are two views of the same numbers, both counting; ``strides`` (in
    elements) and ``offset`` lead from an index to a place in ``storage``.
    """

    def __init__(self, shape, layout: str, dtype, seed: int, log: Log) -> None:
        self.shape, self.layout = shape, layout
        self.strides = _strides(shape, layout)
        self.offset = 0 if layout == "contiguous" else 2
        # Room enough for strides in the wrong order: those should give wrong numbers, not an error.
        room = 2 * max(shape, default=1) ** len(shape) + self.offset + 1
        if layout == "contiguous":
            room = max(math.prod(shape), max(shape, default=1) ** len(shape))
        numbers = np.random.default_rng(seed).random(room).astype(dtype)
        self.before = numbers.copy()
        self.storage = Watched.watch(numbers, log)
        self.array = Watched.watch(self.seen(numbers, self.strides), log)

    def seen(self, numbers: np.ndarray, strides) -> np.ndarray:
        step = numbers.itemsize
        return np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [s * step for s in strides]
        )

    @property
    def values(self) -> np.ndarray:
        """What the array was at first, in memory of its own."""
        return np.array(self.seen(self.before, self.strides))

    @property
    def changed(self) -> bool:
        return not np.array_equal(self.storage.view(np.ndarray), self.before, equal_nan=True)

    def misread(self) -> Iterator[tuple[str, np.ndarray]]:
        """What is seen with the wrong strides, and which mistake that is."""
        wrong = {"ignored": contiguous(self.shape).strides, "swapped": self.strides[::-1]}
        if len(self.shape) < 2 or len(self.shape) != len(self.strides):
            return
        for how, strides in wrong.items():
            if tuple(strides) != tuple(self.strides):
                yield how, np.array(self.seen(self.before, strides))

    @property
    def counted(self) -> list[Watched]:
        return [self.array, self.storage]

    @property
    def loads(self) -> np.ndarray:
        """How often each element was loaded, by either way."""
        return self.array.loads + self.seen(self.storage.loads, self.strides)


def _strides(shape, layout: str) -> tuple[int, ...]:
    if layout == "transposed":
        return contiguous(shape[::-1]).strides[::-1]
    if layout == "stepped" and shape:
        return tuple(2 * s for s in contiguous(shape).strides)
    return contiguous(shape).strides

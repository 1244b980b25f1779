"""The elision rule: which indices of a long dimension are drawn, and where.

Up to ``limit`` indices are all drawn.  Past it the first few and the last few are, with one empty
slot for what was left out between them; an index that a figure must show (``keep``) is always in.
So a dimension of 4096 takes no more room and no more time than one of 8.  A dimension of 0 has one
empty slot, so that there is something to draw an outline around.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LIMIT = 12


@dataclass(frozen=True)
class Axis:
    """A dimension laid out in slots of one cell each; an empty slot (None) stands for a gap."""

    size: int
    slots: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def shown(self) -> list[tuple[int, int]]:
        """Pairs ``(slot, index)`` of what is drawn."""
        return [(slot, index) for slot, index in enumerate(self.slots) if index is not None]

    @property
    def gaps(self) -> list[int]:
        """The slots that stand for what is left out."""
        return [slot for slot, index in enumerate(self.slots) if index is None]

    @property
    def elided(self) -> bool:
        return None in self.slots

    def slot(self, index: int) -> int:
        """Where ``index`` is drawn; ValueError when it is elided."""
        return self.slots.index(index)

    @property
    def middle(self) -> float:
        """The middle of the first run of cells, in cells from the start: never inside a gap."""
        return (self.gaps[0] if self.elided else len(self)) / 2


def axis(size: int, limit: int = LIMIT, keep: tuple[int, ...] = ()) -> Axis:
    """Lay out a dimension of ``size``.

    Args:
        size: how many indices there are.
        limit: up to this many, all are drawn.
        keep: indices that must be drawn.

    >>> axis(3).slots
    (0, 1, 2)
    >>> axis(4096, limit=8).slots
    (0, 1, 2, 3, None, 4094, 4095)
    >>> axis(4096, limit=6, keep=(9,)).slots
    (0, 1, 2, None, 9, None, 4095)
    """
    if size == 0:
        return Axis(0, (None,))
    if size <= limit:
        return Axis(size, tuple(range(size)))
    head, tail = (4, 2) if limit >= 8 else (3, 1)
    return around(size, {*range(head), *range(size - tail, size), *keep})


def around(size: int, wanted: Iterable[int]) -> Axis:
    """A dimension of ``size`` of which these indices are drawn.

    >>> around(40, (0, 1, 3, 39)).slots
    (0, 1, 2, 3, None, 39)
    """
    slots: list[int | None] = []
    for index in sorted(set(wanted)):
        if slots and index - slots[-1] == 2:
            slots.append(index - 1)  # a gap of one index would take as much room as the index
        elif slots and index - slots[-1] > 2:
            slots.append(None)
        slots.append(index)
    return Axis(size, tuple(slots))

"""Which memory was changed in place, and when: what PyTorch calls its version counter.

All tensors over one memory share its history of changes, views and detached ones too.  What
backward has saved must not change before backward has run, so what saves asks for the time, and
what reads it again asks whether its memory was changed since.

There is one clock for all memory, which goes one on with each change.  So an operation notes one
number, whatever it saves, and while nothing is changed in place nothing else is to be done.
"""

from __future__ import annotations

import threading
import weakref
from typing import NamedTuple

import numpy as np


class Change(NamedTuple):
    """The last change of some memory: its time, and the name of the operation."""

    time: int
    name: str
    owner: weakref.ref


class Clock:
    """How many changes there were, and the last one of each array that owns memory.

    >>> clock, storage, other = Clock(), np.zeros(2), np.zeros(2)
    >>> before = clock.now
    >>> clock.changed(storage, "add_")
    >>> clock.since(before, storage), clock.since(before, other), clock.since(clock.now, storage)
    ('add_', None, None)
    """

    def __init__(self) -> None:
        self.now = 0
        self._last: dict[int, Change] = {}  # by the id of the owner, while that lives
        self._one_at_a_time = threading.Lock()

    def changed(self, storage: np.ndarray, name: str) -> None:
        """Enter that ``name`` changes the memory of ``storage``."""
        owner = _owner(storage)
        key = id(owner)
        with self._one_at_a_time:
            self.now += 1
            forget = weakref.ref(owner, lambda _: self._last.pop(key, None))
            self._last[key] = Change(self.now, name, forget)

    def since(self, time: int, storage: np.ndarray) -> str | None:
        """The last operation that has changed ``storage`` after ``time``, if one has."""
        last = self._last.get(id(_owner(storage)))
        return last.name if last is not None and last.time > time else None


def _owner(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of ``array``: the same for all that were made of it."""
    owner = base = array
    while base is not None:
        owner = base if isinstance(base, np.ndarray) else owner
        base = getattr(base, "base", None)
    return owner


clock = Clock()

"""NumPy's names for what PyTorch calls dim, keepdim and correction."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar, cast

Operation = TypeVar("Operation", bound=Callable)

OURS = {"axis": "dim", "keepdims": "keepdim", "ddof": "correction"}
NOT_TAKEN = ("dtype", "out")
NAMES = frozenset((*OURS, *NOT_TAKEN))


def numpy_names(operation: Operation) -> Operation:
    """``operation``, which takes ``axis``, ``keepdims`` and ``ddof`` too, as PyTorch's do.

    So ``np.sum(x)`` can be answered, which calls ``x.sum(axis=None, out=None)``.

    >>> import mtlib
    >>> mtlib.ones(2, 3).sum(axis=0, keepdims=True)
    tensor([[2., 2., 2.]])
    """

    @functools.wraps(operation)
    def called(*args, **given):
        if NAMES.isdisjoint(given):
            return operation(*args, **given)
        return operation(*args, **_translated(operation.__name__, given))

    return cast(Operation, called)


def _translated(name: str, given: dict) -> dict:
    for word in NOT_TAKEN:
        if given.pop(word, None) is not None:
            raise TypeError(f"{name}: {word} is not taken, and must be None as NumPy gives it")
    for word, ours in OURS.items():
        if word in given and ours in given:
            raise TypeError(f"{name}: {ours} and {word} mean the same; give one of them")
    return {OURS.get(word, word): value for word, value in given.items()}

"""Exercises that ask for a number, or a shape or strides, as a function of sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mtlib.exercises.entries import Exercise, Outputs
from mtlib.exercises.explaining import explain
from mtlib.exercises.running import watched
from mtlib.exercises.verdicts import NotYet, Wrong


@dataclass(kw_only=True, eq=False)
class Formula(Exercise):
    """``answer(**sizes)`` must be what ``measure(**sizes)`` finds, for each of ``sizes``.

    ``measure`` is not the formula once more: it runs what is asked about, and reads the ledger.
    Numbers, and tuples of numbers, are compared.  ``unit``, "bytes" or "elements", helps to explain
    a wrong one.
    """

    measure: Callable
    sizes: list[dict[str, int]]
    unit: str = ""

    def cases(self) -> Iterator[dict[str, int]]:
        return iter(self.sizes)

    def run(self, answer, case) -> Outputs:
        if not callable(answer):
            raise Wrong(f"a function of {', '.join(case)} is asked for, not {_kind(answer)}")
        said = watched(answer, *case.values())
        if said is None or said is ...:
            raise NotYet
        array = np.asarray(said) if isinstance(said, int | float | tuple | np.number) else None
        if array is None or array.dtype.kind not in "iuf":
            kind = "numbers" if isinstance(self.measure(**case), tuple) else "a number"
            raise Wrong(f"{kind} should come back, and {_kind(said)} does")
        if np.isnan(array).any():
            raise Wrong(f"it is nan for {_sizes(case)}")
        return {"": array}

    def wanted(self, case) -> Outputs:
        return {"": np.asarray(self.measure(**case))}

    def mistake(self, case, got, told) -> Wrong:
        said, right = got[""], self.wanted(case)[""]
        if not told and said.shape == right.shape == ():
            told = explain(said.item(), right.item(), case, self.unit)
        numbers = f"for {_sizes(case)} it gives {_print(said)}, and {_print(right)} is measured"
        return Wrong(f"{told} ({numbers})" if told else numbers)


def _sizes(case: dict) -> str:
    return ", ".join(f"{name} = {size}" for name, size in case.items())


def _kind(x) -> str:
    name = type(x).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _print(x: np.ndarray) -> str:
    return f"{x.item():,}" if x.shape == () else str(tuple(x.tolist()))

"""Exercises that ask for a number, or a shape or strides, as a function of sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from mtlib.exercises.entries import Exercise, Outputs
from mtlib.exercises.explaining import explain, value_of
from mtlib.exercises.lines import is_empty
from mtlib.exercises.running import watched
from mtlib.exercises.verdicts import NOTHING_BACK, NotYet, Wrong

_LARGEST = 2**63  # of what NumPy's integers hold; no nan is below it either


@dataclass(kw_only=True, eq=False)
class Formula(Exercise):
    """``answer(**sizes)`` must be what ``measure(**sizes)`` finds, for each of ``sizes``.

    ``measure`` is not the formula once more: it runs what is asked about, and reads the ledger.
    Numbers, and tuples of numbers, are compared.  In the first of ``sizes`` each is another prime
    above 8, so that no factor of 2 or 8 is taken for a size.  ``unit``, "bytes" or "elements",
    helps to explain a wrong one.  ``slips`` are wrong answers written as formulas, as in a
    prediction.
    """

    measure: Callable
    sizes: list[dict[str, int]]
    unit: str = ""
    slips: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for formula, sentence in self.slips.items():
            self.wrong(sentence, functools.partial(self._slip, formula))

    def _slip(self, formula: str, *sizes):
        return value_of(formula, dict(zip(self.sizes[0], sizes, strict=True)))

    def cases(self) -> Iterator[dict[str, int]]:
        return iter(self.sizes)

    def run(self, answer, case) -> Outputs:
        if not callable(answer):
            asked = f"a function of {', '.join(case)} is asked for"
            raise Wrong(f"{asked}, and this is of type {type(answer).__name__}")
        said = watched(answer, *case.values())
        if said is None or said is ...:
            if not is_empty(answer):
                raise Wrong(NOTHING_BACK)
            raise NotYet
        numbers = said if isinstance(said, tuple) else (said,)
        if not all(isinstance(x, int | float | np.number) and x is not True for x in numbers):
            kind = "numbers" if isinstance(self.measure(**case), tuple) else "a number"
            raise Wrong(f"{kind} should come back, and this is of type {type(said).__name__}")
        if not all(abs(x) < _LARGEST for x in numbers):
            raise Wrong(f"it is {said} for {_sizes(case)}")
        return {"": np.asarray(said)}

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


def _print(x: np.ndarray) -> str:
    return f"{x.item():,}" if x.shape == () else str(tuple(x.tolist()))

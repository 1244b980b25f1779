"""What a case is: a comparison of contenders, or a single reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.measure import Contenders, Effort, Spread, in_turns, ratios


class Differs(Exception):
    """Contenders that should compute the same do not."""


@dataclass(frozen=True)
class Comparison:
    """Contenders that compute the same, timed in turns.

    ``build`` makes the operands and returns the contenders: first the one that is judged, then the
    one it is judged by, then others.  Each returns an array, a tensor or a tuple of these.  They
    must agree to ``tolerance``, relative to the largest element.  ``flops`` is the number of
    additions and multiplications.  Cases of one ``series`` grow: when one is slow, what is larger
    is left out.  ``threads`` is None for any number, or 1, or "all".
    """

    name: str
    build: Callable[[], Contenders]
    tolerance: float
    flops: int = 0
    series: str = ""
    size: int = 0
    quick: bool = False
    threads: int | str | None = None
    at_most: float | None = None  # seconds

    def run(self, effort: Effort, settle: float) -> dict:
        """Check that the contenders agree, time them, and say what came of it.

        Raises :class:`Differs` if the first two do not agree.  Another that does not is left out.
        """
        contenders = self.build()
        subject, base, *_ = contenders
        left_out = self._check(contenders)
        contenders = {name: call for name, call in contenders.items() if name not in left_out}
        taken = in_turns(contenders, effort, settle)
        result = {
            "subject": subject,
            "base": base,
            "seconds": {name: asdict(Spread.of(times)) for name, times in taken.items()},
            "ratios": {name: asdict(spread) for name, spread in ratios(taken, subject).items()},
            "rounds": len(taken[subject]),
            "left_out": left_out,
        }
        extra = ("flops", "series", "size", "at_most")
        return result | {name: value for name in extra if (value := getattr(self, name))}

    def _check(self, contenders: Contenders) -> dict[str, str]:
        """Who, of those that the first two are not, computes something else, and how it differs."""
        subject, base, *others = contenders
        wanted = parts(contenders[base]())
        if difference := self._difference(parts(contenders[subject]()), wanted):
            raise Differs(f"{difference} {base}")
        found = {name: self._difference(parts(contenders[name]()), wanted) for name in others}
        return {name: f"{text} {base}" for name, text in found.items() if text}

    def _difference(self, got: list[np.ndarray], wanted: list[np.ndarray]) -> str:
        for x, y in zip(got, wanted, strict=True):
            if x.shape != y.shape:
                return f"shape {x.shape}, not {y.shape} as"
            off, most = _furthest(x, y)
            if not off <= self.tolerance * most:
                return f"off by {off / most if most else off:.1e} of the largest element, from"
        return ""


@dataclass(frozen=True)
class Reading:
    """One number that is no comparison, such as a count of bytes; ``read`` is told the effort."""

    name: str
    read: Callable[[Effort], float]
    unit: str
    quick: bool = False
    threads: int | str | None = "all"
    at_least: float | None = None
    at_most: float | None = None

    def run(self, effort: Effort, settle: float) -> dict:
        """Read it, and say what came of it."""
        result = {"value": self.read(effort), "unit": self.unit}
        bounds = {"at_least": self.at_least, "at_most": self.at_most}
        return result | {name: value for name, value in bounds.items() if value is not None}


@dataclass(frozen=True)
class Group:
    """Cases that belong together, and what their ratios must reach: in the mean, and each."""

    name: str
    title: str
    cases: Callable[[], Sequence[Comparison | Reading]]
    mean: float | None = None
    floor: float | None = None

    def about(self) -> dict:
        """The group as the results have it."""
        fields = ("name", "title", "mean", "floor")
        return {name: value for name in fields if (value := getattr(self, name)) is not None}


def parts(result) -> list[np.ndarray]:
    """A result as arrays of numbers: one, or as many as its tuple has."""
    arrays = [np.asarray(x) for x in (result if isinstance(result, tuple) else (result,))]
    return [x.view(np.int8) if x.dtype == np.bool_ else x for x in arrays]


def _furthest(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The largest difference of two arrays of one shape, and the largest element of the second.

    Row by row, so that checking takes little memory.
    """
    off = most = 0.0
    for a, b in zip(np.atleast_1d(x), np.atleast_1d(y), strict=True):
        off = np.maximum(off, np.max(np.abs(a - b), initial=0))  # unlike max, this keeps a nan
        most = np.maximum(most, np.max(np.abs(b), initial=0))
    return float(off), float(most)

"""Timing in pairs, and the statistics of it.

A computer is never equally fast twice: its clock changes, and other programs come and go.  So two
contenders take turns, A B A B, and what counts is the ratio within each pair, whose halves met the
same conditions.  Reported is the median of the ratios, with the quartiles as its spread.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat

Contenders = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds, seconds for them together, and least seconds of a sample.

    And of several threads, how many seconds to warm up for before each sample.
    """

    least_rounds: int
    most_rounds: int
    budget: float
    sample: float
    warm: float


# Seconds to wait before a sample if there are several threads.  When a call is done, the threads
# that helped stay awake for a while, in case there is more, and would take time from the next
# contender's: OpenBLAS's for 2**26 ticks of the clock, some 25 ms.
SETTLE = 0.03
# And then to warm up for: threads that have just woken may share a core at first, and it takes the
# operating system up to a tenth of a second to give each its own.
WARM = 0.15

FULL = Effort(least_rounds=7, most_rounds=21, budget=1.2, sample=0.02, warm=WARM)
QUICK = Effort(least_rounds=3, most_rounds=5, budget=0.12, sample=0.004, warm=WARM / 5)


@dataclass(frozen=True)
class Spread:
    """The median of some values and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """
        >>> Spread.of([1.0, 2.0, 3.0, 4.0, 5.0])
        Spread(median=3.0, low=2.0, high=4.0)
        """
        values = sorted(values)
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def geometric_mean(values: Iterable[float]) -> float:
    """The mean for ratios: 2 and 1/2 make 1.

    >>> geometric_mean([2.0, 0.5])
    1.0
    """
    return statistics.geometric_mean(values)


def seconds(call: Callable[[], object], times: int = 1) -> float:
    """How long ``times`` calls take together."""
    turns = repeat(None, times)
    start = time.perf_counter()
    for _ in turns:
        call()
    return time.perf_counter() - start


def calls_to_fill(call: Callable[[], object], sample: float) -> int:
    """How many calls take ``sample`` seconds or more, judged by the fastest of a few tries."""
    count = 1
    while (taken := min(seconds(call, count) for _ in range(2))) < sample:
        growth = 10 if taken <= 0 else min(10, 1.1 * sample / taken)
        count = math.ceil(count * max(growth, 1.1))
    return count


def in_turns(contenders: Contenders, effort: Effort, settle: float = 0.0) -> dict[str, list[float]]:
    """Seconds per call of each contender, round by round.

    All of them are warmed up before the first round.  With ``settle``, that many seconds are slept
    before each sample, and then calls that do not count are made for as long as ``effort`` says.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        counts = {name: calls_to_fill(call, effort.sample) for name, call in contenders.items()}
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        start = time.perf_counter()
        for done in range(effort.most_rounds):
            if done >= effort.least_rounds and time.perf_counter() - start > effort.budget:
                break
            for name, call in contenders.items():
                if settle:
                    time.sleep(settle)
                    ready = time.perf_counter() + effort.warm
                    while time.perf_counter() < ready:
                        call()
                taken[name].append(seconds(call, counts[name]) / counts[name])
        return taken
    finally:
        if was_enabled:
            gc.enable()


def ratios(taken: dict[str, list[float]], subject: str) -> dict[str, Spread]:
    """For each other contender, its time over the subject's: above 1, the subject is faster.

    >>> ratios({"mtlib": [1.0, 2.0, 1.0], "NumPy": [2.0, 4.0, 3.0]}, "mtlib")["NumPy"].median
    2.0
    """
    return {
        name: Spread.of(x / y for x, y in zip(times, taken[subject], strict=True))
        for name, times in taken.items()
        if name != subject
    }

"""A trace over time in columns: every tick of a short one, the fullest ticks of a long one.

A training run has thousands of arrays, most of them too thin to be seen.  Past a limit, of steps
that are alike a few are drawn; ticks that would share a few pixels become one column, which stands
for the moment at which it held the most; arrays too small to be named are added up by what they
are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from mt_diagrams.svg.roles import Role

TICKS, ARRAYS = 120, 80  # up to which a trace is drawn as it is
LEAST = 4  # steps, below which none are left out
COLUMNS = 96
NAMED = 24  # arrays of a long trace that are drawn by themselves


class Span(NamedTuple):
    """Ticks ``start`` to ``stop`` of a trace; ``after`` is how many steps are left out after."""

    start: int
    stop: int
    after: int = 0


class Column(NamedTuple):
    """Ticks ``start`` to ``stop`` of a trace, shown as they were at ``tick``."""

    start: int
    stop: int
    tick: int


class Layer(NamedTuple):
    """What is stacked: an array, or None for many, what it is, and (column, bytes) while it lasts.

    What it is, is its role and whether it is saved for backward.
    """

    buffer: object | None
    kind: tuple[Role, bool]
    heights: list[tuple[int, int]]


def spans_of(trace) -> list[Span]:
    """What of a trace is drawn: all, or if it is long, of steps that repeat three at most.

    The first, the one that holds the most, and the last.
    """
    ticks = len(trace.live_bytes)
    if ticks <= TICKS and len(trace.buffers) <= ARRAYS:
        return [Span(0, ticks)]
    events = sorted(trace.events, key=lambda e: e.start)
    found = repetition([(e.name, e.phase, e.input_shapes) for e in events])
    if found is None:
        return [Span(0, ticks)]
    first, period, count = found
    starts = [events[first + n * period].start for n in range(count)]
    ends = [*starts[1:], ticks]
    fullest = max(range(count), key=lambda n: max(trace.live_bytes[starts[n] : ends[n] + 1]))
    kept = sorted({0, fullest, count - 1})
    spans = []
    for n, following in zip(kept, [*kept[1:], count], strict=True):
        start = 0 if n == 0 else starts[n]
        if spans and not spans[-1].after:  # no step between: go on
            start = spans.pop().start
        spans.append(Span(start, ends[n], following - n - 1))
    return spans


def repetition(signs: list) -> tuple[int, int, int] | None:
    """Where the longest run of repeated steps begins, how long a step is, and how many there are.

    >>> repetition(list("abxyxyxyxyz"))
    (2, 2, 4)
    >>> repetition(list("abcabc")) is None
    True
    """
    if not signs:
        return None
    middle = len(signs) // 2
    again = [n for n in range(middle + 1, len(signs)) if signs[n] == signs[middle]][:64]
    best = None
    for period in (n - middle for n in again):
        first = last = middle
        while first > 0 and signs[first - 1] == signs[first - 1 + period]:
            first -= 1
        while last + period < len(signs) and signs[last] == signs[last + period]:
            last += 1
        count = (last - first) // period + 1
        if count >= LEAST and (best is None or count * period > best[1] * best[2]):
            best = (first, period, count)
    return best


def columns_of(trace, spans: Sequence[Span]) -> list[Column]:
    """The columns of what is drawn of a trace, from left to right."""
    ticks = sum(span.stop - span.start for span in spans)
    out = []
    for start, stop, _ in spans:
        count = stop - start
        if is_long(trace, spans):
            count = max(1, min(count, COLUMNS * count // ticks))
        edges = [start + (stop - start) * n // count for n in range(count + 1)]
        out += [
            Column(a, b, max(range(a, b), key=trace.live_bytes.__getitem__))
            for a, b in pairwise(edges)
        ]
    return out


def is_long(trace, spans: Sequence[Span]) -> bool:
    """Whether what is drawn of a trace is too long for each of its arrays to be."""
    arrays = [b for b in trace.buffers if any(_lives(b, span) for span in spans)]
    return sum(s.stop - s.start for s in spans) > TICKS or len(arrays) > ARRAYS


def _lives(buffer, span: Span) -> bool:
    return buffer.born < span.stop and (buffer.died is None or buffer.died > span.start)


def layers_of(
    trace, columns: list[Column], kind_of: Callable, least: float, long: bool
) -> list[Layer]:
    """What to stack, from the bottom up.

    Args:
        kind_of: what a buffer is, its role and whether it is saved.
        least: the bytes from which, in a long trace, an array can be drawn by itself.
        long: whether small arrays are added up.
    """
    moments = [column.tick for column in columns]
    spans = []
    for buffer in trace.buffers:
        died = columns[-1].stop if buffer.died is None else buffer.died
        span = range(bisect_left(moments, buffer.born), bisect_left(moments, died))
        if span:
            spans.append((buffer, span))
    if not long:
        return [Layer(b, kind_of(b), [(c, b.nbytes) for c in span]) for b, span in spans]
    large = [s for s in spans if s[0].nbytes >= least and len(s[1]) >= COLUMNS / 16]
    large.sort(key=lambda s: (-s[0].nbytes * len(s[1]), s[0].born))
    kept = {id(buffer) for buffer, _ in large[:NAMED]}
    alone = [s for s in spans if id(s[0]) in kept]
    layers = [Layer(b, kind_of(b), [(c, b.nbytes) for c in span]) for b, span in alone]
    rest: dict[tuple, list[int]] = {}
    for buffer, span in spans:
        if id(buffer) not in kept:
            sums = rest.setdefault(kind_of(buffer), [0] * len(columns))
            for c in span:
                sums[c] += buffer.nbytes
    return layers + [Layer(None, kind, list(enumerate(sums))) for kind, sums in rest.items()]

"""A trace over time in columns: every tick of a short one, the fullest ticks of a long one.

A training run has thousands of arrays, most of them too thin to be seen.  Past a limit, ticks that
would share a few pixels become one column, which stands for the moment at which it held the most;
arrays too small to be named are added up by what they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

TICKS, ARRAYS = 120, 80  # up to which a trace is drawn as it is
COLUMNS = 96
NAMED = 24  # arrays of a long trace that are drawn by themselves


class Column(NamedTuple):
    """Ticks ``start`` to ``stop`` of a trace, shown as they were at ``tick``."""

    start: int
    stop: int
    tick: int


class Layer(NamedTuple):
    """What is stacked: an array, or None for many, its role, and (column, bytes) while it lasts."""

    buffer: object | None
    role: str
    heights: list[tuple[int, int]]


def columns_of(trace) -> list[Column]:
    """The columns of a trace, from left to right."""
    ticks = len(trace.live_bytes)
    if not is_long(trace):
        return [Column(t, t + 1, t) for t in range(ticks)]
    count = min(COLUMNS, ticks)
    edges = [ticks * n // count for n in range(count + 1)]
    return [
        Column(a, b, max(range(a, b), key=trace.live_bytes.__getitem__)) for a, b in pairwise(edges)
    ]


def is_long(trace) -> bool:
    """Whether a trace is too long for each of its arrays to be drawn."""
    return len(trace.live_bytes) > TICKS or len(trace.buffers) > ARRAYS


def layers_of(trace, columns: list[Column], role_of: Callable, least: float) -> list[Layer]:
    """What to stack, from the bottom up.

    Args:
        role_of: the role of a buffer.
        least: the bytes from which, in a long trace, an array can be drawn by itself.
    """
    moments = [column.tick for column in columns]
    spans = []
    for buffer in trace.buffers:
        died = columns[-1].stop if buffer.died is None else buffer.died
        spans.append((buffer, range(bisect_left(moments, buffer.born), bisect_left(moments, died))))
    if not is_long(trace):
        alone = spans
    else:
        large = [s for s in spans if s[0].nbytes >= least and len(s[1]) >= COLUMNS / 16]
        large.sort(key=lambda s: (-s[0].nbytes * len(s[1]), s[0].born))
        kept = {id(buffer) for buffer, _ in large[:NAMED]}
        alone = [s for s in spans if id(s[0]) in kept]
    layers = [Layer(b, role_of(b), [(c, b.nbytes) for c in span]) for b, span in alone]
    if is_long(trace):
        rest: dict[str, list[int]] = {}
        for buffer, span in spans:
            if id(buffer) not in kept:
                sums = rest.setdefault(role_of(buffer), [0] * len(columns))
                for c in span:
                    sums[c] += buffer.nbytes
        layers += [Layer(None, role, list(enumerate(sums))) for role, sums in rest.items()]
    return layers

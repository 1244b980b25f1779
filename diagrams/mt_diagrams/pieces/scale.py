"""Scales of bytes: where ticks stand, by how much to enlarge, and how many times more."""

from __future__ import annotations

from math import floor, log10

STEPS = 5  # at most, from zero to the top of a scale


def ticks_of(most: float) -> list[int]:
    """Round numbers from zero to at most ``most``.

    >>> ticks_of(432), ticks_of(1_609_728)
    ([0, 100, 200, 300, 400], [0, 500000, 1000000, 1500000])
    """
    power = 10 ** max(0, floor(log10(max(most, 1) / STEPS)))
    step = next(power * n for n in (1, 2, 5, 10) if most / (power * n) <= STEPS)
    return [step * n for n in range(int(most // step) + 1)]


def zoom_of(most: float) -> int:
    """A round factor of at most ``most``.

    >>> zoom_of(33.2), zoom_of(18.4), zoom_of(7.9), zoom_of(0.5)
    (30, 15, 7, 1)
    """
    step = max(1, 10 ** floor(log10(max(most, 1))) // 2)
    return max(1, int(most // step) * step)


def times(more: float, less: float) -> str:
    """How many times one number is another, in two or three figures.

    >>> times(257, 1), times(30.22, 1), times(1.5, 1)
    ('257 ×', '30 ×', '1.5 ×')
    """
    ratio = more / less
    return f"{ratio:,.0f} ×" if ratio >= 9.95 else f"{ratio:.1f} ×"

"""Pieces of a plot over time: phases beneath it, spans that merge, outlines of stepped areas."""

from __future__ import annotations

from chalk.types import Diagram

from mt_diagrams.svg.hatch import Rect
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.strokes import Point, polylines
from mt_diagrams.svg.theme import QUIET, SMALL, THREAD


def phase(name: str, left: float, right: float, y: float, width: float) -> Diagram:
    """What a stretch of time is, on a line along it; beneath, in a plot of ``width``, if narrow."""
    half = width_of(name, SMALL) / 2 + 0.2
    middle = (left + right) / 2
    lines = [[(left + 0.1, y), (middle - half, y)], [(middle + half, y), (right - 0.1, y)]]
    ends = [[(x, y - 0.15), (x, y + 0.15)] for x in (left + 0.1, right - 0.1)]
    if right - left < 2 * half + 0.4:  # no room on the line: beneath it
        x = min(max(middle, half), width - half)
        return polylines([*ends]).line_color(THREAD) + label(name, SMALL, QUIET).translate(
            x, y + 0.5
        )
    note = label(name, SMALL, QUIET).translate(middle, y)
    return polylines([*lines, *ends]).line_color(THREAD) + note


def joined_spans(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans, those that touch or nearly do as one."""
    out: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if out and left - out[-1][1] < 0.1:
            out[-1] = (out[-1][0], max(out[-1][1], right))
        else:
            out.append((left, right))
    return out


def around(runs: list[Rect]) -> list[Point]:
    """The outline of a block that is made of runs side by side."""
    over = [point for left, top, right, _ in runs for point in ((left, top), (right, top))]
    under = [(x, y) for left, _, right, low in runs for x, y in ((left, low), (right, low))]
    return over + under[::-1]

"""Textures: a second way, beside colour, to tell areas apart.

Drawn as plain lines, not as SVG patterns: a pattern needs an id, and two figures on one page would
then fight over it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from chalk import empty
from chalk.types import Diagram
from colour import Color

from mt_diagrams.svg.strokes import Point, polylines
from mt_diagrams.svg.theme import INK

SPACING = 0.38

Rect = tuple[float, float, float, float]  # left, top, right, bottom


def hatched(rects: Iterable[Rect], texture: str, color: Color = INK) -> Diagram:
    """Lines over rectangles.

    Args:
        rects: the rectangles; lines run on from one into the next.
        texture: ``"/"``, ``"\\\\"``, ``"-"``, or ``""`` for none.
    """
    if not texture:
        return empty()
    lines = [line for rect in rects for line in _lines(rect, texture)]
    return polylines(lines).line_color(color).line_width(0.06)


def _lines(rect: Rect, texture: str) -> list[list[Point]]:
    left, top, right, bottom = rect
    if texture == "-":
        rows = range(math.ceil(top / SPACING), math.ceil(bottom / SPACING))
        return [[(left, n * SPACING), (right, n * SPACING)] for n in rows]
    if texture == "\\":
        return [[(-x, y) for x, y in line] for line in _lines((-right, top, -left, bottom), "/")]
    # "/" is the lines x + y = c, for every multiple c of the spacing that crosses the rectangle.
    step = SPACING * math.sqrt(2)
    lines = []
    for n in range(math.ceil((left + top) / step), math.ceil((right + bottom) / step)):
        c = n * step
        x0, x1 = max(left, c - bottom), min(right, c - top)
        if x1 - x0 > 1e-9:
            lines.append([(x0, c - x0), (x1, c - x1)])
    return lines

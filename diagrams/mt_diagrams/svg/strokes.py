"""Lines, polygons and arrows as chalk diagrams: many subpaths in one path, and a cheap envelope.

chalk measures a path segment by segment, again and again during layout.  What is drawn here says
its own box instead, which keeps layout fast however many cells there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from chalk import Path, Trail, empty
from chalk.envelope import Envelope
from chalk.transform import P2, V2, unit_x, unit_y
from chalk.types import Diagram
from colour import Color

from mt_diagrams.svg.theme import INK

Point = tuple[float, float]

HOOP = 24  # straight pieces in a hoop


def boxed(diagram: Diagram, left: float, top: float, right: float, bottom: float) -> Diagram:
    """``diagram`` with this box as its envelope, whatever it draws."""

    def support(v: V2) -> float:
        return max(v.x * left, v.x * right) + max(v.y * top, v.y * bottom)

    return diagram.compose(Envelope(support))


def sides(diagram: Diagram) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a diagram's envelope."""
    envelope = diagram.get_envelope()
    if envelope.is_empty:
        return 0.0, 0.0, 0.0, 0.0
    return -envelope(-unit_x), -envelope(-unit_y), envelope(unit_x), envelope(unit_y)


def _path(outlines: Iterable[Sequence[Point]], closed: bool) -> Diagram:
    trails, xs, ys = [], [], []
    for outline in outlines:
        points = [*outline, outline[0]] if closed else outline
        steps = [V2(q[0] - p[0], q[1] - p[1]) for p, q in pairwise(points)]
        trails.append(Trail.from_offsets(steps, closed).at(P2(*points[0])))
        xs += [x for x, _ in outline]
        ys += [y for _, y in outline]
    if not trails:
        return empty()
    return boxed(Path(trails).stroke(), min(xs), min(ys), max(xs), max(ys))


def polygons(outlines: Iterable[Sequence[Point]]) -> Diagram:
    """Closed outlines, all in one path."""
    return _path(outlines, closed=True)


def polylines(lines: Iterable[Sequence[Point]]) -> Diagram:
    """Open lines, all in one path, never filled."""
    return _path(lines, closed=False)


def box(left: float, top: float, width: float, height: float) -> list[Point]:
    """The outline of a rectangle, from its top left corner."""
    right, bottom = left + width, top + height
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def dots(center: Point, direction: Point, size: float = 0.1, step: float = 0.26) -> list:
    """Three small squares in a row: the outlines of an ellipsis."""
    (x, y), (dx, dy) = center, direction
    return [
        box(x + n * step * dx - size / 2, y + n * step * dy - size / 2, size, size)
        for n in (-1, 0, 1)
    ]


def head(tip: Point, angle: float, size: float = 0.3) -> list[Point]:
    """The outline of a slim arrow head at ``tip``, pointing along ``angle`` (radians)."""

    def at(forward: float, side: float) -> Point:
        c, s = math.cos(angle), math.sin(angle)
        return (tip[0] + forward * c - side * s, tip[1] + forward * s + side * c)

    return [(tip[0], tip[1]), at(-size, 0.36 * size), at(-0.75 * size, 0), at(-size, -0.36 * size)]


def arrows(lines: Iterable[Sequence[Point]], color: Color = INK, size: float = 0.3) -> Diagram:
    """Lines that end in an arrow head, in one colour."""
    shafts, heads = [], []
    for line in lines:
        (x0, y0), (x1, y1) = line[-2:]
        angle = math.atan2(y1 - y0, x1 - x0)
        neck = (x1 - 0.7 * size * math.cos(angle), y1 - 0.7 * size * math.sin(angle))
        shafts.append([*line[:-1], neck])
        heads.append(head((x1, y1), angle, size))
    return polylines(shafts).line_color(color) + polygons(heads).fill_color(color).line_width(0)


def hoop(start: Point, end: Point, top: float, color: Color = INK, tip: bool = False) -> Diagram:
    """A curve that leaves ``start`` straight up and comes down on ``end``, highest at ``top``.

    So it keeps clear of what stands between two drawings.  With ``tip`` it ends in an arrow head.
    """
    (x0, y0), (x1, y1) = start, end
    pull = (top - (y0 + y1) / 8) / 0.75  # where a cubic's control points put its highest point
    points = []
    for n in range(HOOP + 1):
        t = n / HOOP
        u = 1 - t
        x = x0 * u * u * (u + 3 * t) + x1 * t * t * (t + 3 * u)
        points.append((x, y0 * u**3 + 3 * pull * u * t + y1 * t**3))
    if not tip:
        return polylines([points]).line_color(color)
    return arrows([points], color)

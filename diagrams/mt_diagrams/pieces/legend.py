"""The legend: the same in every figure that colours by role."""

from __future__ import annotations

from collections.abc import Sequence

from chalk import concat
from chalk.types import Diagram

from mt_diagrams.svg.hatch import Rect, hatched
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import OPERANDS, SAVED, SECOND, Role
from mt_diagrams.svg.strokes import box, polygons, sides
from mt_diagrams.svg.theme import CELL, SMALL

WIDE, HIGH = 1.1, 0.6  # a sample
GAP = 0.9  # between one entry and the next
LINE = 0.95


def legend(roles: Sequence[Role], saved: bool = False, most: float = 30.0) -> Diagram:
    """A sample and the words for each role, and for the hatch; in lines, the first on y = 0.

    Args:
        roles: those that the figure has.
        saved: whether anything in it is hatched.
        most: how long a line may be.
    """
    entries = [(role.words, role, "") for role in roles]
    if saved:
        entries.append((SAVED, None, "/"))
    lines: list[list[tuple]] = [[]]
    x = 0.0
    for entry in entries:
        wide = WIDE + 0.3 + width_of(entry[0], SMALL)
        if lines[-1] and x + wide > most:
            lines.append([])
            x = 0.0
        lines[-1].append((x, wide, entry))
        x += wide + GAP
    parts = []
    for y, line in enumerate(lines):
        middle = (line[-1][0] + line[-1][1]) / 2
        for x, wide, (words, role, texture) in line:
            left, top = x - middle, y * LINE - HIGH / 2
            sample = (left, top, left + WIDE, top + HIGH)
            if role is None:
                parts.append(polygons([box(left, top, WIDE, HIGH)]).fill_color(CELL))
                parts.append(hatched([sample], texture))
            else:
                parts.append(filled([sample], role))
            text = label(words, SMALL)
            parts.append(text.translate(left + (wide + WIDE + 0.3) / 2, y * LINE))
    return concat(parts)


def filled(rects: Sequence[Rect], role: Role) -> Diagram:
    """Areas in the colour of a role; of the operands, in the colours of both."""
    whole = [box(left, top, right - left, low - top) for left, top, right, low in rects]
    area = polygons(whole).fill_color(role.fill)
    return area + in_halves(rects) if role is OPERANDS else area


def in_halves(rects: Sequence[Rect]) -> Diagram:
    """The lower halves of areas of operands, in the colour of the second."""
    halves = [box(x, (y + low) / 2, right - x, (low - y) / 2) for x, y, right, low in rects]
    return polygons(halves).fill_color(SECOND.fill).line_width(0)


def with_legend(drawing: Diagram, roles: Sequence[Role], saved: bool = False) -> Diagram:
    """A drawing with its legend beneath, in the middle."""
    if not roles and not saved:
        return drawing
    left, _, right, bottom = sides(drawing)
    key = legend(roles, saved, max(right - left, 12.0))
    return drawing + key.translate((left + right) / 2, bottom + 1.0)

"""Setting drawings out: captions beneath, rulers along the sides, steps between neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from chalk import concat, empty
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.elide import Axis
from mt_diagrams.svg.figure import MARGIN, WIDEST
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.strokes import arrows, boxed, polylines, sides
from mt_diagrams.svg.theme import QUIET, SCALE, SMALL, TEXT, TINY

LEADING = 0.64  # from one caption line to the next
FITS = (WIDEST - 2 * MARGIN) / SCALE  # how wide a drawing is shown without being shrunk


def captioned(drawing: Diagram, lines: Sequence[str], drop: float) -> Diagram:
    """A drawing that is centred on its origin, with lines of text beneath.

    Args:
        drawing: what to write under.
        lines: the first is set larger, in ink; the others are quiet.
        drop: how far below the origin the first line stands, to level it with its neighbours'.
    """
    left, top, right, _ = sides(drawing)
    texts = []
    for n, line in enumerate(lines):
        half = width_of(line, TEXT if n == 0 else SMALL) / 2
        left, right = min(left, -half), max(right, half)
        text = label(line, TEXT) if n == 0 else label(line, SMALL, QUIET)
        texts.append(text.translate(0, drop + n * LEADING))
    return boxed(concat([drawing, *texts]), left, top, right, drop + len(lines) * LEADING - 0.3)


def step(word: str, back: bool = False, under: str = "", least: float = 1.5) -> Diagram:
    """An arrow with a word over it, and perhaps one under it: what happens between two drawings."""
    widest = max(width_of(text, SMALL) for text in (word, under))
    half = max(least, widest + 0.2) / 2
    line = [(half, 0), (-half, 0)] if back else [(-half, 0), (half, 0)]
    drawing = arrows([line]) + label(word, SMALL).translate(0, -0.45)
    return drawing + label(under, SMALL).translate(0, 0.5) if under else drawing


def from_left(text: str, size: float, color: Color, bold: bool = False) -> tuple[Diagram, float]:
    """A line of text that begins at its origin, and how long it is."""
    width = width_of(text, size, bold=bold)
    return label(text, size, color, bold=bold).translate(width / 2, 0), width


def fitted(text: str, size: float, most: float, bold: bool = False) -> str:
    """``text``, cut short with an ellipsis where it would be longer than ``most``.

    >>> fitted("a long name", 1.0, 4.0), fitted("short", 1.0, 4.0)
    ('a long…', 'short')
    """
    if width_of(text, size, bold=bold) <= most:
        return text
    while text and width_of(text + "…", size, bold=bold) > most:
        text = text[:-1]
    return text + "…"


def blank(drawing: Diagram) -> Diagram:
    """Nothing, in the room that ``drawing`` takes."""
    return boxed(empty(), *sides(drawing))


def sign(text: str) -> Diagram:
    """An operator between two drawings."""
    return label(text, 1.2 * TEXT, QUIET)


def _numbered(dimension: Axis) -> bool:
    return dimension.size > 0 and width_of(str(dimension.size - 1), TINY) <= 0.92


def ruler_left(dimension: Axis, text: str, color: Color = QUIET, strong: bool = False) -> Diagram:
    """Index numbers and a size, to the left of a grid centred on the origin; see ruler_below."""
    half = len(dimension) / 2
    return _ruler(dimension, text, color, strong, lambda u, v: (-v, u - half))


def ruler_right(dimension: Axis, text: str, color: Color = QUIET, strong: bool = False) -> Diagram:
    """The same to the right; see ruler_below."""
    half = len(dimension) / 2
    return _ruler(dimension, text, color, strong, lambda u, v: (v, u - half))


def ruler_below(dimension: Axis, text: str, color: Color = QUIET, strong: bool = False) -> Diagram:
    """Index numbers and a size, along the side of a grid.

    Placed as if the grid's bottom edge lay on the line y = 0, centred.

    Args:
        dimension: the laid-out dimension.
        text: its size in words, such as ``"k = 4"``.
        color, strong: how it is drawn; strong for the dimension that is reduced.
    """
    half = len(dimension) / 2
    return _ruler(dimension, text, color, strong, lambda u, v: (u - half, v))


def _ruler(dimension: Axis, text: str, color: Color, strong: bool, place) -> Diagram:
    sideways = place(0, 1)[0] != place(0, 0)[0]
    parts, out = [], 0.22
    if _numbered(dimension):
        out = 0.3
        reach = max(width_of(str(i), TINY) for _, i in dimension.shown) / 2 if sideways else 0.2
        parts = [
            label(str(index), TINY, color).translate(*place(slot + 0.5, out + reach - 0.15))
            for slot, index in dimension.shown
        ]
        out += 2 * reach
    line = polylines([[place(0.06, out), place(len(dimension) - 0.06, out)]]).line_color(color)
    line = line.line_width(0.2 if strong else 0.1)
    away = width_of(text, SMALL, bold=strong) / 2 + 0.18 if sideways else 0.42
    at = place(len(dimension) / 2, out + away)
    return concat([*parts, line, label(text, SMALL, color, bold=strong).translate(*at)])


def ruled(
    drawing: Diagram,
    down: Axis,
    across: Axis,
    side: tuple[str, Color, bool],
    below: tuple[str, Color, bool],
    right: bool = False,
    aside: float = 0.0,
) -> Diagram:
    """A grid centred on its origin, with a ruler at its left (or right) and one beneath.

    ``aside`` is how far off the one at its right stands, clear of what lies behind the grid.
    """
    if right:
        rows = ruler_right(down, *side).translate(len(across) / 2 + aside, 0)
    else:
        rows = ruler_left(down, *side).translate(-len(across) / 2, 0)
    cols = ruler_below(across, *below).translate(0, len(down) / 2)
    return drawing + rows + cols


def row(parts: Sequence[Diagram], gaps: float) -> Diagram:
    """Diagrams from left to right, origins level, ``gaps`` apart."""
    return rows([parts], gaps)[0]


def wrapped(groups: Sequence[Sequence[Diagram]], gaps: float, between: float = 0.9) -> Diagram:
    """Diagrams from left to right, in as many rows as they need to be shown at full size.

    So that no text is shrunk until it cannot be read.

    Args:
        groups: what stays together in a row.
        gaps: between neighbours.
        between: one row and the next.
    """
    for count in range(1, len(groups) + 1):
        breaks = combinations(range(1, len(groups)), count - 1)
        ways = [_lines(groups, gaps, (0, *some, len(groups))) for some in breaks]
        lines = min(ways, key=_widest)  # of as many rows, those that are most alike
        if _widest(lines) <= FITS:
            break
    return under(lines, between)


def under(lines: Sequence[Diagram], between: float = 0.9) -> Diagram:
    """Rows one beneath the other, their middles in line."""
    drawn, y = [], 0.0
    for line in lines:
        left, top, right, bottom = sides(line)
        drawn.append(line.translate(-(left + right) / 2, y - top))
        y += bottom - top + between
    return concat(drawn)


def _lines(groups: Sequence[Sequence[Diagram]], gaps: float, at: Sequence[int]) -> list[Diagram]:
    return [row([part for group in groups[a:b] for part in group], gaps) for a, b in pairwise(at)]


def _widest(lines: Sequence[Diagram]) -> float:
    return max(line.get_envelope().width for line in lines)


def rows(lines: Sequence[Sequence[Diagram]], gaps: float) -> list[Diagram]:
    """Several rows of equally many diagrams, their origins level and one above the other."""
    extents = [[sides(part) for part in parts] for parts in lines]
    placed: list[list[Diagram]] = [[] for _ in lines]
    x = 0.0
    for n, column in enumerate(zip(*extents, strict=True)):
        x -= min(left for left, _, _, _ in column)
        for line, parts in zip(placed, lines, strict=True):
            line.append(parts[n].translate(x, 0))
        x += max(right for _, _, right, _ in column) + gaps
    return [
        boxed(concat(line), 0, min(e[1] for e in extent), x - gaps, max(e[3] for e in extent))
        for line, extent in zip(placed, extents, strict=True)
    ]

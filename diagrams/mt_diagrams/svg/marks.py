"""SVG marks: paths and lines of text in plain numbers, and the elements that draw them.

Every style is presentation attributes (previews strip ``style=``), every number is rounded in one
way, and every mark knows its extent: that is what a ``viewBox`` is made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from html import escape

Extent = tuple[float, float, float, float]  # left, top, right, bottom

# A mark is a list of drawing steps ("M" | "L" | "C", x, y, ...) or "Z", or one line of text.
Step = tuple
Style = tuple[tuple[str, str], ...]
Change = Callable[[str, str], str]  # from the name and the value of an attribute


@dataclass
class PathMark:
    """Subpaths of one style; ``width`` is that of its line."""

    style: Style
    steps: list[Step]
    width: float

    def extent(self, lines: bool):
        xs = [x for step in self.steps for x in step[1::2]]
        ys = [y for step in self.steps for y in step[2::2]]
        half = self.width / 2 if lines else 0
        return min(xs) - half, min(ys) - half, max(xs) + half, max(ys) + half

    def moved(self, scale: float, dx: float, dy: float) -> PathMark:
        steps = [
            (step[0], *(v * scale + (dx, dy)[n % 2] for n, v in enumerate(step[1:])))
            for step in self.steps
        ]
        return PathMark(self.style, steps, self.width)

    def recoloured(self, change: Change) -> PathMark:
        return replace(self, style=_changed(self.style, change))

    def body(self) -> str:
        return f'd="{_path_data(self.steps)}"'


@dataclass
class TextMark:
    """A line of text, centred on (x, y) and turned by ``angle`` degrees."""

    style: Style
    text: str
    x: float
    y: float
    size: float
    angle: float
    width: float  # for a size of 1

    def extent(self, lines: bool):
        half, up = self.width * self.size / 2, 0.6 * self.size
        c, s = abs(math.cos(math.radians(self.angle))), abs(math.sin(math.radians(self.angle)))
        dx, dy = half * c + up * s, half * s + up * c
        return self.x - dx, self.y - dy, self.x + dx, self.y + dy

    def moved(self, scale: float, dx: float, dy: float) -> TextMark:
        x, y = self.x * scale + dx, self.y * scale + dy
        return TextMark(self.style, self.text, x, y, self.size * scale, self.angle, self.width)

    def recoloured(self, change: Change) -> TextMark:
        return replace(self, style=_changed(self.style, change))

    def body(self) -> str:
        # Not dominant-baseline, which half of all viewers ignore: the baseline is 0.35 em lower.
        turn = math.radians(self.angle)
        x = self.x - 0.35 * self.size * math.sin(turn)
        y = self.y + 0.35 * self.size * math.cos(turn)
        at = f'x="{number(x)}" y="{number(y)}" font-size="{number(self.size)}"'
        if abs(self.angle) > 1e-6:
            spin = f"rotate({number(self.angle)} {number(x)} {number(y)})"
            at += f' transform="{spin}"'
        return f"{at}>{clean(self.text)}"


Mark = PathMark | TextMark


def _changed(style: Style, change: Change) -> Style:
    return tuple((name, change(name, value)) for name, value in style)


def union(extents: Iterable[Extent]) -> Extent:
    """The box around boxes.

    >>> union([(0, 0, 2, 1), (1, -1, 1, 3)])
    (0, -1, 2, 3)
    """
    lefts, tops, rights, bottoms = zip(*extents, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def number(value: float) -> str:
    """A coordinate, to a hundredth, as short as it can be written.

    >>> number(2.0), number(-0.001), number(0.126)
    ('2', '0', '.13')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def clean(text: str) -> str:
    """``text`` as XML character data: escaped, without the characters that XML forbids.

    >>> clean('<script>"a" & b')
    '&lt;script&gt;&quot;a&quot; &amp; b'
    """
    kept = (c if c >= " " and c not in "\ufffe\uffff" else " " for c in text)
    return escape("".join(c for c in kept if not "\ud800" <= c <= "\udfff"))


def _path_data(steps: list[Step]) -> str:
    """The ``d`` attribute.  Each subpath starts absolute, then goes on relative, which is short.

    Offsets are taken between rounded positions, so that rounding never adds up.
    """
    out, x, y = [], 0.0, 0.0
    for step in steps:
        kind = step[0]
        if kind == "Z":
            out.append("z")
            continue
        points = [round(v, 2) for v in step[1:]]
        if kind == "M":
            out.append("M" + joined(points))
        elif kind == "C":
            out.append("c" + joined([v - (x, y)[n % 2] for n, v in enumerate(points)]))
        elif abs(points[1] - y) < 1e-9:
            out.append("h" + number(points[0] - x))
        elif abs(points[0] - x) < 1e-9:
            out.append("v" + number(points[1] - y))
        else:
            out.append("l" + joined([points[0] - x, points[1] - y]))
        x, y = points[-2:]
    return "".join(out)


def joined(values: list[float]) -> str:
    text = ""
    for value in map(number, values):
        text += value if not text or value.startswith("-") else " " + value
    return text


def extent_of(marks: list[Mark], lines: bool = True) -> Extent:
    """Left, top, right and bottom of ``marks``; a point if there are none.

    Without ``lines`` the width of a line, which is in pixels whatever the scale, counts as nothing.
    """
    if not marks:
        return 0.0, 0.0, 0.0, 0.0
    return union(mark.extent(lines) for mark in marks)


def elements_of(marks: list[Mark]) -> str:
    """SVG elements, neighbours of one style gathered in a group."""
    out, run = [], []

    def flush() -> None:
        if not run:
            return
        style = "".join(f' {name}="{clean(value)}"' for name, value in run[0].style)
        if len(run) == 1:
            out.append(_element(run[0], style))
        else:
            out.append(f"<g{style}>" + "".join(_element(mark, "") for mark in run) + "</g>")
        run.clear()

    for mark in marks:
        if run and (run[0].style != mark.style or type(run[0]) is not type(mark)):
            flush()
        run.append(mark)
    flush()
    return "\n".join(out)


def _element(mark: Mark, style: str) -> str:
    if isinstance(mark, PathMark):
        return f"<path{style} {mark.body()}/>"
    return f"<text{style} {mark.body()}</text>"

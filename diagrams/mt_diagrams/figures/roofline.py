"""Figure: speed over size on logarithmic scales, beneath the roofs that the machine sets.

A roof is the lesser of two limits: what the processor can compute, and what it can compute with the
data that memory brings (Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52,
2009).  An n × n matrix product makes 2 n³ operations on 3 n² elements, so the larger it is, the
less memory limits it; unless each product travels to memory and back, which limits every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chalk import concat
from chalk.types import Diagram
from colour import Color

from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import Point, polygons, polylines
from mt_diagrams.svg.theme import (
    AQUA_INK,
    AQUA_TINT,
    CELL,
    FAINT,
    INK,
    LILAC,
    PAPAYA_INK,
    PAPAYA_TINT,
    QUIET,
    SMALL,
    THREAD,
    TINY,
)

WIDTH, HEIGHT = 20.0, 14.5  # of the plot, in cells
MARGIN = 0.9  # between the plot and the names at its right
APART = 0.62  # least distance of two names, centre to centre
MARK = 0.24  # radius of a marker


def _star(corners: int, turn: float = 0.0, inner: float = 1.0, size: float = 1.0) -> list[Point]:
    """A regular outline of radius ``size``; ``inner`` below 1 makes it a star."""
    points = []
    for n in range(2 * corners):
        angle, r = math.pi * (n / corners + turn) - math.pi / 2, size * (inner if n % 2 else 1)
        points.append((r * math.cos(angle), r * math.sin(angle)))
    return points if inner < 1 else points[::2]


@dataclass(frozen=True)
class Look:
    """How a curve is drawn: the outline of its markers, their colour, its line."""

    outline: list[Point]
    fill: Color
    line: Color
    dashes: tuple[int, ...] = ()


# In turn.  No two have the same outline, so that they differ in grey as well.
LOOKS = (
    Look(_star(4, 0.25, size=1.15), papaya, PAPAYA_INK),
    Look(_star(3, size=1.25), PAPAYA_TINT, PAPAYA_INK),
    Look(_star(3, 1, size=1.25), LILAC, QUIET),
    Look(_star(4, size=1.2), AQUA_TINT, AQUA_INK),
    Look(_star(5, inner=0.45, size=1.5), aqua, AQUA_INK),
    Look(_star(6, size=1.1), AQUA_INK, AQUA_INK),
)
# And the yardstick, which is no rung: round and white, and large, to show behind what equals it.
YARDSTICK = "NumPy"
ROUND = Look(_star(16, size=1.5), CELL, INK, (4, 3))
SQUARE = Look(_star(4, 0.25, size=1.85), CELL, INK, (2, 2))  # the yardstick on several threads


def roofline(results: dict) -> Figure:
    """GFLOP/s of n × n matrix products over n.

    Args:
        results: ``curves``, each with a ``name``, a number of ``threads`` and ``points``
            (n, GFLOP/s); ``roofs``, each with a number of ``threads``, ``gflops`` and ``gbytes``
            (billions of operations and of bytes a second); ``itemsize``, the bytes of an element.

    Raises:
        ValueError: if there is no curve, or a point that is not positive.
    """
    curves = [curve for curve in results["curves"] if curve["points"]]
    if not curves:
        raise ValueError("roofline: needs at least one curve")
    for curve in curves:
        if any(not value > 0 for point in curve["points"] for value in point):
            raise ValueError(f"roofline: {curve['name']}: n and GFLOP/s must be positive")
    plot = _Plot(curves, results["roofs"], results["itemsize"])
    names = ", ".join(dict.fromkeys(curve["name"] for curve in curves))
    return Figure(plot.draw(), f"speed of matrix products: {names}", plot.in_words())


def _threads(item: dict) -> str:
    return f"{item['threads']} thread" + "s" * (item["threads"] != 1)


class _Plot:
    """The axes' lower left corner is at (0, HEIGHT)."""

    def __init__(self, curves: list[dict], roofs: list[dict], itemsize: int):
        self.curves, self.roofs, self.itemsize = curves, roofs, itemsize
        self.sizes = sorted({n for curve in curves for n, _ in curve["points"]})
        speeds = [speed for curve in curves for _, speed in curve["points"]]
        speeds += [roof["gflops"] for roof in roofs]
        self.x_of = _scale(self.sizes[0] / 1.12, self.sizes[-1] * 1.04, 0.0, WIDTH)
        self.least, self.most = min(speeds) / 1.5, max(speeds) * 1.5
        self.y_of = _scale(self.least, self.most, HEIGHT, 0.0)

    def draw(self) -> Diagram:
        lines = [*self._roof_lines(), *self._products_line(), *self._curve_lines()]
        names = _beside([(points[-1], text, color) for points, text, color, _ in lines])
        drawn = [line for _, _, _, line in lines]
        return concat([self._axes(), *drawn, *self._markers(), *names])

    def at(self, n: float, speed: float) -> Point:
        return self.x_of(n), self.y_of(speed)

    def _axes(self) -> Diagram:
        parts, grid = [], []
        for value in _round_numbers(self.least, self.most):
            y = self.y_of(value)
            grid.append([(0, y), (WIDTH, y)])
            text = f"{value:g}"
            parts.append(label(text, TINY, QUIET).translate(-0.3 - width_of(text, TINY) / 2, y))
        taken = -math.inf
        for n in self.sizes:
            x, half = self.x_of(n), width_of(str(n), TINY) / 2
            grid.append([(x, HEIGHT), (x, HEIGHT + 0.15)])
            if x - half > taken + 0.2:
                parts.append(label(str(n), TINY, QUIET).translate(x, HEIGHT + 0.55))
                taken = x + half
        frame = polylines([[(0, 0), (0, HEIGHT), (WIDTH, HEIGHT)]]).line_color(THREAD)
        across = "n, of a product of two n × n matrices"
        parts.append(label(across, SMALL, QUIET).translate(WIDTH / 2, HEIGHT + 1.3))
        if any(self._corner(roof) > self.sizes[0] for roof in self.roofs):
            note = "a roof slopes where memory could bring the matrices no faster"
            parts.append(label(note, TINY, PAPAYA_INK).translate(WIDTH / 2, HEIGHT + 2.0))
        up = label("GFLOP/s", SMALL, QUIET)
        parts.append(up.translate(width_of("GFLOP/s", SMALL) / 2 - 0.8, -0.6))
        return concat([polylines(grid).line_color(FAINT), frame, *parts])

    def _roof_lines(self) -> Iterable[tuple[list[Point], str, Color, Diagram]]:
        for roof in self.roofs:
            low, corner, high = self.sizes[0], self._corner(roof), self.sizes[-1]
            bends = [low, corner, high] if low < corner < high else [low, high]
            points = [self.at(n, roof["gflops"] * min(1, n / corner)) for n in bends]
            text = f"most that {_threads(roof)} can compute: {_short(roof['gflops'])}"
            line = polylines([points]).line_color(PAPAYA_INK).line_width(0.16)
            yield points, text, PAPAYA_INK, line

    def _corner(self, roof: dict) -> float:
        """The n above which memory can feed 2 n³ operations with 3 n² elements in time."""
        return roof["gflops"] * 3 * self.itemsize / (2 * roof["gbytes"])

    def _products_line(self) -> Iterable[tuple[list[Point], str, Color, Diagram]]:
        """What memory allows if each product is written down and read again, on one thread."""
        for roof in self.roofs:
            speed = roof["gbytes"] / self.itemsize  # 2 operations for 2 journeys of an element
            if roof["threads"] == 1 and self.least < speed < self.most:
                points = [self.at(n, speed) for n in (self.sizes[0], self.sizes[-1])]
                text = f"each product to memory and back: {_short(speed)}"
                line = polylines([points]).line_color(PAPAYA_INK).dashing([2, 3], 0)
                yield points, text, PAPAYA_INK, line

    def _curve_lines(self) -> Iterable[tuple[list[Point], str, Color, Diagram]]:
        for curve, look in self._looks():
            points = [self.at(*point) for point in curve["points"]]
            line = polylines([points]).line_color(look.line).line_width(0.14)
            if look.dashes:
                line = line.dashing(list(look.dashes), 0)
            several = curve["threads"] != 1
            text = curve["name"] + (f", {_threads(curve)}" if several else "")
            yield points, text, INK, line

    def _looks(self) -> list[tuple[dict, Look]]:
        """The curves with their looks, the yardstick first, which is beneath."""
        rungs = [curve for curve in self.curves if curve["name"] != YARDSTICK]
        looks = [(rung, LOOKS[n % len(LOOKS)]) for n, rung in enumerate(rungs)]
        yardsticks = [curve for curve in self.curves if curve["name"] == YARDSTICK]
        return [(c, ROUND if c["threads"] == 1 else SQUARE) for c in yardsticks] + looks

    def _markers(self) -> Iterable[Diagram]:
        for curve, look in self._looks():
            outlines = []
            for n, speed in curve["points"]:
                x, y = self.at(n, speed)
                outlines.append([(x + MARK * dx, y + MARK * dy) for dx, dy in look.outline])
            yield polygons(outlines).fill_color(look.fill).line_color(INK).line_width(0.08)

    def in_words(self) -> str:
        parts = []
        for curve in self.curves:
            (first, slow), (last, fast) = curve["points"][0], curve["points"][-1]
            parts.append(
                f"{curve['name']} on {_threads(curve)}: {_short(slow)} GFLOP/s at n = {first}, "
                f"{_short(fast)} at n = {last}."
            )
        for roof in self.roofs:
            parts.append(
                f"The most that {_threads(roof)} can compute is {_short(roof['gflops'])} GFLOP/s, "
                f"and memory brings {_short(roof['gbytes'])} GB/s."
            )
        for _, text, *_ in self._products_line():
            parts.append(f"A dotted line shows what memory would allow: {text} GFLOP/s.")
        return " ".join(parts)


def _scale(least: float, most: float, start: float, end: float) -> Callable[[float], float]:
    """A logarithmic scale that takes ``least`` to ``start`` and ``most`` to ``end``."""
    low, high = math.log(least), math.log(most)
    return lambda value: start + (end - start) * (math.log(value) - low) / (high - low)


def _round_numbers(least: float, most: float) -> list[float]:
    """1, 2 and 5 times powers of ten, or only the powers if those are many."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps = (1, 2, 5) if most / least < 1e4 else (1,)
    return [v for p in powers for step in steps if least <= (v := step * 10.0**p) <= most]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}"


def _beside(ends: Sequence[tuple[Point, str, Color]]) -> list[Diagram]:
    """Names at the right of the plot, each with a line to the end of what it names."""
    order = sorted(ends, key=lambda end: end[0][1])
    places = spread([y for (_, y), _, _ in order], APART)
    parts, lines = [], []
    for ((x, y), text, color), place in zip(order, places, strict=True):
        left = WIDTH + MARGIN
        parts.append(label(text, SMALL, color).translate(left + width_of(text, SMALL) / 2, place))
        lines.append([(x + 0.35, y), (WIDTH + 0.15, y), (left - 0.15, place)])
    return [polylines(lines).line_color(THREAD), *parts]


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Places as near to those wanted, which are sorted, as a distance of ``apart`` lets them be.

    >>> spread([0.0, 5.0, 5.0], 1.0)
    [0.0, 4.5, 5.5]
    """
    blocks: list[list[float]] = []  # each a run of places that touch: [sum of starts, count]
    for n, place in enumerate(wanted):
        blocks.append([place - n * apart, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + count]
    starts = [total / count for total, count in blocks for _ in range(int(count))]
    return [start + n * apart for n, start in enumerate(starts)]

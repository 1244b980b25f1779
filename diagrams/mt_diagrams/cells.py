"""Painting cells: outlines that share a colour go into one path.

A cell's paint is a colour, or a pair of colours: then it is split along its diagonal, which is how
these figures say "one of each, zipped".
"""

from __future__ import annotations

from collections.abc import Iterable

from chalk import concat, empty
from chalk.types import Diagram
from colour import Color

from .strokes import Point, dots, polygons
from .theme import CELL, INK, MIST, PAPER, QUIET

Paint = Color | tuple[Color, Color]
Outline = list[Point]


def paint(cells: Iterable[tuple[Outline, Paint]]) -> Diagram:
    """Draw four-cornered cells, each with its paint.

    Args:
        cells: pairs of corners (from top left, clockwise) and paint.
    """
    whole: dict[str, list[Outline]] = {}
    half: dict[str, list[Outline]] = {}
    colors: dict[str, Color] = {}
    for outline, how in cells:
        first, second = how if isinstance(how, tuple) else (how, None)
        key = first.hex_l
        colors[key] = first
        whole.setdefault(key, []).append(outline)
        if second is not None:
            colors[second.hex_l] = second
            half.setdefault(second.hex_l, []).append([outline[1], outline[2], outline[3]])
    layers = [polygons(group).fill_color(colors[key]) for key, group in whole.items()]
    layers += [polygons(group).fill_color(colors[key]) for key, group in half.items()]
    return concat(layers)


def left_out(face: Outline, marks: list[tuple[Point, Point]]) -> Diagram:
    """The ground of an elided face, with an ellipsis at each of ``marks`` (centre, direction)."""
    if not marks:
        return empty()
    ground = polygons([face]).fill_color(MIST)
    points = [dot for center, direction in marks for dot in dots(center, direction)]
    return ground + polygons(points).fill_color(INK).line_width(0)


def hollow(*faces: Outline) -> Diagram:
    """What has no cells: the dashed outline of its faces."""
    return polygons(faces).fill_color(PAPER).line_color(QUIET).dashing([4, 3], 0)


def plain(*_index: int) -> Color:
    """The colormap of a tensor in which no cell stands out."""
    return CELL

"""Painting cells: outlines that share a colour go into one path.

A cell's paint is a colour, or a pair of colours: then it is split along its diagonal, which is how
these figures say "one of each, zipped".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from chalk import concat, empty
from chalk.types import Diagram
from colour import Color

from mt_diagrams.svg.strokes import Point, dots, polygons
from mt_diagrams.svg.theme import CELL, INK, MIST, PAPER, QUIET

Paint = Color | tuple[Color, Color]
Hue = Color | str  # as a Color takes it: "red", "#f00"
Colormap = Callable[..., Hue | tuple[Hue, Hue]]
Outline = list[Point]


def paints(colormap: Colormap) -> Callable[..., Paint]:
    """The paint of each cell by its index, read from what the user's ``colormap`` gives.

    Raises:
        ValueError: from the function returned, for what is no colour.

    >>> paints(lambda i, j: "#f00")(0, 0).hex_l
    '#ff0000'
    """

    def read(hue) -> Color:
        return hue if isinstance(hue, Color) else _named(hue)

    def paint_of(*index: int) -> Paint:
        found = colormap(*index)
        try:
            if not isinstance(found, tuple):
                return read(found)
            first, second = map(read, found)
            return first, second
        except (ValueError, TypeError, AttributeError):
            who = getattr(colormap, "__name__", repr(colormap))
            raise ValueError(
                f"colormap {who}: gives {found!r} for cell {index}, which is no colour, such as "
                '"red", "#f00" or a Color, nor two of them'
            ) from None

    return paint_of


@lru_cache(maxsize=256)
def _named(hue: str) -> Color:
    if not hue or not isinstance(hue, str):
        raise TypeError(f"{hue!r} is no name of a colour")
    return Color(hue)


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

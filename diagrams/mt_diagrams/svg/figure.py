"""Figure: a drawing with a title and a description, on a card of its own, as one SVG."""

from __future__ import annotations

import os
from functools import cached_property

from chalk.types import Diagram
from colour import Color

from mt_diagrams.svg.browser import converted
from mt_diagrams.svg.dark import darkened
from mt_diagrams.svg.image import image
from mt_diagrams.svg.lettering import FAMILIES
from mt_diagrams.svg.marks import Extent, Mark, clean, elements_of, extent_of, number
from mt_diagrams.svg.render import NORMAL, marks_of
from mt_diagrams.svg.theme import EDGE, PAPER, SCALE
from mt_diagrams.svg.writing import check_target, format_of, write_whole

MARGIN = 18  # pixels between the drawing and the edge of its card
WIDEST = 840  # pixels that a figure shows at, to fit a notebook on a laptop; it can be enlarged


def card(
    marks: list[Mark],
    title: str,
    desc: str,
    margin: float = MARGIN,
    room: Extent | None = None,
    dark: bool = False,
) -> str:
    """An SVG of ``marks`` on a paper-coloured card, readable on a white and on a dark page.

    ``room`` is what the card has room for, if that is more than the marks take.
    """
    left, top, right, bottom = room or extent_of(marks)
    width, height = number(right - left + 2 * margin), number(bottom - top + 2 * margin)
    shrink = min(1.0, WIDEST / float(width))
    shown = " ".join(
        f'{side}="{number(shrink * float(length))}"'
        for side, length in (("width", width), ("height", height))
    )
    placed = [mark.moved(1, margin - left, margin - top) for mark in marks]
    paper, edge = (PAPER, EDGE) if not dark else (darkened(PAPER), darkened(EDGE))
    outline = (
        f'<rect x=".5" y=".5" width="{number(float(width) - 1)}" '
        f'height="{number(float(height) - 1)}" rx="9" fill="{paper.hex}" stroke="{edge.hex}"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {shown} '
        f'viewBox="0 0 {width} {height}" font-family="{FAMILIES["sans"]}" text-anchor="middle" '
        f'stroke-linejoin="round">\n<title>{clean(title)}</title>\n<desc>{clean(desc)}</desc>\n'
        f"{outline}\n{elements_of(placed)}\n</svg>\n"
    )


class Figure:
    """A finished figure.

    Args:
        diagram: what is drawn: a chalk diagram.
        title: one line, which is also its ``repr``.
        desc: what it shows, in words, for a reader who cannot see it.

    In a notebook it shows as an image, its title and description as the words for it.  The SVG is
    the same, to the byte, every time.

    >>> from mt_diagrams import matrix
    >>> figure = Figure(matrix(2, 3), "(2, 3)", "A matrix of 2 rows and 3 columns.")
    >>> figure
    <Figure: (2, 3)>
    >>> figure.svg.startswith("<svg")
    True
    """

    def __init__(self, diagram: Diagram, title: str, desc: str):
        self.diagram = diagram
        self.title = title
        self.desc = desc

    @cached_property
    def marks(self) -> list[Mark]:
        """What is drawn, in pixels."""
        return [mark.moved(SCALE, 0, 0) for mark in marks_of(self.diagram, NORMAL)]

    @cached_property
    def svg(self) -> str:
        """The figure as one SVG document."""
        return self.drawn()

    def drawn(self, *, dark: bool = False, room: Extent | None = None) -> str:
        """The same as :attr:`svg`, in other colours or on a larger card.

        Args:
            dark: for a dark page or slide, on a dark card.
            room: left, top, right and bottom of what the card has room for, in pixels.
        """
        marks = [mark.recoloured(_dark_style) for mark in self.marks] if dark else self.marks
        return card(marks, self.title, self.desc, room=room, dark=dark)

    @property
    def words(self) -> str:
        """What it shows, in words alone: the title and the description."""
        return f"{self.title}. {self.desc}"

    @property
    def html(self) -> str:
        """The figure as an image in HTML, for a page or a widget."""
        return image(self.svg, self.words)

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Figure: {self.title}>"

    def save(self, path: str | os.PathLike, *, dark: bool = False) -> None:
        """Write the figure to ``path``, all of it or nothing, as what the name ends in.

        That is ``.svg``, or no ending at all, or ``.png`` or ``.pdf``, which a browser draws.

        Raises:
            ValueError: if the name ends in something else, or there is no browser to draw with.
            FileNotFoundError: if the directory does not exist.
            OSError: if it cannot be written there.  What was at ``path`` before is then unharmed.
        """
        kind = format_of(path)
        check_target(path)  # before a browser is started, not after
        write_whole(path, self.encoded(kind, dark=dark))

    def encoded(self, kind: str, *, dark: bool = False) -> bytes:
        """The content of a file of the format ``"svg"``, ``"png"`` or ``"pdf"``."""
        svg = self.drawn(dark=True) if dark else self.svg
        return svg.encode("utf-8") if kind == "svg" else converted(svg, kind)


def _dark_style(name: str, value: str) -> str:
    return darkened(Color(value)).hex if name in ("fill", "stroke") and value != "none" else value

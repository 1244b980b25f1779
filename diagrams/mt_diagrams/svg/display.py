"""How a bare chalk diagram shows in a notebook.  Importing ``mt_diagrams`` turns this on.

chalk's own display has four faults here: its SVG has no ``viewBox`` (so it cannot shrink to fit a
page), it styles by ``style=`` on a transparent ground (so it cannot be read on a dark page), it is
an output of a type that is dropped where a notebook is not trusted, and its ``text/plain`` is the
dataclass with memory addresses in it (so a stored output never compares equal).  Three methods are
replaced, on chalk's base class and the classes that inherit it; nothing else of chalk is touched.
``chalk.set_svg_height`` and ``chalk.set_svg_draw_height`` still say how high a drawing is, in
pixels, and what its line width goes by.
"""

from __future__ import annotations

import chalk.core
from chalk.core import BaseDiagram

from mt_diagrams.svg.figure import card
from mt_diagrams.svg.image import image
from mt_diagrams.svg.marks import extent_of, number
from mt_diagrams.svg.render import marks_of

MARGIN = 12
WIDEST = 1000  # pixels: a wide row of cells is not blown up past this

_chalk_svg = BaseDiagram._repr_svg_


def html_of(diagram: BaseDiagram) -> str:
    """A bare chalk diagram as an image in HTML."""
    try:
        return image(svg_of(diagram), _in_words(diagram))
    except NotImplementedError:
        return _chalk_svg(diagram)  # an image or LaTeX: only chalk can draw it


def svg_of(diagram: BaseDiagram) -> str:
    """A bare chalk diagram on its card, as high as ``chalk.set_svg_height`` says.

    Raises:
        NotImplementedError: for an image or LaTeX, which have no place in a flat drawing.
    """
    height = chalk.core.SVG_HEIGHT
    marks = marks_of(diagram, chalk.core.SVG_DRAW_HEIGHT or height)
    left, top, right, bottom = extent_of(marks, lines=False)
    scale = min(
        (height - 2 * MARGIN) / max(bottom - top, 1e-9), (WIDEST - 2 * MARGIN) / (right - left or 1)
    )
    title = describe(diagram)[1:-1]
    return card([mark.moved(scale, 0, 0) for mark in marks], title, _in_words(diagram), MARGIN)


def _in_words(diagram: BaseDiagram) -> str:
    return f"{describe(diagram)[1:-1]}, in cells."


def describe(diagram: BaseDiagram) -> str:
    """A short text for a diagram that is the same every time: its size, in cells.

    >>> from chalk import rectangle
    >>> describe(rectangle(2, 1))
    '<Diagram: 2 wide, 1 high>'
    """
    envelope = diagram.get_envelope()
    if envelope.is_empty:
        return "<Diagram: empty>"
    return f"<Diagram: {number(envelope.width)} wide, {number(envelope.height)} high>"


def install() -> None:
    """Replace ``_repr_html_`` and ``__repr__``, and take ``_repr_svg_`` away."""
    BaseDiagram._repr_html_ = html_of
    BaseDiagram._repr_svg_ = None
    for kind in (BaseDiagram, *BaseDiagram.__subclasses__()):
        kind.__repr__ = describe  # each is a dataclass, with a __repr__ of its own

"""Text that knows how much room it takes.

chalk's own text has no extent, so nothing can be laid out around it.  A :class:`Label` measures
itself with the widths of Helvetica, which Arial and Liberation Sans share: these are the fonts
named in the SVG.  Elsewhere a little slack keeps it from touching its neighbours.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from chalk.core import Primitive
from chalk.shapes import Shape, Text
from chalk.transform import P2, BoundingBox
from chalk.types import Diagram
from colour import Color

from mt_diagrams.svg.theme import INK, SMALL

FAMILIES = {
    "sans": "Helvetica, Arial, Liberation Sans, sans-serif",
    "mono": "Menlo, DejaVu Sans Mono, Consolas, monospace",
}

# Helvetica's advance widths for the printable ASCII characters, in thousandths of the type size.
_ASCII = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 "
    "556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 "
    "722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 "
    "556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 "
    "260 334 584"
)
_WIDTHS = {chr(32 + i): int(w) / 1000 for i, w in enumerate(_ASCII.split())}
_WIDTHS |= {"·": 0.333, "×": 0.584, "…": 1.0, "→": 1.0, "←": 1.0, "ᵀ": 0.6, "Σ": 0.62}
_MONO = 0.602
_BOLD = 1.08


def width_of(text: str, size: float, family: str = "sans", bold: bool = False) -> float:
    """The width of ``text`` set at ``size``, in the same unit as ``size``.

    >>> width_of("0000", 1.0)
    2.224
    """
    total = 0.0
    for char in text:
        if unicodedata.combining(char):
            continue
        if family == "mono":
            total += _MONO * (2 if unicodedata.east_asian_width(char) in "WF" else 1)
        else:
            total += _WIDTHS.get(char, 1.0 if ord(char) > 0x2FF else 0.7)
    return round(total * size * (_BOLD if bold else 1.0), 6)


@dataclass
class Label(Shape):
    """A line of text as a chalk shape, centred on its origin, with a true extent."""

    text: str
    font_size: float
    family: str = "sans"
    bold: bool = False

    def get_bounding_box(self) -> BoundingBox:
        width = width_of(self.text, self.font_size, self.family, self.bold)
        half = P2(width / 2, 0.6 * self.font_size)
        return BoundingBox([P2(-half.x, -half.y), half])

    def accept(self, visitor, **kwargs):
        visit = getattr(visitor, "visit_label", None)
        if visit is None:  # one of chalk's own backends: it knows plain text only
            return visitor.visit_text(Text(self.text, self.font_size), **kwargs)
        return visit(self, **kwargs)


def label(
    text: str,
    size: float = SMALL,
    color: Color = INK,
    family: str = "sans",
    bold: bool = False,
) -> Diagram:
    """A line of text, centred on its origin.

    >>> round(label("(2, 4)", 1.0).get_envelope().width, 3)
    2.334
    """
    return Primitive.from_shape(Label(text, size, family, bold)).fill_color(color)

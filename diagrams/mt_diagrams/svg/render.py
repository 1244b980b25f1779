"""From a chalk diagram to marks, flat: every transformation multiplied out, every style resolved.

chalk's own SVG nests a group for every step of the composition, and has no ``viewBox``.
"""

from __future__ import annotations

import math

from chalk.shapes import ArcSegment
from chalk.style import Style, WidthType
from chalk.transform import Affine
from chalk.types import Diagram
from chalk.visitor import DiagramVisitor, ShapeVisitor

from mt_diagrams.svg.lettering import FAMILIES, width_of
from mt_diagrams.svg.marks import Mark, PathMark, Step, TextMark, joined, number
from mt_diagrams.svg.theme import INK, LINE

_HEAD = 0.01 * 15 / 500  # chalk's size of an arrow head and ...
_WIDTH = 15 / 500  # ... of a line, for an output of one pixel
NORMAL = LINE / (0.1 * _WIDTH)  # the output size at which chalk's default line is ours


class _Marks(DiagramVisitor, ShapeVisitor):
    """Walks a diagram and collects its marks, at one pixel to a unit."""

    def __init__(self, output_size: float):
        self.output_size = output_size
        self.marks: list[Mark] = []

    # What a diagram is made of: the affine map and the style so far are handed down.

    def visit_primitive(self, diagram, args) -> None:
        transform, style = args
        style = diagram.style.merge(style)
        diagram.shape.accept(self, transform=transform * diagram.transform, style=style)

    def visit_empty(self, diagram, args) -> None:
        pass

    def visit_compose(self, diagram, args) -> None:
        for part in diagram.diagrams:
            part.accept(self, args)

    def visit_apply_transform(self, diagram, args) -> None:
        transform, style = args
        diagram.diagram.accept(self, (transform * diagram.transform, style))

    def visit_apply_style(self, diagram, args) -> None:
        transform, style = args
        diagram.diagram.accept(self, (transform, diagram.style.merge(style)))

    # Shapes.

    def visit_path(self, shape, transform: Affine, style: Style) -> None:
        steps: list[Step] = []
        for trail in shape.loc_trails:
            start = at = trail.location
            steps.append(("M", *(transform * at)))
            for segment in trail.trail.segments:
                if isinstance(segment, ArcSegment):
                    steps += _curves(segment, at, transform)
                else:
                    steps.append(("L", *(transform * (at + segment.q))))
                at = at + segment.q
            if trail.trail.closed:
                if steps[-1][0] == "L" and math.dist(at, start) < 1e-9:
                    steps.pop()  # "z" draws it
                steps.append(("Z",))
        if len(steps) > len(shape.loc_trails):
            closed = shape.loc_trails[0].trail.closed  # chalk fills no open path
            attributes, width = self._stroke_and_fill(style, closed)
            self.marks.append(PathMark(attributes, steps, width))

    def visit_arrowhead(self, shape, transform: Affine, style: Style) -> None:
        size = _HEAD * self.output_size
        shape.arrow_shape.scale(size).accept(self, (transform, style))

    def visit_spacer(self, shape, transform: Affine, style: Style) -> None:
        pass

    def visit_label(self, shape, transform: Affine, style: Style) -> None:
        self._text(shape.text, shape.font_size, shape.family, shape.bold, transform, style)

    def visit_text(self, shape, transform: Affine, style: Style) -> None:
        self._text(shape.text, shape.font_size, "sans", False, transform, style)

    def _text(self, text, size, family, bold, transform: Affine, style: Style) -> None:
        a, b, x, d, e, y = transform[:6]
        color = INK if style.fill_color_ is None else style.fill_color_
        attributes = [("fill", _hex(color))]
        if family != "sans":
            attributes.append(("font-family", FAMILIES[family]))
        if bold:
            attributes.append(("font-weight", "bold"))
        scale = math.sqrt(abs(a * e - b * d))
        angle = math.degrees(math.atan2(d, a))
        width = width_of(text, 1.0, family, bold)
        size = (size if size is not None else 1.0) * scale
        self.marks.append(TextMark(tuple(attributes), text, x, y, size, angle, width))

    def _stroke_and_fill(self, style: Style, closed: bool):
        kind, width = style.line_width_ or (WidthType.NORMALIZED, 0.1)
        if kind is WidthType.NORMALIZED:
            width *= self.output_size * _WIDTH
        fill = "#fff" if style.fill_color_ is None else _hex(style.fill_color_)
        attributes = [("fill", fill if closed else "none")]
        if closed and style.fill_opacity_ is not None:
            attributes.append(("fill-opacity", number(style.fill_opacity_)))
        if width > 0:
            color = INK if style.line_color_ is None else style.line_color_
            attributes += [("stroke", _hex(color)), ("stroke-width", number(width))]
            if style.dashing_ is not None:
                attributes.append(("stroke-dasharray", joined(style.dashing_[0])))
        return tuple(attributes), width


def _hex(color) -> str:
    """A colour as short as SVG takes it.

    >>> from colour import Color
    >>> _hex(Color("white")), _hex(Color("#ff9700"))
    ('#fff', '#ff9700')
    """
    return color.hex.lower() if color.hex.startswith("#") else color.hex_l


def _curves(segment: ArcSegment, at, transform: Affine) -> list[Step]:
    """An arc of an ellipse as cubic curves, which unlike SVG's arcs bear any affine map."""
    pieces = max(1, math.ceil(abs(segment.dangle) / 90 - 1e-9))
    step = math.radians(segment.dangle) / pieces
    pull = 4 / 3 * math.tan(step / 4)
    angle = math.radians(segment.angle)
    place = transform * Affine.translation(at) * segment.t
    out = []
    for _ in range(pieces):
        c0, s0 = math.cos(angle), math.sin(angle)
        c1, s1 = math.cos(angle + step), math.sin(angle + step)
        controls = [(c0 - pull * s0, s0 + pull * c0), (c1 + pull * s1, s1 - pull * c1), (c1, s1)]
        out.append(("C", *(v for point in controls for v in place * point)))
        angle += step
    return out


def marks_of(diagram: Diagram, output_size: float = NORMAL) -> list[Mark]:
    """Everything ``diagram`` draws, in order, at one pixel to a unit.

    Args:
        diagram: a chalk diagram.
        output_size: what chalk scales its default lines and arrow heads with, in pixels.

    Raises:
        NotImplementedError: for an image or LaTeX, which have no place in a flat drawing.
    """
    visitor = _Marks(output_size)
    diagram.accept(visitor, (Affine.identity(), Style.root(output_size)))
    return visitor.marks

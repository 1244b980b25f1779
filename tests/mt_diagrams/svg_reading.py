"""Read a figure back: its elements, its coordinates, its texts.  Fails on SVG it cannot read."""

import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from dataclasses import dataclass

from mt_diagrams.svg.figure import WIDEST
from mt_diagrams.svg.lettering import width_of

NS = "{http://www.w3.org/2000/svg}"


@dataclass
class Subpath:
    points: list[tuple[float, float]]
    closed: bool
    fill: str
    stroke: str | None
    width: float


@dataclass
class Text:
    text: str
    x: float
    y: float
    size: float

    @property
    def half(self) -> float:
        return width_of(self.text, self.size) / 2


def pictures(html):
    """The SVG of each image in a page."""
    found = re.findall(r'<img [^>]*src="data:image/svg\+xml;base64,([^"]+)"', html)
    return [b64decode(data).decode("utf-8") for data in found]


def shown(thing):
    """The one picture in what a notebook stores of a thing."""
    (svg,) = pictures(thing._repr_html_())
    return svg


class Svg:
    """A parsed figure."""

    def __init__(self, source: str):
        self.root = ET.fromstring(source)
        assert self.root.tag == NS + "svg"
        x, y, self.width, self.height = map(float, self.root.get("viewBox").split())
        assert (x, y) == (0, 0)
        shown = float(self.root.get("width"))
        assert shown == min(self.width, WIDEST)
        assert abs(float(self.root.get("height")) - shown * self.height / self.width) < 0.02
        self.title = self.root.findtext(NS + "title")
        self.desc = self.root.findtext(NS + "desc")
        self.subpaths: list[Subpath] = []
        self.texts: list[Text] = []
        self._walk(self.root, {})

    def _walk(self, element, inherited):
        attributes = inherited | element.attrib
        if element.tag == NS + "path":
            for points, closed in read_path(attributes["d"]):
                stroke = attributes.get("stroke")
                width = float(attributes.get("stroke-width", 0)) if stroke else 0.0
                self.subpaths.append(Subpath(points, closed, attributes["fill"], stroke, width))
        elif element.tag == NS + "text":
            self.texts.append(
                Text(
                    element.text,
                    *(float(attributes[name]) for name in ("x", "y", "font-size")),
                )
            )
        else:
            assert element.tag in {NS + name for name in ("svg", "title", "desc", "rect", "g")}
        for child in element:
            self._walk(child, attributes)

    @property
    def cells(self) -> list[Subpath]:
        """Closed outlines with an edge: the cells, and the ground of an elided face."""
        return [path for path in self.subpaths if path.closed and path.stroke]

    def words(self) -> list[str]:
        return [text.text for text in self.texts]

    def assert_inside(self):
        """Nothing is drawn outside the viewBox, and nothing touches its edge."""
        for path in self.subpaths:
            for x, y in path.points:
                half = path.width / 2
                assert half < x < self.width - half, (path, self.width)
                assert half < y < self.height - half, (path, self.height)
        for text in self.texts:
            assert text.x - text.half > 0, text
            assert text.x + text.half < self.width, text
            assert text.y - 0.8 * text.size > 0, text
            assert text.y + 0.3 * text.size < self.height, text

    def assert_plain(self):
        """Presentation attributes only, and nothing that could clash with a second figure."""
        for element in self.root.iter():
            assert element.tag not in {NS + "style", NS + "script"}
            assert not {"style", "class", "id"} & set(element.attrib)


def read_path(data: str):
    """Each subpath of a ``d`` attribute, as absolute points and whether it is closed."""
    subpaths, points = [], []
    for command, text in re.findall(r"([Mlhvcz])([^Mlhvcz]*)", data):
        values = [float(v) for v in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        if command == "M":
            points = [tuple(values)]
            subpaths.append([points, False])
            continue
        x, y = points[-1]
        if command == "l":
            points += [(x + values[0], y + values[1])]
            assert len(values) == 2
        elif command == "h":
            points += [(x + values[0], y)]
        elif command == "v":
            points += [(x, y + values[0])]
        elif command == "c":
            assert len(values) == 6
            points += [(x + values[n], y + values[n + 1]) for n in (0, 2, 4)]
        else:
            subpaths[-1][1] = True
    assert re.sub(r"[Mlhvcz\d.\- ]", "", data) == ""
    return [(points, closed) for points, closed in subpaths]

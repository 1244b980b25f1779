"""Bare chalk diagrams in a notebook."""

import html
import re

import chalk
import pytest
from mt_diagrams import Figure
from mt_diagrams.tensor_draw import matrix

from .svg_reading import Svg, shown


def everything():
    return [
        chalk.empty(),
        chalk.circle(1),
        chalk.circle(1).fill_color(chalk.shapes.arrowheads.black).rotate(20).shear_x(0.4),
        chalk.text('<b> & "quotes"', 0.5),
        chalk.hcat([matrix(2, 3), chalk.square(1)], 1).named("x"),
        chalk.rectangle(4, 1, 0.3).line_width_local(3).dashing([2, 1], 0),
        chalk.arc_between((0, 0), (2, 0), 0.5),
        matrix(1, 2, "a").connect(("a", 0, 0), ("a", 0, 1)),
    ]


@pytest.mark.parametrize("n", range(len(everything())))
def test_every_kind_of_diagram_shows(n):
    diagram = everything()[n]
    svg = Svg(shown(diagram))
    svg.assert_inside()
    svg.assert_plain()
    assert svg.title
    assert svg.desc
    assert repr(diagram).startswith("<Diagram: ")


@pytest.mark.parametrize("thing", [matrix(2, 3), Figure(matrix(2, 3), "a & b", 'says "c"\n<d>')])
def test_a_notebook_gets_one_image_with_its_words_and_a_short_text(thing):
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(thing)
    assert set(data) == {"text/plain", "text/html"}  # no SVG: it would be there twice
    assert data["text/plain"] == repr(thing)
    (tag,) = re.findall("<[^>]+>", data["text/html"])
    svg = Svg(shown(thing))
    alt = re.search('alt="([^"]+)"', tag)[1]
    assert html.unescape(alt) in ("Diagram: 3 wide, 2 high, in cells.", 'a & b. says "c" <d>')
    for side, length in (("width", svg.width), ("height", svg.height)):
        assert f' {side}="{round(length)}"' in tag
    assert 'style="max-width:100%;height:auto"' in tag


def test_text_in_a_diagram_is_written_not_parsed():
    svg = Svg(shown(chalk.text("<script>alert('&')</script>", 0.5)))
    assert svg.words() == ["<script>alert('&')</script>"]


def test_a_wide_row_is_not_blown_up():
    assert Svg(shown(matrix(1, 12))).width <= 1001


def test_chalk_can_still_render_by_itself(tmp_path):
    matrix(40, 2).render_svg(str(tmp_path / "a.svg"))
    assert "(40, 2)" in (tmp_path / "a.svg").read_text()

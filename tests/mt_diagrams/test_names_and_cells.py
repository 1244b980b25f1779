"""matrix, tensor, t and their kin: cells, names, colours, elision."""

import re
import time

import chalk
import numpy as np
import pytest
from colour import Color
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import Figure, drawing
from mt_diagrams.pieces.elide import axis
from mt_diagrams.svg.display import svg_of
from mt_diagrams.tensor_draw import (
    color,
    draw_equation,
    left_arrow,
    matrix,
    right_arrow,
    t,
    tensor,
    tensor_to_diagram,
)

from .svg_reading import Svg

sizes = st.integers(1, 30) | st.sampled_from([12, 13, 4096])


def shown(size):
    return size if size <= 12 else 6


@settings(max_examples=25)
@given(sizes, sizes)
def test_matrix_draws_every_cell_or_elides(rows, cols):
    svg = Svg(svg_of(matrix(rows, cols)))
    elided = rows > 12 or cols > 12
    assert len(svg.cells) == shown(rows) * shown(cols) + elided  # the ground, when elided
    assert svg.words() == ([f"({rows}, {cols})"] if elided else [])
    svg.assert_inside()
    svg.assert_plain()


@settings(max_examples=25)
@given(sizes, sizes, sizes)
def test_tensor_draws_only_its_three_faces(depth, rows, cols):
    svg = Svg(svg_of(tensor(0.6, depth, rows, cols)))
    d, r, c = map(shown, (depth, rows, cols))
    pairs = [(depth, rows), (depth, cols), (rows, cols)]
    grounds = sum(a > 12 or b > 12 for a, b in pairs)
    assert len(svg.cells) == d * r + d * c + r * c + grounds
    assert svg.words() == ([f"({depth}, {rows}, {cols})"] if grounds else [])
    svg.assert_inside()


@given(st.integers(1, 10_000), st.integers(4, 14), st.data())
def test_an_axis_shows_its_ends_and_what_must_be_kept(size, limit, data):
    kept = data.draw(st.integers(0, size - 1))
    laid = axis(size, limit, (kept,))
    indices = [i for _, i in laid.shown]
    assert indices == sorted(set(indices))
    assert {0, kept, size - 1} <= set(indices)
    assert laid.elided == (len(indices) < size)
    if size <= limit:
        assert indices == list(range(size))
    assert len(laid) <= max(limit, 10)
    for gap in laid.gaps:  # a gap stands for at least two indices
        assert laid.slots[gap + 1] - laid.slots[gap - 1] > 2


def test_large_is_as_fast_and_as_small_as_small():
    def best(make):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            svg_of(make())
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(lambda: matrix(4096, 4096)) < 0.2
    assert best(lambda: tensor(0.5, 4096, 4096, 4096)) < 0.3
    assert len(svg_of(matrix(4096, 4096))) < 4_000
    assert len(svg_of(tensor(0.5, 4096, 4096, 4096))) < 10_000


def test_colormap_paints_the_cell_it_names():
    drawn = matrix(
        2, 3, colormap=lambda i, j: drawing.papaya if (i, j) == (1, 2) else drawing.white
    )
    svg = Svg(svg_of(drawn))
    (orange,) = [cell for cell in svg.cells if cell.fill == "#ff9700"]
    whites = [cell for cell in svg.cells if cell.fill == "#fff"]
    assert len(whites) == 5
    corner = max(x + y for cell in whites for x, y in cell.points)
    assert max(x + y for x, y in orange.points) > corner  # bottom right


def test_colormap_of_a_tensor_takes_depth_row_column():
    seen = set()

    def mark(d, i, j):
        seen.add((d, i, j))
        return drawing.aqua if (d, i, j) == (0, 1, 2) else drawing.white

    svg = Svg(svg_of(tensor(0.75, 2, 3, 3, colormap=mark)))
    assert len([c for c in svg.cells if c.fill == "#69bac9"]) == 2  # its front and its right side
    assert (1, 0, 0) in seen
    assert (1, 1, 1) not in seen  # hidden: neither front, top nor right


def test_cells_are_named_where_they_are_drawn():
    d = matrix(2, 3, "a")
    here = {(i, j): d.get_subdiagram(("a", i, j)).get_location() for i in (0, 1) for j in range(3)}
    assert here[0, 0] == (-1, -0.5)
    assert here[1, 2] == (1, 0.5)
    cube = tensor(0.5, 2, 3, 3, "t")
    front = cube.get_subdiagram(("t", 0, 2, 0)).get_location()
    assert front == (-2.5, 2.5)
    assert cube.get_subdiagram(("t", 1, 2, 2)) is not None


def test_connect_draws_an_arrow_for_each_pair():
    d = matrix(2, 3, "a")
    before = len(Svg(svg_of(d)).subpaths)
    joined = drawing.connect(d, [("a", 0, 0), ("a", 1, 1)], [("a", 0, 2), ("a", 1, 2)])
    assert len(Svg(svg_of(joined)).subpaths) == before + 4  # a shaft and a head each
    with pytest.raises(LookupError, match=r"connect: no cell is named \('a', 7, 0\)"):
        drawing.connect(d, [("a", 7, 0), ("a", 0, 0)])


def test_chalk_connects_and_styles_what_we_draw():
    opts = chalk.ArrowOpts(head_arrow=chalk.empty(), arc_height=0.5)
    d = chalk.hcat([matrix(3, 1, "a"), matrix(1, 2, "b"), right_arrow, matrix(3, 2, "c")], 1)
    d = d.connect(("a", 0, 0), ("c", 0, 0), opts).connect_outside(("b", 0, 1), ("c", 1, 1))
    d = d.connect_perim(("a", 2, 0), ("c", 2, 0), chalk.unit_x, -chalk.unit_x)
    Svg(svg_of(d)).assert_inside()

    boxes = matrix(3, 2).line_color(drawing.papaya).align_t().align_l()
    strokes = {cell.stroke for cell in Svg(svg_of(boxes)).cells}
    assert strokes == {"#ff9700"}


def test_tensors_that_share_a_size_lie_on_one_another():
    base = t(3, 4, 5, highlight=True)
    for part in (t(1, 4, 5), t(3, 1, 5), t(3, 4, 1)):
        both = base + part
        assert both.get_envelope().width == base.get_envelope().width
        assert both.get_envelope().height == base.get_envelope().height


def test_draw_equation_puts_an_arrow_for_none():
    plain = Svg(svg_of(draw_equation([matrix(2, 4), matrix(4, 3)])))
    arrow = Svg(svg_of(draw_equation([matrix(2, 4), None, matrix(4, 3)])))
    assert len(arrow.subpaths) == len(plain.subpaths) + 2
    assert len(arrow.cells) == 8 + 12


def test_arrows_point_their_way():
    for arrow, sign in ((right_arrow, 1), (left_arrow, -1)):
        svg = Svg(svg_of(arrow))
        shaft = next(p for p in svg.subpaths if not p.closed)
        assert (shaft.points[-1][0] - shaft.points[0][0]) * sign > 0


def test_color_runs_from_aqua_to_papaya():
    shade = color(2, 2)
    assert shade(0, 0).hex_l == "#69bac9"
    assert shade(1, 1).hex_l == "#ff9700"
    assert len({shade(i, j).hex_l for i in (0, 1) for j in (0, 1)}) == 4
    assert color(1, 1)(0, 0).hex_l == "#69bac9"


@pytest.mark.parametrize(
    ("shape", "size"), [((), (1, 1)), ((3,), (3, 1)), ((2, 4), (4, 2)), ((2, 4, 3), (4, 5))]
)
def test_tensor_to_diagram_takes_anything_with_a_shape(shape, size):
    for thing in (np.zeros(shape), shape):
        envelope = tensor_to_diagram(thing).get_envelope()
        assert (round(envelope.width, 6), round(envelope.height, 6)) == size


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: matrix(-2, 3), r"matrix: \(-2, 3\): dimension 0 is -2, must be at least 0"),
        (lambda: tensor(0.5, 2, 3, -1), r"tensor: \(2, 3, -1\): dimension 2 is -1"),
        (lambda: color(0, 1), r"color: \(0, 1\): dimension 0"),
        (lambda: tensor_to_diagram((1, 2, 3, 4)), r"\(1, 2, 3, 4\): at most 3 dimensions"),
    ],
)
def test_a_bad_shape_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_matrix_without_cells_is_an_outline_with_its_shape():
    svg = svg_of(matrix(0, 3))
    assert "stroke-dasharray" in svg
    assert "(0, 3)" in svg


@pytest.mark.parametrize("red", ["red", "#f00", "#ff0000", Color("red"), ("red", Color("#f00"))])
def test_a_colormap_gives_what_a_color_takes(red):
    """A name, a number or a Color; or two of them, for a cell split in two."""
    for drawn in (matrix(2, 3, colormap=lambda *_: red), tensor(0.5, 2, 4, 3, "", lambda *_: red)):
        assert 'fill="#f00"' in Figure(drawn, "a", "b").svg


@pytest.mark.parametrize(
    "wrong", ["reddish", "#ff", "", None, 3, (1.0, 0.0, 0.0), ("red",), ("red", "reddish"), ["red"]]
)
def test_a_colormap_that_gives_no_colour_is_named(wrong):
    def warm(*index):
        return wrong if index[-2:] == (1, 2) else "red"

    says = (
        rf"^colormap warm: gives {re.escape(repr(wrong))} for cell \(.*1, 2\), which is no colour"
    )
    for draw in (lambda: matrix(2, 3, "", warm), lambda: tensor(0.5, 2, 4, 3, "", warm)):
        with pytest.raises(ValueError, match=says):
            draw()

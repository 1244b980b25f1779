"""image_map, image_zip, image_reduce and image_broadcast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import image_broadcast, image_map, image_reduce, image_zip
from mt_diagrams.pieces.shapes import common_shape
from mt_diagrams.svg.roles import FIRST, RESULT, SECOND

from .svg_reading import Svg

size = st.integers(0, 8) | st.sampled_from([256, 4096])
shapes = st.lists(size, max_size=3).map(tuple)


@st.composite
def pairs(draw):
    """Two shapes that broadcast."""
    out = draw(shapes)
    both = []
    for _ in range(2):
        kept = out[draw(st.integers(0, len(out))) :]
        both.append(tuple(1 if draw(st.booleans()) else n for n in kept))
    return both


def check(figure, *stated):
    svg = Svg(figure.svg)
    svg.assert_inside()
    svg.assert_plain()
    assert len(figure.svg) < 40_000
    for shape in stated:
        assert any(str(shape) in word for word in svg.words()), shape
    return svg


@settings(max_examples=30)
@given(pairs())
def test_any_pair_is_zipped_and_stretched(pair):
    a, b = pair
    out = common_shape("f", a, b)
    assert out == np.broadcast_shapes(a, b)
    check(image_zip(a, b), f"a {a}", f"b {b}", f"out {out}")
    svg = check(image_broadcast(a, b), f"a {a}", f"b {b}", out)
    padded = [(1,) * (len(out) - len(shape)) + shape for shape in (a, b)]
    repeats = sum(n != m for shape in padded for n, m in zip(shape, out, strict=True))
    assert svg.words().count("stride 0") == repeats


@settings(max_examples=30)
@given(shapes.filter(len), st.data())
def test_any_tensor_is_mapped_and_reduced(shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    d = dim % len(shape)
    out = (*shape[:d], *shape[d + 1 :])
    svg = check(image_reduce(shape, dim), f"a {shape}", f"out {out}", f"dim {d}: {shape[d]}")
    assert f"along dim {d}" in svg.title
    check(image_map(shape, name="exp"), f"a {shape}", f"out {shape}")


def test_the_elements_that_meet_are_coloured_and_named():
    svg = Svg(image_zip((2, 1), (2, 3), at=(1, 2)).svg)
    assert "out[1, 2] = a[1, 0] × b[1, 2]" in svg.words()
    fills = [cell.fill for cell in svg.cells]
    assert [fills.count(role.fill.hex) for role in (FIRST, SECOND, RESULT)] == [2, 2, 2]
    svg = Svg(image_reduce((2, 4), 1, at=(1, 0)).svg)
    assert "out[1] = Σ a[1, :]" in svg.words()
    fills = [cell.fill for cell in svg.cells]
    assert [fills.count(role.fill.hex) for role in (FIRST, RESULT)] == [4 + 1, 1 + 1]  # legend too
    svg = Svg(image_map((2, 3), name="exp", at=(1, 1)).svg)
    assert "out[1, 1] = exp(a[1, 1])" in svg.words()


def test_a_result_is_drawn_in_its_own_shape():
    """(2, 4, 3) reduced along the middle is a matrix of six cells, and no box."""
    svg = Svg(image_reduce((2, 4, 3), 1).svg)
    assert len(svg.cells) == (2 * 4 + 2 * 3 + 4 * 3) + 2 * 3 + 2  # three faces, cells, the legend


def test_values_are_the_real_ones():
    a, b = np.array([[1.0, 2.0], [np.nan, 4.0]]), np.array([10.0, 0.5])
    words = Svg(image_zip(a, b, values=True).svg).words()
    assert [w for w in words if w in ("10", "1", "nan")].count("nan") == 2
    assert {"10", "1", "2"} <= set(words)
    words = Svg(image_zip(a, b, np.add, name="+", values=True).svg).words()
    assert {"11", "2.50", "4.50"} <= set(words)
    words = Svg(image_reduce(a, 0, np.max, name="max", values=True).svg).words()
    assert {"nan", "4"} <= set(words)
    assert "out[0] = max of a[:, 0]" in words
    words = Svg(image_map(a, np.negative, name="−", values=True).svg).words()
    assert {"-1", "-4", "nan"} <= set(words)


def test_what_is_stored_is_in_full_colour_and_the_rest_pale():
    svg = Svg(image_broadcast((4, 1), (1, 3)).svg)
    fills = [cell.fill for cell in svg.cells]
    for role, stored, copies in ((FIRST, 4 + 4, 8), (SECOND, 3 + 3, 9)):
        assert (fills.count(role.fill.hex), fills.count(role.tint.hex)) == (stored + 1, copies)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: image_zip((2, 4), (3, 5)), ValueError, r"image_zip: \(2, 4\) and \(3, 5\) do not"),
        (lambda: image_broadcast((2,), (3,)), ValueError, "sizes 2 and 3 in dimension -1 differ"),
        (lambda: image_broadcast((1,) * 4, ()), ValueError, "at most 3 can be drawn"),
        (lambda: image_map((1,) * 4), ValueError, r"image_map: \(1, 1, 1, 1\) has 4 dimensions"),
        (lambda: image_map((-1,)), ValueError, r"image_map: \(-1,\): dimension 0 is -1"),
        (lambda: image_map((2,), at=(2,)), IndexError, r"image_map: cell \(2,\) is outside \(2,\)"),
        (lambda: image_map((2,), np.exp, values=True), TypeError, "operands that hold numbers"),
        (lambda: image_map(np.ones(2), values=True), TypeError, "needs the function"),
        (lambda: image_reduce((2, 3), 2), ValueError, r"dim 2 is out of range for shape \(2, 3\)"),
        (lambda: image_reduce((), 0), ValueError, r"dim 0 is out of range for shape \(\)"),
        (lambda: image_zip((2,), (2,), values=True), TypeError, "operands that hold numbers"),
        (
            lambda: image_map(np.ones(2) * 1j, np.abs, values=True),
            TypeError,
            "image_map: complex128 values are complex, and only real ones are drawn",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)])
def test_an_empty_tensor_is_an_outline_with_its_shape(shape):
    for figure in (image_map(shape), image_reduce(shape, 0), image_zip(shape, ())):
        svg = Svg(figure.svg)
        svg.assert_inside()
        assert any(str(shape) in word for word in svg.words())
        assert "stroke-dasharray" in figure.svg


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"a\" & 'b'", "ψ(Σ 行列)"])
def test_names_of_all_kinds_are_written_not_parsed(name):
    svg = check(image_map((2, 3), name=name), (2, 3))
    assert f"map {name}" in svg.words()
    svg = check(image_zip((2, 3), (3,), name=name), (2, 3))
    assert name in svg.words()
    assert f"reduce {name}" in check(image_reduce((2, 3), 0, name=name), (2, 3)).words()

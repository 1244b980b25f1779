"""Stacks of matrices, and products in which there is nothing to multiply."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import (
    image_loop_nest,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
)

from .products import ALL
from .svg_reading import Svg

size = st.integers(1, 5) | st.sampled_from([300])


@settings(max_examples=15)
@given(size, size, size, st.integers(2, 9), st.sampled_from(["both", "left", "right", "one"]))
def test_stacks_are_drawn_and_stated(m, k, n, count, which):
    left = (m, k) if which == "right" else (count, m, k)
    right = {"left": (k, n), "one": (1, k, n)}.get(which, (count, k, n))
    out = np.matmul(np.broadcast_to(0.0, left), np.broadcast_to(0.0, right)).shape
    for draw in ALL:
        figure = draw(left, right)
        svg = Svg(figure.svg)
        svg.assert_inside()
        svg.assert_plain()
        assert len(figure.svg) < 40_000
        assert str(left) in svg.title
        assert str(right) in svg.title
    assert f"M @ N {out}" in Svg(image_matmul_simple(left, right).svg).words()
    assert str((count, m, k, n)) in Svg(image_matmul_full(left, right).svg).words()


def test_a_stack_lies_behind_and_says_how_many():
    one, five = Svg(image_matmul_simple().svg), Svg(image_matmul_simple((5, 2, 4), (4, 3)).svg)
    sheets = len(five.cells) - len(one.cells)
    assert sheets == 2 * 2  # behind M and behind the result; N is one matrix
    words = five.words()
    assert (words.count("a stack of 5"), words.count("shared by all 5")) == (2, 1)


def test_the_loops_of_a_stack_have_one_more_around_them():
    words = Svg(image_loop_nest((5, 2, 4), (4, 3)).svg).words()
    assert {"for b in range(5):", "total += M[b, i, k] * N[k, j]", "out[b, i, j] = total"} <= {
        *words
    }
    assert (
        "total = M[0,0,0]·N[0,0,0] + M[0,0,1]·N[0,1,0]"
        in Svg(image_loop_nest((5, 2, 4), (5, 4, 3)).svg).words()
    )
    assert "total += M[0, i, k] * N[k, j]" in Svg(image_loop_nest((1, 2, 4), (4, 3)).svg).words()


def test_the_gradient_of_what_a_stack_shares_adds_up_over_it():
    words = Svg(image_matmul_backward((5, 2, 4), (4, 3)).svg).words()
    assert words.count("then summed over the stack of 5") == 1  # that of N


def test_values_of_a_stack_are_those_of_its_first_matrix():
    a = np.arange(16.0).reshape(2, 2, 4)
    words = Svg(image_matmul_simple(a, np.ones((4, 1)), values=True).svg).words()
    assert {"6", "22"} <= set(words)
    assert "38" not in words


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize(("a", "b"), [((2, 0), (0, 3)), ((0, 4), (4, 3)), ((0, 2, 4), (4, 3))])
def test_an_empty_product_is_outlines_and_its_shape(draw, a, b):
    svg = Svg(draw(a, b).svg)
    svg.assert_inside()
    svg.assert_plain()
    out = (*a[:-2], a[-2], b[-1])
    assert f"M @ N {out}" in svg.words()
    assert ("all 0: nothing is summed" in svg.words()) == (0 not in out)

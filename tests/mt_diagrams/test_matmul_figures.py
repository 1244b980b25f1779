"""The figures of a matrix multiplication tell the truth about their operands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import (
    image_loop_nest,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
    image_rows_meet_columns,
)
from mt_diagrams.pieces.elide import axis
from mt_diagrams.svg.roles import FIRST, GRADIENT, INTERMEDIATE, RESULT, SECOND

from .products import ALL
from .svg_reading import Svg

size = st.integers(1, 14) | st.sampled_from([256, 4096])


class Tensorish:
    """Anything with a shape."""

    def __init__(self, *shape):
        self.shape = shape


@settings(max_examples=20)
@given(size, size, size)
def test_every_figure_is_sound_and_states_the_true_shapes(m, k, n):
    a, b = Tensorish(m, k), np.broadcast_to(0.0, (k, n))
    for draw in ALL:
        figure = draw(a, b)
        svg = Svg(figure.svg)
        svg.assert_inside()
        svg.assert_plain()
        assert str((m, k)) in svg.title
        assert str((k, n)) in svg.title
        assert svg.title == repr(figure)[len("<Figure: ") : -1]
        assert len(svg.desc) > 60
        assert len(figure.svg) < 40_000
        assert draw((m, k), (k, n)).svg == figure.svg
    assert Svg(image_matmul_simple(a, b).svg).words().count(f"M @ N {(m, n)}") == 1
    words = Svg(image_matmul_full(a, b).svg).words()
    assert str((m, k, n)) in words
    assert str((m, 1, n)) in words
    assert f"{m * k * n:,} element" + ("s" if m * k * n > 1 else "") in words
    assert words.count("n: stride 0") == (n > 1)  # a dimension of one is not stretched
    words = Svg(image_matmul_backward(a, b).svg).words()
    assert {f"dM {(m, k)}", f"Nᵀ {(n, k)}", f"d {(m, n)}", f"Mᵀ {(k, m)}", f"dN {(k, n)}"} <= {
        *words
    }
    assert {f"for i in range({m}):", f"for j in range({n}):", f"for k in range({k}):"} <= {
        *Svg(image_loop_nest(a, b).svg).words()
    }


def cells_of(svg, *roles):
    """The cells of the figure in the colour of each role; the first is the legend's sample."""
    return [[cell for cell in svg.cells if cell.fill == role.fill.hex][:-1] for role in roles]


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.data())
def test_simple_colours_one_row_one_column_and_one_cell(m, k, n, data):
    i, j = data.draw(st.integers(0, m - 1)), data.draw(st.integers(0, n - 1))
    svg = Svg(image_matmul_simple((m, k), (k, n), cell=(i, j)).svg)
    assert len(svg.cells) == m * k + k * n + m * n + 3
    row, column, (made,) = cells_of(svg, FIRST, SECOND, RESULT)
    assert (len(row), len(column)) == (k, k)
    tops = {round(min(y for _, y in cell.points)) for cell in (*row, made)}
    assert len(tops) <= 2  # one row of a, level with the cell of the result where rows are level
    assert len({round(min(x for x, _ in cell.points)) for cell in column}) == 1
    assert f"row {i} of M meets column {j} of N" in svg.words()


def test_simple_writes_the_real_values():
    a, b = np.array([[1.0, 2.5], [-3.0, 0.125]]), np.array([[4.0], [np.nan]])
    words = Svg(image_matmul_simple(a, b, values=True).svg).words()
    for value in ("1", "2.50", "-3", "0.12", "4", "nan"):
        assert value in words
    assert words.count("nan") == 1 + 2  # b's, and both cells of the result that it reaches
    words = Svg(image_matmul_simple(a, a, values=True).svg).words()
    assert [str(v) for v in ("-6.50", "-3.38")] == [w for w in words if w in ("-6.50", "-3.38")]
    with pytest.raises(TypeError, match=r"image_matmul_simple: values=True needs operands"):
        image_matmul_simple((2, 2), (2, 1), values=True)


def test_an_elided_figure_still_shows_the_chosen_cell():
    for figure in (
        image_matmul_simple((500, 30), (30, 500), cell=(77, 450)),
        image_matmul_backward((500, 30), (30, 500), at=(77, 15, 450)),
    ):
        assert {"77", "450"} <= set(Svg(figure.svg).words())


def test_full_fits_its_budget():
    assert len(image_matmul_full().svg) < 15_000
    assert len(image_matmul_full((1024, 1024), (1024, 1024)).svg) < 40_000


def test_full_colours_the_products_that_are_summed():
    svg = Svg(image_matmul_full((2, 4), (4, 3), cell=(0, 1)).svg)
    products, sums = cells_of(svg, INTERMEDIATE, RESULT)
    assert len(products) == 4 + 1  # the front of one column, and its underside
    assert len(sums) == 2 + 1  # the same once reduced, and its view
    copies = [cell for cell in svg.cells if cell.fill == FIRST.tint.hex]
    assert len(copies) == 4 * 2 + 2 * 2 + 2 * 4  # front, underside and side: what stride 0 repeats


def test_row_0_of_every_face_is_on_top():
    """On the faces that show m and n, the row of m = 1 lies below that of m = 0."""
    for role, beside in ((INTERMEDIATE, 0), (RESULT, 1)):  # of the latter, the matrix is beside
        first, second = (
            cells_of(Svg(image_matmul_full((2, 4), (4, 3), cell=(i, 1)).svg), role)[0]
            for i in (0, 1)
        )
        low = [
            max(y for c in cells[: len(cells) - beside] for _, y in c.points)
            for cells in (first, second)
        ]
        assert low[0] < low[1]


def test_full_arrows_run_up_along_k():
    svg = Svg(image_matmul_full().svg)
    ups = [
        path
        for path in svg.subpaths
        if not path.closed and len(path.points) == 2 and path.points[0][0] == path.points[1][0]
        if path.points[0][1] - path.points[1][1] > 50
    ]
    assert len(ups) == 3


def test_backward_is_not_the_forward_figure():
    forward, backward = Svg(image_matmul_simple().svg), Svg(image_matmul_backward().svg)
    assert "sum over n" in backward.words()
    assert backward.words().count("sum over m") == 1
    assert "sum over k" in forward.words()
    assert "sum over k" not in backward.words()
    threads = [path for path in backward.subpaths if not path.closed and len(path.points) > 20]
    assert len(threads) == 4  # in each row from the first to the second, and on to the gradient
    assert all(path.points[-1][0] > path.points[0][0] for path in threads)  # left to right
    assert {"row 0 of d meets column 0 of Nᵀ", "row 0 of Mᵀ meets column 0 of d"} <= {
        *backward.words()
    }


@pytest.mark.parametrize(("m", "k", "n"), [(2, 4, 3), (5, 1, 6), (1, 1, 1)])
def test_backward_colours_what_an_entry_collects(m, k, n):
    svg = Svg(image_matmul_backward((m, k), (k, n)).svg)
    assert len(svg.cells) == 2 * (m * k + k * n + m * n) + 3
    from_m, from_n, gradients = cells_of(svg, FIRST, SECOND, GRADIENT)
    assert (len(from_m), len(from_n)) == (m, n)  # a column of M, a row of N
    assert len(gradients) == n + m + 2  # a row of d, a column of d, and the two entries


def test_loop_nest_shows_the_register_at_its_step():
    words = Svg(image_loop_nest((2, 4), (4, 3), (1, 2), step=0).svg).words()
    assert "total = M[1,0]·N[0,2]" in words
    words = Svg(image_loop_nest((2, 4), (4, 3), (1, 2), step=3).svg).words()
    assert "total = M[1,0]·N[0,2] + … + M[1,3]·N[3,2]" in words
    assert {"output index, now 1", "output index, now 2", "reduced, now 3"} <= set(words)


@pytest.mark.parametrize("draw", ALL)
def test_what_does_not_multiply_is_refused(draw):
    name = draw.__name__
    cases = [
        ((2, 4), (3, 5), rf"{name}: \(2, 4\) @ \(3, 5\): inner dimensions 4 and 3 differ"),
        ((2, -1), (-1, 5), rf"{name}: \(2, -1\): dimension 1 is -1, must be at least 0"),
        ((4,), (4, 5), rf"{name}: \(4,\) @ \(4, 5\): \(4,\) is not a matrix \(rank 2\)"),
        ((7, 2, 3, 4), (4, 5), r"\(7, 2, 3, 4\) has 4 dimensions; a stack of matrices"),
        ((5, 3, 4), (6, 4, 5), r"stacks of 5 and 6 matrices do not broadcast"),
    ]
    for a, b, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            draw(a, b)
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match="float has no shape"):
        draw(1.5, (2, 3))


def test_a_cell_that_is_not_there_is_refused():
    with pytest.raises(IndexError, match=r"image_matmul_simple: cell \(2, 0\) is outside \(2, 3\)"):
        image_matmul_simple(cell=(2, 0))
    with pytest.raises(IndexError, match=r"image_matmul_full: cell \(0, -1\) is outside"):
        image_matmul_full(cell=(0, -1))
    with pytest.raises(IndexError, match=r"image_matmul_backward: cell \(0, 4, 0\)"):
        image_matmul_backward(at=(0, 4, 0))
    with pytest.raises(IndexError, match=r"image_loop_nest: step 4 is outside range\(4\)"):
        image_loop_nest(step=4)


def test_the_pairing_colours_follow_k_when_elided():
    svg = Svg(image_rows_meet_columns((3, 100), (100, 2)).svg)
    fills = {cell.fill for cell in svg.cells} - {"#f3f0e8"}
    assert len(fills) == len(axis(100, 8).shown)


def test_full_fits_a_page_without_being_shrunk_to_where_it_cannot_be_read():
    assert Svg(image_matmul_full().svg).width <= 880

"""The code cells of the page this suite grew from, unchanged, give its five figures."""

import chalk
import pytest
from mt_diagrams import Figure

from .svg_reading import Svg
from .svg_reading import shown as stored

CELLS = [
    """
import chalk
from mt_diagrams.tensor_draw import (
    color,
    matrix,
    image_matmul_simple,
    image_matmul_full,
)
chalk.set_svg_draw_height(400)
chalk.set_svg_height(200)
""",
    """
chalk.hcat(
    [
        matrix(2, 4, colormap=lambda i, j: color(1, 4)(0, j)),
        matrix(4, 3, colormap=lambda i, j: color(1, 4)(0, i)),
    ],
    0.5,
)
""",
    "matmul = image_matmul_simple()\nmatmul",
    "image_matmul_full()",
    "matrix(2, 3)",
    "matmul",
]


@pytest.fixture
def shown(monkeypatch):
    """What each cell shows: the value of its last expression, as a notebook would."""
    monkeypatch.setattr(chalk.core, "SVG_HEIGHT", chalk.core.SVG_HEIGHT)
    monkeypatch.setattr(chalk.core, "SVG_DRAW_HEIGHT", chalk.core.SVG_DRAW_HEIGHT)
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    results = [shell.run_cell(cell, silent=False) for cell in CELLS]
    for result in results:
        result.raise_error()
    return [result.result for result in results]


def test_the_cells_run_and_show_five_figures(shown):
    assert shown[0] is None
    first, simple, full, result, again = (Svg(stored(value)) for value in shown[1:])
    for svg in (first, simple, full, result, again):
        svg.assert_inside()

    assert len(first.cells) == 8 + 12
    assert len({cell.fill for cell in first.cells}) == 4
    columns = {}
    for cell in first.cells[:]:
        columns.setdefault(cell.fill, []).append(cell)
    assert sorted(len(cells) for cells in columns.values()) == [5, 5, 5, 5]  # 2 of a, 3 of b

    assert shown[2] is shown[5]
    assert repr(shown[2]) == "<Figure: (2, 4) @ (4, 3) = (2, 3)>"
    assert {"M (2, 4)", "N (4, 3)", "M @ N (2, 3)"} <= set(simple.words())

    assert isinstance(shown[3], Figure)
    assert {"(2, 4, 1)", "(1, 4, 3)", "(2, 4, 3)", "(2, 1, 3)", "(2, 3)"} <= set(full.words())
    assert full.words().count("24 elements") == 1
    assert full.words().count("n: stride 0") == full.words().count("m: stride 0") == 1

    assert len(result.cells) == 6
    assert again.title == simple.title


def test_heights_are_as_the_page_asked(shown):
    assert Svg(stored(shown[4])).height == pytest.approx(200, abs=2)
    chalk.set_svg_height(120)
    assert Svg(stored(shown[4])).height == pytest.approx(120, abs=2)
    thick = Svg(stored(shown[4])).cells[0].width
    chalk.set_svg_draw_height(800)
    assert Svg(stored(shown[4])).cells[0].width == pytest.approx(2 * thick)


def test_text_plain_of_what_the_page_shows_is_short_and_stable(shown):
    for value in shown[1:]:
        assert "0x" not in repr(value)
        assert len(repr(value)) < 60
    assert repr(shown[1]) == "<Diagram: 7.5 wide, 4 high>"
    assert repr(shown[4]) == "<Diagram: 3 wide, 2 high>"

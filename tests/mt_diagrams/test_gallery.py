"""The committed gallery is what the code draws today, to the byte."""

import re
from pathlib import Path

import pytest
from mt_diagrams import Figure, matrix
from mt_diagrams.cli.gallery import PAGE, gallery_page
from mt_diagrams.cli.main import build
from mt_diagrams.cli.registry import FIGURES, Entry

from .svg_reading import Svg

GALLERY = Path(__file__).parents[2] / "diagrams" / "gallery"


@pytest.mark.parametrize("name", FIGURES)
def test_the_gallery_is_fresh(name):
    path = GALLERY / f"{name}.svg"
    assert path.exists(), f"{path.name} is missing: run `make figures`"
    fresh = build(FIGURES[name], []).svg
    assert path.read_text(encoding="utf-8") == fresh, f"{path.name} is stale: run `make figures`"
    svg = Svg(fresh)
    svg.assert_inside()
    svg.assert_plain()
    assert len(svg.desc) > 30


def test_the_gallery_holds_nothing_else():
    assert {path.name for path in GALLERY.iterdir()} == {PAGE, *(f"{name}.svg" for name in FIGURES)}


def test_the_page_is_fresh():
    fresh = gallery_page({name: (entry, build(entry, [])) for name, entry in FIGURES.items()})
    stored = (GALLERY / PAGE).read_text(encoding="utf-8")
    assert stored == fresh, f"{PAGE} is stale: run `make figures`"


def test_the_page_shows_every_figure_with_its_words():
    page = (GALLERY / PAGE).read_text(encoding="utf-8")
    images = re.findall(r"^!\[(.+)\]\((.+)\)$", page, re.MULTILINE)
    assert [target for _, target in images] == [f"{name}.svg" for name in FIGURES]
    for words, _ in images:
        assert len(words) > 30
        assert not re.search(r"(?<!\\)[\[\]]", words)  # a bracket would end the words early


def test_words_of_all_kinds_stay_in_their_place():
    entry = Entry("odd", 'a "<b>" & c', "--shape A", ((1,),), lambda _: None)
    figure = Figure(matrix(1, 1), "t", "M[i, k] * <b>_x_`\\\n Σ")
    page = gallery_page({"odd": (entry, figure)})
    assert "![M\\[i, k\\] \\* \\<b>\\_x\\_\\`\\\\ Σ](odd.svg)" in page

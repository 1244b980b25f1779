"""The committed gallery is what the code draws today, to the byte."""

from pathlib import Path

import pytest
from mt_diagrams.__main__ import build
from mt_diagrams.registry import FIGURES

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
    assert {path.stem for path in GALLERY.glob("*.svg")} == set(FIGURES)

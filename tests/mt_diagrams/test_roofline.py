"""roofline, from made-up results."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams.figures.roofline import LOOKS, roofline, spread

from benchmarks.plot import roofline_of

from .svg_reading import Svg

SIZES = (64, 128, 256)


def curve(name, threads, *speeds):
    return {"name": name, "threads": threads, "points": list(zip(SIZES, speeds, strict=False))}


def example():
    return {
        "itemsize": 8,
        "curves": [
            curve("zip, reduce", 1, 3.0, 1.0),
            curve("i-j-k", 1, 6.0, 2.0, 1.0),
            curve("threads", 2, 70.0, 150.0, 210.0),
            curve("NumPy", 1, 80.0, 100.0, 110.0),
            curve("NumPy", 2, 75.0, 150.0, 205.0),
        ],
        "roofs": [
            {"threads": 1, "gflops": 136.0, "gbytes": 28.0},
            {"threads": 2, "gflops": 270.0, "gbytes": 40.0},
        ],
    }


def assert_readable(svg):
    svg.assert_inside()
    svg.assert_plain()
    for n, one in enumerate(svg.texts):
        for other in svg.texts[n + 1 :]:
            apart = abs(one.x - other.x) >= one.half + other.half - 0.1
            assert apart or abs(one.y - other.y) >= 0.9 * min(one.size, other.size), (one, other)


def test_every_curve_and_roof_is_named():
    svg = Svg(roofline(example()).svg)
    assert_readable(svg)
    assert {
        "zip, reduce",
        "i-j-k",
        "threads, 2 threads",
        "NumPy",
        "NumPy, 2 threads",
        "most that 1 thread can compute: 136",
        "most that 2 threads can compute: 270",
        "each product to memory and back: 3.5",
        "GFLOP/s",
    } <= set(svg.words())
    assert {"64", "128", "256", "10", "100"} <= set(svg.words())


def test_the_description_has_the_numbers():
    desc = Svg(roofline(example()).svg).desc
    assert "i-j-k on 1 thread: 6 GFLOP/s at n = 64, 1 at n = 256." in desc
    assert "The most that 2 threads can compute is 270 GFLOP/s, and memory brings 40 GB/s." in desc


def test_every_point_has_a_marker():
    assert len(Svg(roofline(example()).svg).cells) == 2 + 4 * 3


def test_markers_differ_in_outline():
    outlines = [tuple((round(x, 3), round(y, 3)) for x, y in look.outline) for look in LOOKS]
    assert len(set(outlines)) == len(LOOKS)


def test_scales_are_logarithmic():
    """Equal factors are equal distances, in both directions."""
    results = {"itemsize": 8, "roofs": [], "curves": [curve("a", 1, 2.0, 4.0, 8.0)]}
    svg = Svg(roofline(results).svg)
    (line,) = [p for p in svg.subpaths if not p.closed and p.stroke == "#9a5200"]
    (x0, y0), (x1, y1), (x2, y2) = line.points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.05)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.05)
    assert y2 < y1


def test_a_roof_bends_where_memory_becomes_fast_enough():
    svg = Svg(roofline(example()).svg)
    note = "a roof slopes where memory could bring the matrices no faster"
    assert note in svg.words()  # two threads: 270 GFLOP/s need n = 81
    fast = example() | {"roofs": [{"threads": 1, "gflops": 136.0, "gbytes": 500.0}]}
    assert note not in Svg(roofline(fast).svg).words()


def test_it_is_the_same_each_time():
    assert roofline(example()).svg == roofline(example()).svg


def test_the_stored_plot_is_what_the_stored_results_give_today():
    stored = Path(__file__).parents[2] / "benchmarks" / "results"
    results = json.loads((stored / "reference.json").read_text(encoding="utf-8"))
    fresh = roofline(roofline_of(results)).svg
    assert (stored / "roofline.svg").read_text(encoding="utf-8") == fresh


def test_it_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="roofline: needs at least one curve"):
        roofline({"itemsize": 8, "roofs": [], "curves": []})
    with pytest.raises(ValueError, match="roofline: i-j-k: n and GFLOP/s must be positive"):
        roofline({"itemsize": 8, "roofs": [], "curves": [curve("i-j-k", 1, 1.0, 0.0)]})


speeds = st.floats(1e-3, 1e4)


@settings(max_examples=25)
@given(st.lists(st.lists(speeds, min_size=1, max_size=3), min_size=1, max_size=9), speeds, speeds)
def test_any_speeds_can_be_read(rows, gflops, gbytes):
    curves = [curve(f"curve <{n}>", 1 + n % 2, *row) for n, row in enumerate(rows)]
    roofs = [{"threads": 1, "gflops": gflops, "gbytes": gbytes}]
    assert_readable(Svg(roofline({"itemsize": 8, "roofs": roofs, "curves": curves}).svg))


@given(st.lists(st.floats(-100, 100), max_size=12))
def test_names_are_spread_just_enough(wanted):
    wanted = sorted(wanted)
    places = spread(wanted, 2.0)
    gaps = [b - a for a, b in pairwise(places)]
    assert all(gap >= 2.0 - 1e-6 for gap in gaps)
    if all(b - a >= 2.0 for a, b in pairwise(wanted)):
        assert places == pytest.approx(wanted)

"""memory_timeline and traffic_bar, from stand-ins for a trace."""

import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import memory_timeline, traffic_bar
from mt_diagrams.figures.memory import HEIGHT, role_of
from mt_diagrams.pieces.columns import columns_of, layers_of
from mt_diagrams.svg.theme import LILAC, SCALE, STONE

from .svg_reading import Svg


@dataclass
class Event:
    name: str
    phase: str
    start: int
    stop: int
    kind: str = "map"
    reads: int = 0
    writes: int = 0
    bytes_allocated: int = 0


@dataclass
class Buffer:
    name: str
    shape: tuple
    nbytes: int
    born: int
    died: int | None = None
    phase: str = "forward"
    role: str = "result"
    saved: bool = False


@dataclass
class Trace:
    events: list = field(default_factory=list)
    buffers: list = field(default_factory=list)
    live_bytes: list = field(default_factory=lambda: [0])
    saved_bytes: int = 0

    @property
    def peak_bytes(self):
        return max(self.live_bytes)


def example():
    """zip (saved) and reduce going forward, one gradient going back, and a workspace."""
    return Trace(
        events=[
            Event("zip", "forward", 0, 1, "zip", 48, 24, 192),
            Event("reduce", "forward", 1, 4, "reduce", 24, 6, 48),
            Event("view", "forward", 4, 4, "view"),
            Event("mul", "backward", 4, 5, "zip", 48, 24, 192),
        ],
        buffers=[
            Buffer("zip", (2, 4, 3), 192, 1, 6, saved=True),
            Buffer("reduce", (2, 1, 3), 48, 2, None),
            Buffer("reduce", (8,), 64, 3, 4, role="workspace"),
            Buffer("mul", (2, 4, 3), 192, 5, None, phase="backward"),
        ],
        live_bytes=[0, 192, 240, 304, 240, 432, 240],
        saved_bytes=192,
    )


FILLS = {"saved": "#ff9700", "result": "#69bac9", "gradient": LILAC.hex, "workspace": STONE.hex}


def blocks(svg, role):
    """The areas of one role: closed outlines higher and wider than a legend's sample."""
    return [path for path in svg.cells if path.fill == FILLS[role] and path.width]


def test_each_array_is_a_block_of_its_role():
    svg = Svg(memory_timeline(example(), names=["step"]).svg)
    svg.assert_inside()
    svg.assert_plain()
    for role in FILLS:
        assert len(blocks(svg, role)) == 1 + 1, role  # the block, and its sample in the legend
    words = set(svg.words())
    assert {"result", "saved for backward", "made going backward", "workspace"} <= words
    assert {"zip (2, 4, 3)", "mul (2, 4, 3)", "forward", "backward", "step"} <= words
    assert "peak 432 bytes" in words
    assert "192 bytes saved for backward" in words


def test_a_block_is_as_high_as_its_bytes_and_sinks_when_one_beneath_is_freed():
    svg = Svg(memory_timeline(example()).svg)

    def height(path):
        ys = [y for _, y in path.points]
        return max(ys) - min(ys)

    saved = max(blocks(svg, "saved"), key=height)
    gradient = max(blocks(svg, "gradient"), key=height)
    per_byte = height(saved) / 192
    assert height(gradient) == pytest.approx(2 * 192 * per_byte, abs=0.1)  # it sinks by 192
    right_edge = max(x for x, _ in gradient.points)
    lows = [y for x, y in gradient.points if x == right_edge]
    assert max(lows) - min(lows) == pytest.approx(192 * per_byte, abs=0.1)


def test_traces_share_one_scale():
    small = Trace(
        [Event("one", "forward", 0, 1)], [Buffer("one", (27,), 216, 1)], [0, 216], saved_bytes=0
    )
    svg = Svg(memory_timeline(example(), small, names=["naive", "fused"]).svg)
    assert {"naive", "fused", "peak 432 bytes", "peak 216 bytes"} <= set(svg.words())
    heights = [
        max(y for _, y in p.points) - min(y for _, y in p.points) for p in blocks(svg, "result")
    ]
    half = (
        HEIGHT * SCALE * 216 / 432
    )  # of the plot: the small one's peak is half of the larger one's
    assert any(height == pytest.approx(half, abs=0.1) for height in heights)
    assert "432 B" in svg.words()  # the top of the scale, beside the smaller plot too


def test_roles_differ_by_more_than_colour():
    svg = Svg(memory_timeline(example()).svg)
    hatches = [p for p in svg.subpaths if not p.closed and 0 < p.width < 0.9]
    slopes = set()
    for (x0, y0), (x1, y1) in (p.points for p in hatches):
        slopes.add(0 if y0 == y1 else 1 if (y1 - y0) * (x1 - x0) > 0 else -1)
    assert slopes == {-1, 0, 1}  # "/", "-" and "\"


def test_what_was_made_before_the_trace_is_said_not_drawn():
    trace = example()
    trace.saved_bytes = 192 + 160
    words = Svg(memory_timeline(trace).svg).words()
    assert "352 bytes saved for backward, 160 B of it made before" in words


def test_large_numbers_come_in_human_units():
    trace = Trace([], [Buffer("zip", (256,) * 3, 134_217_728, 1)], [0, 134_217_728])
    assert "peak 134,217,728 bytes (134.2 MB)" in Svg(memory_timeline(trace).svg).words()


@st.composite
def traces(draw):
    """A trace that could have happened: arrays made and freed, one a tick."""
    trace = Trace()
    alive = []
    turn = draw(st.integers(1, 40))
    for tick in range(1, draw(st.integers(1, 60)) + 1):
        phase = "forward" if tick < turn else "backward"
        if alive and draw(st.booleans()):
            gone = alive.pop(draw(st.integers(0, len(alive) - 1)))
            gone.died = tick
            trace.live_bytes.append(trace.live_bytes[-1] - gone.nbytes)
            continue
        nbytes = draw(st.integers(0, 10**9))
        role = draw(st.sampled_from(["result", "workspace"]))
        name = draw(st.sampled_from(["zip", "reduce", "a rather long name", "<b>&"]))
        made = Buffer(name, (nbytes,), nbytes, tick, None, phase, role, draw(st.booleans()))
        alive.append(made)
        trace.buffers.append(made)
        trace.events.append(Event(name, phase, tick - 1, tick, bytes_allocated=nbytes))
        trace.live_bytes.append(trace.live_bytes[-1] + nbytes)
    return trace


@settings(max_examples=25)
@given(traces(), traces())
def test_any_trace_draws_inside_its_card(first, second):
    figure = memory_timeline(first, second, names=["<first>", "第二"])
    svg = Svg(figure.svg)
    svg.assert_inside()
    svg.assert_plain()
    assert memory_timeline(first, second, names=["<first>", "第二"]).svg == figure.svg
    names = [t for t in svg.texts if t.text in ("zip", "reduce", "a rather long name", "<b>&")]
    for n, one in enumerate(names):  # event names never run into one another
        for other in names[n + 1 :]:
            apart = abs(one.x - other.x) >= one.half + other.half
            assert apart or abs(one.y - other.y) >= 0.8 * one.size


def test_a_long_trace_stays_small():
    trace = Trace()
    for n in range(400):
        trace.buffers.append(Buffer("op", (n,), 800, 2 * n + 1, 2 * n + 2))
        trace.events.append(Event("op", "forward", 2 * n, 2 * n + 1, bytes_allocated=800))
        trace.live_bytes += [800, 0]
    figure = memory_timeline(trace)
    assert len(figure.svg) < 150_000
    assert Svg(figure.svg).words().count("op") < 120  # the rest is elided


def test_traffic_counts_every_event():
    svg = Svg(traffic_bar(example(), names=["step"]).svg)
    assert {"reads", "writes", "step", "120", "54"} <= set(svg.words())
    svg.assert_inside()
    bars = {path.fill: path for path in svg.cells}
    lengths = {
        fill: max(x for x, _ in path.points) - min(x for x, _ in path.points)
        for fill, path in bars.items()
    }
    assert lengths["#ff9700"] / lengths["#69bac9"] == pytest.approx(54 / 120, abs=0.01)


@pytest.mark.parametrize("draw", [memory_timeline, traffic_bar])
def test_names_must_match_the_traces(draw):
    with pytest.raises(ValueError, match=f"{draw.__name__}: needs at least one trace"):
        draw()
    with pytest.raises(ValueError, match=f"{draw.__name__}: 2 traces but 1 names"):
        draw(example(), example(), names=["a"])


@pytest.mark.parametrize("draw", [memory_timeline, traffic_bar])
def test_an_empty_trace_draws(draw):
    Svg(draw(Trace()).svg).assert_inside()


def long_trace(steps, nbytes=800):
    """A training run: in each step arrays are made going forward, and freed going backward."""
    trace = Trace()

    def change(by):
        trace.live_bytes.append(trace.live_bytes[-1] + by)
        return len(trace.live_bytes) - 1

    whole = Buffer("weights", (64, 64), 40 * nbytes, change(40 * nbytes), saved=True)
    trace.buffers.append(whole)
    for step in range(steps):
        for phase in ("forward", "backward"):
            made = []
            for _ in range(4):
                start = len(trace.live_bytes) - 1
                one = Buffer("mul", (10, 10), nbytes, change(nbytes), phase=phase)
                one.saved = phase == "forward"
                made.append(one)
                trace.events.append(Event(f"op{step}", phase, start, start + 1))
            for one in reversed(made):
                one.died = change(-nbytes)
            trace.buffers += made
    return trace


@pytest.mark.parametrize("steps", [15, 60, 500])
def test_a_long_trace_is_added_up_and_stays_small(steps):
    trace = long_trace(steps)
    start = time.perf_counter()
    figure = memory_timeline(trace, trace, names=["one", "two"])
    svg = Svg(figure.svg)
    assert time.perf_counter() - start < 3
    svg.assert_inside()
    svg.assert_plain()
    assert len(figure.svg) < 2 * 20_000
    assert f"peak {trace.peak_bytes:,} bytes (35.2 kB)" in svg.words()
    assert svg.words().count("weights (64, 64)") == 2  # what is large is still drawn by itself
    assert "forward and backward, in turn" in svg.words()
    assert "small arrays are added up" in svg.desc
    assert "small arrays are added up" not in Svg(memory_timeline(example()).svg).desc


def test_the_columns_of_a_long_trace_hold_its_peak_and_all_its_bytes():
    trace = long_trace(200)
    columns = columns_of(trace)
    assert columns[0].start == 0
    assert columns[-1].stop == len(trace.live_bytes)
    assert all(a.stop == b.start for a, b in pairwise(columns))
    assert max(trace.live_bytes[c.tick] for c in columns) == trace.peak_bytes
    sums = [0] * len(columns)
    for _, _, heights in layers_of(trace, columns, role_of, 4000):
        for c, height in heights:
            sums[c] += height
    assert sums == [trace.live_bytes[c.tick] for c in columns]


def test_a_short_phase_has_its_name_beneath():
    trace = Trace([Event("a", "forward", 0, 1)], [Buffer("a", (1,), 8, 1)], [0, 8])
    for tick in range(2, 60):
        trace.events.append(Event("b", "backward", tick - 1, tick))
        trace.live_bytes.append(8)
    svg = Svg(memory_timeline(trace).svg)
    heights = {text.text: text.y for text in svg.texts}
    assert heights["forward"] > heights["backward"]

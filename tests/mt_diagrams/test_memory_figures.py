"""memory_timeline and traffic_bar, from stand-ins for a trace."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import memory_timeline, traffic_bar
from mt_diagrams.pieces.columns import Span, columns_of, layers_of, spans_of
from mt_diagrams.pieces.plot import HEIGHT
from mt_diagrams.svg.roles import (
    GRADIENT,
    INTERMEDIATE,
    RESULT,
    WORKSPACE,
)
from mt_diagrams.svg.theme import SCALE

from .made_up import Buffer, Event, Trace, blocks, example
from .svg_reading import Svg


def test_each_array_is_a_block_of_its_role():
    svg = Svg(memory_timeline(example(), names=["step"]).svg)
    svg.assert_inside()
    svg.assert_plain()
    for role in (INTERMEDIATE, RESULT, GRADIENT, WORKSPACE):
        assert len(blocks(svg, role)) == 1 + 1, role
    words = set(svg.words())
    assert {"intermediate", "result", "saved for backward", "gradient", "workspace"} <= words
    assert {"zip (2, 4, 3)", "mul (2, 4, 3)", "forward", "backward", "step"} <= words
    assert "peak 432 bytes" in words
    assert "192 bytes saved for backward" in words


def test_a_block_is_as_high_as_its_bytes_and_sinks_when_one_beneath_is_freed():
    svg = Svg(memory_timeline(example()).svg)

    def height(path):
        ys = [y for _, y in path.points]
        return max(ys) - min(ys)

    saved = max(blocks(svg, INTERMEDIATE), key=height)
    gradient = max(blocks(svg, GRADIENT), key=height)
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
    at = {text.text: text for text in svg.texts}
    assert at["naive"].y == at["fused"].y  # side by side
    heights = [
        max(y for _, y in p.points) - min(y for _, y in p.points) for p in blocks(svg, RESULT)
    ]
    half = (
        HEIGHT * SCALE * 216 / 432
    )  # of the plot: the small one's peak is half of the larger one's
    assert any(height == pytest.approx(half, abs=0.1) for height in heights)
    assert svg.words().count("400 B") == 2  # on the scale of both
    assert "2.0 × less than naive" in svg.words()
    assert "2.0 × less than naive" in svg.desc


def hatched_span(trace):
    """How far the intermediate reaches, and how far its hatch does, from left to right."""
    svg = Svg(memory_timeline(trace).svg)
    block = max(blocks(svg, INTERMEDIATE), key=lambda p: max(x for x, _ in p.points))
    low = max(y for _, y in block.points)
    lines = [p for p in svg.subpaths if not p.closed and 0 < p.width < 0.9]
    xs = [x for p in lines if max(y for _, y in p.points) <= low + 0.1 for x, _ in p.points]
    ends = [x for x, _ in block.points]
    return (min(ends), max(ends)), (min(xs), max(xs))


def test_saved_is_a_hatch_over_the_colour_of_what_is_saved_while_it_is():
    """No longer than until backward has come to its end, though the array lives on."""
    trace = example()
    trace.buffers[0].died = None
    trace.buffers[1].died = 6  # in its place, so that live_bytes still add up
    trace.live_bytes[-1] = 384
    trace.live_bytes += [384] * 4
    (left, right), (start, end) = hatched_span(trace)
    assert start == pytest.approx(left, abs=0.1)
    assert end < left + (right - left) * 0.6
    trace.events = trace.events[:3]  # forward alone: it is still saved at the end
    (left, right), (start, end) = hatched_span(trace)
    assert (start, end) == pytest.approx((left, right), abs=0.1)


def test_what_was_made_before_the_trace_is_said_not_drawn():
    trace = example()
    trace.saved_bytes = 192 + 160
    words = Svg(memory_timeline(trace).svg).words()
    assert "352 B saved for backward, 160 B of it in operands" in words


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


@pytest.mark.parametrize("draw", [memory_timeline, traffic_bar])
def test_long_names_are_cut_short_and_run_into_nothing(draw):
    small = example()
    small.events, small.buffers, small.live_bytes = (
        small.events[1:2],
        small.buffers[1:2],
        [0, 0, 48],
    )
    guesses = {"predicted": [10**6, 10**6]} if draw is traffic_bar else {}
    svg = Svg(draw(example(), small, names=["naive " * 20, "fused " * 20], **guesses).svg)
    svg.assert_inside()
    for n, one in enumerate(svg.texts):
        for other in svg.texts[n + 1 :]:
            apart = abs(one.x - other.x) >= one.half + other.half
            assert apart or abs(one.y - other.y) >= 0.8 * min(one.size, other.size), (one, other)


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
    for _ in range(steps):
        for phase in ("forward", "backward"):
            made = []
            for _ in range(4):
                start = len(trace.live_bytes) - 1
                one = Buffer("mul", (10, 10), nbytes, change(nbytes), phase=phase)
                one.saved = phase == "forward"
                made.append(one)
                trace.events.append(Event("op", phase, start, start + 1))
            for one in reversed(made):
                one.died = change(-nbytes)
            trace.buffers += made
    return trace


@pytest.mark.parametrize("steps", [15, 60, 500])
def test_of_many_steps_that_are_alike_a_few_are_drawn(steps):
    trace = long_trace(steps)
    start = time.perf_counter()
    figure = memory_timeline(trace, trace, names=["one", "two"])
    svg = Svg(figure.svg)
    assert time.perf_counter() - start < 3
    svg.assert_inside()
    svg.assert_plain()
    assert len(figure.svg) < 2 * 20_000
    assert f"peak {trace.peak_bytes:,} bytes (35.2 kB)" in svg.words()
    assert svg.words().count(f"{steps - 2} more") == 2
    assert f"{steps - 2} steps like those drawn are left out" in svg.desc
    assert svg.words().count("op") + svg.words().count("op2") >= 8  # operations can be read


def test_the_fullest_step_is_drawn():
    trace = long_trace(40)
    middle = 1 + 40 * 8  # where a step of 16 ticks begins
    trace.live_bytes[middle + 2] += 10**6
    spans = spans_of(trace)
    assert any(span.start <= middle + 2 < span.stop for span in spans)
    assert spans[0].start == 0
    assert spans[-1].stop == len(trace.live_bytes)
    assert sum(span.after for span in spans) == 40 - 3
    assert max(trace.live_bytes[c.tick] for c in columns_of(trace, spans)) == trace.peak_bytes


def test_the_columns_of_a_long_trace_hold_its_peak_and_all_its_bytes():
    trace = long_trace(200)
    whole = [Span(0, len(trace.live_bytes))]
    columns = columns_of(trace, whole)
    assert columns[0].start == 0
    assert columns[-1].stop == len(trace.live_bytes)
    assert all(a.stop == b.start for a, b in pairwise(columns))
    assert max(trace.live_bytes[c.tick] for c in columns) == trace.peak_bytes
    sums = [0] * len(columns)
    for _, _, heights in layers_of(trace, columns, lambda b: (b.phase, b.saved), 4000, True):
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

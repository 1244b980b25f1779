"""Timing and its statistics, on a clock of our own: nothing here depends on how fast this runs."""

import gc

import numpy as np
import pytest

from benchmarks import measure
from benchmarks.kinds import Comparison, Differs, Reading
from benchmarks.measure import Effort, Spread, calls_to_fill, geometric_mean, in_turns, ratios

SHORT = Effort(least_rounds=3, most_rounds=4, budget=1.0, sample=0.01, warm=0.02)


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only when a contender says so."""

    class Clock:
        now = 0.0

        def spend(self, duration):
            self.now += duration

    clock = Clock()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(measure.time, "sleep", clock.spend)
    return clock


def test_a_spread_is_the_median_between_quartiles():
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_the_geometric_mean_of_a_ratio_and_its_inverse_is_1():
    assert geometric_mean([4.0, 0.25]) == pytest.approx(1.0)


def test_ratios_are_taken_pair_by_pair():
    taken = {"mtlib": [1.0, 10.0, 1.0], "NumPy": [2.0, 20.0, 2.0], "PyTorch": [1.0, 10.0, 3.0]}
    found = ratios(taken, "mtlib")
    assert found["NumPy"] == Spread(2.0, 2.0, 2.0)  # though the times themselves spread widely
    assert found["PyTorch"].median == 1.0
    assert "mtlib" not in found


@pytest.mark.parametrize("each", [1e-7, 3e-4, 0.5])
def test_a_sample_is_filled(clock, each):
    count = calls_to_fill(lambda: clock.spend(each), 0.01)
    assert count * each >= 0.01 * (1 - 1e-9)
    assert count == 1 or count * each < 0.12


def test_contenders_take_turns(clock):
    order = []

    def contender(name, duration):
        def call():
            order.append(name)
            clock.spend(duration)

        return call

    taken = in_turns({"a": contender("a", 0.02), "b": contender("b", 0.04)}, SHORT)
    assert taken["a"] == pytest.approx([0.02] * 4)
    assert taken["b"] == pytest.approx([0.04] * 4)
    assert order[-8:] == ["a", "b"] * 4


def test_rounds_end_with_the_budget_but_not_before_the_least(clock):
    taken = in_turns({"a": lambda: clock.spend(2.0), "b": lambda: clock.spend(2.0)}, SHORT)
    assert len(taken["a"]) == len(taken["b"]) == SHORT.least_rounds


def test_waiting_before_a_sample_is_not_measured(clock):
    taken = in_turns({"a": lambda: clock.spend(0.02)}, SHORT, settle=5.0)
    assert taken["a"] == pytest.approx([0.02] * SHORT.least_rounds)


def test_the_garbage_collector_is_left_as_it_was(clock):
    assert gc.isenabled()
    in_turns({"a": lambda: clock.spend(1.0)}, SHORT)
    assert gc.isenabled()


def comparison(**contenders):
    return Comparison("case", lambda: contenders, tolerance=1e-6, flops=10, at_most=1.0)


def test_a_comparison_says_what_it_measured(clock):
    def contender(duration):
        def call():
            clock.spend(duration)
            return np.ones(3)

        return call

    result = comparison(mtlib=contender(0.01), NumPy=contender(0.02)).run(SHORT, 0.0)
    assert (result["subject"], result["base"]) == ("mtlib", "NumPy")
    assert result["ratios"]["NumPy"]["median"] == pytest.approx(2.0)
    assert result["seconds"]["mtlib"]["median"] == pytest.approx(0.01)
    assert (result["flops"], result["at_most"], result["rounds"]) == (10, 1.0, 4)
    assert "series" not in result


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.array([1.0, 1.1]), "off by 1.0e-01"),
        (np.array([1.0, np.nan]), "off by nan"),
        (np.ones(3), r"shape \(3,\), not \(2,\) as NumPy"),
    ],
)
def test_contenders_must_agree(wrong, message):
    with pytest.raises(Differs, match=message):
        comparison(mtlib=lambda: wrong, NumPy=lambda: np.ones(2)).run(SHORT, 0.0)


def test_tuples_are_compared_part_by_part():
    pair = comparison(mtlib=lambda: (np.ones(2), np.zeros(2)), NumPy=lambda: (np.ones(2),) * 2)
    with pytest.raises(Differs):
        pair.run(SHORT, 0.0)


def test_another_library_that_differs_is_left_out(clock):
    def contender(value):
        def call():
            clock.spend(0.01)
            return np.full(2, value)

        return call

    case = comparison(mtlib=contender(1.0), NumPy=contender(1.0), numexpr=contender(2.0))
    result = case.run(SHORT, 0.0)
    assert set(result["ratios"]) == {"NumPy"}
    assert result["left_out"] == {"numexpr": "off by 1.0e+00 of the largest element, from NumPy"}


def test_a_reading_keeps_its_bounds():
    result = Reading("bytes", lambda effort: 3.0, "MB", at_most=8).run(SHORT, 0.0)
    assert result == {"value": 3.0, "unit": "MB", "at_most": 8}

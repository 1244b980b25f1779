"""What is made of results: verdicts, tables, text, Markdown and the plot."""

import re

import pytest
from mt_diagrams.figures.roofline import roofline

from benchmarks import report
from benchmarks.plot import roofline_of
from benchmarks.tables import STRIP, strip, tables
from benchmarks.verdicts import verdicts

from .results import results, timed


def by_title(found, strips=False):
    return {table.title: table for table in tables(found, strips)}


def test_each_target_gets_a_verdict():
    found = {verdict.title: verdict for verdict in verdicts(results())}
    mean = found["matmul: geometric mean of 2"]
    assert (mean.measured, mean.target, mean.reached) == ("1.00", "at least 0.90", True)
    lowest = found["matmul: lowest, 64 float32, 2 threads"]
    assert (lowest.measured, lowest.target, lowest.reached) == ("0.50", "at least 0.60", False)
    bytes_ = found["memory: workspace, 2 threads"]
    assert (bytes_.measured, bytes_.target) == ("4.00 MB", "at most 8.00 MB")
    assert bytes_.reached
    assert len(found) == 3  # the ladder has nothing to reach


def test_a_time_can_have_a_bound():
    some = results()
    some["cases"] = [timed("matmul", "tiny", 1, 100.0, at_most=5e-6)]
    tiny = list(verdicts(some))[-1]
    assert (tiny.measured, tiny.target, tiny.reached) == ("10.0 µs", "at most 5.00 µs", False)


def test_a_case_that_fails_is_told():
    some = results()
    some["cases"].append({"group": "matmul", "name": "odd", "threads": 1, "error": "Differs: a"})
    targets = by_title(some)["Targets"]
    assert ("✗", "matmul: odd, 1 thread", "fails", "runs, and agrees") in targets.rows
    assert targets.notes == ("matmul: odd, 1 thread: Differs: a",)


def test_the_ladder_is_a_grid_of_sizes():
    table = by_title(results())["The ladder"]
    assert table.header == ("GFLOP/s, by n", "threads", "64", "128")
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert rows["ijk", "1"] == ("0.052", "0.21")
    assert rows["threaded", "2"] == ("0.42", "·")  # not measured
    assert rows["NumPy", "1"] == ("0.52", "4.19")
    assert rows["NumPy", "2"] == ("0.52", "·")


def test_a_case_below_the_floor_is_marked():
    rows = by_title(results())["Square"].rows
    assert [row[0] for row in rows] == ["64 float32", "64 float32 ✗"]


def test_threads_are_averaged_apart():
    some = results()
    some["cases"] += [timed("matmul", "96", 1, 8.0), timed("matmul", "96", 2, 2.0)]
    table = by_title(some)["Square"]
    column = table.header.index("NumPy/mtlib")
    means = [(row[1], row[column]) for row in table.rows if row[0] == "geometric mean"]
    assert means == [("1", "4.00"), ("2", "1.00")]


def test_other_libraries_get_a_column():
    some = results()
    case = timed("matmul", "96", 1, 2.0)
    case["ratios"]["PyTorch"] = {"median": 3.0, "low": 3.0, "high": 3.0}
    case["left_out"] = {"numexpr": "off by 1"}
    some["cases"].append(case)
    table = by_title(some)["Square"]
    assert table.header[-1] == "PyTorch/mtlib"
    assert [row[-1] for row in table.rows] == ["", "3.00", "3.00", ""]
    assert table.notes == ("numexpr is left out of 96, 1 thread: off by 1.",)


def test_text_is_aligned_and_says_that_it_is_quick():
    text = report.text(results())
    assert "A QUICK run" in text
    assert "Other programs" not in text
    block = re.search(r"── Square.*?(?=\n\n)", text, re.DOTALL)[0].splitlines()
    assert len({line.index("64 float32") for line in block if "64 float32" in line}) == 1
    assert max(map(len, text.splitlines())) < 140


def test_a_busy_machine_is_told():
    some = results()
    some["machine"]["load"] = 2.5
    assert "Other programs were running (a load of 2.5" in report.text(some)


def test_markdown_rows_have_as_many_cells_as_their_heading():
    text = report.markdown(results())
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "### Targets" in text


@pytest.mark.parametrize("value", [0.001, 0.25, 1.0, 3.99, 4.0, 1e6])
def test_a_strip_has_one_width(value):
    drawn = strip(value, value / 2, value * 2)
    assert len(drawn) == STRIP
    assert sum(mark in drawn for mark in "●◂▸") == 1


def test_the_plot_is_of_the_ladder():
    given = roofline_of(results())
    names = [(curve["name"], curve["threads"]) for curve in given["curves"]]
    assert names == [("1 i-j-k", 1), ("5 threaded", 2), ("NumPy", 1), ("NumPy", 2)]
    assert given["roofs"][0] == {"threads": 1, "gflops": 100.0, "gbytes": 20.0}
    assert roofline(given).svg.startswith("<svg")


def test_without_a_ladder_there_is_nothing_to_plot():
    some = results()
    some["cases"] = [case for case in some["cases"] if case["group"] != "ladder"]
    with pytest.raises(ValueError, match="hold no ladder"):
        roofline_of(some)

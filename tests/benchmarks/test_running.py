"""Choosing cases, the child that runs them, and the command line."""

import io
import json
import os

import numpy as np
import pytest

from benchmarks import __main__ as cli
from benchmarks import cases, composites, machine, parent, worker
from benchmarks.kinds import Comparison, Group, Reading
from benchmarks.progress import Progress

from .results import results


def names(found):
    return [(group.name, case.name) for group, case in found]


def test_every_case_has_a_name_of_its_own():
    for threads in (1, 2):
        found = cases.chosen((), False, threads, 2)
        labels = [(group.name, case.name, getattr(case, "unit", "")) for group, case in found]
        assert len(set(labels)) == len(labels)


def test_the_quick_run_is_part_of_the_full_one_and_has_every_group():
    for threads in (1, 2):
        full, quick = (names(cases.chosen((), how, threads, 2)) for how in (False, True))
        assert set(quick) < set(full)
        assert {group for group, _ in quick} == {group for group, _ in full}


def test_serial_rungs_run_on_one_thread_and_the_last_on_all():
    series = [{c.series for _, c in cases.chosen(["ladder"], True, n, 2)} for n in (1, 2)]
    assert "threaded" not in series[0]
    assert series[1] == {"threaded"}
    alone = {case.series for _, case in cases.chosen(["ladder"], True, 1, 1)}
    assert alone == series[0] | series[1]


@pytest.mark.parametrize(
    ("name", "hint"), [("matmull", "did you mean matmul?"), ("xyz", "there are ladder, matmul")]
)
def test_an_unknown_group_is_refused(capsys, name, hint):
    assert cli.main(["--quick", "--only", name]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"benchmarks: no group is named '{name}'; ")
    assert hint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("group", ["tiny", "backward"])
def test_small_products_agree(group):
    for _, case in cases.chosen([group], True, 1, 2):
        assert case._check(case.build()) == {}


def test_every_rung_agrees():
    rungs = [case for _, case in cases.chosen(["ladder"], True, 1, 1) if case.size == 64]
    assert len(rungs) == 6
    for case in rungs:
        assert case._check(case.build()) == {}


@pytest.mark.parametrize("case", composites.composites(), ids=lambda case: case.name)
def test_composites_agree(case):
    """Each result, and each gradient, is the one that NumPy finds by itself."""
    assert case._check(case.build()) == {}


# --- The child ------------------------------------------------------------------------------------


@pytest.fixture
def lines(monkeypatch, capsys):
    """What a child says of these cases, with everything that takes time replaced."""

    def run(*given):
        monkeypatch.setattr(
            cases, "chosen", lambda *_: [(Group("g", "G", tuple), c) for c in given]
        )
        monkeypatch.setattr(worker.peak, "limits", lambda *_: {"threads": 1})
        monkeypatch.setattr(worker.measure, "QUICK", worker.measure.Effort(1, 1, 0.0, 0.0, 0.0))
        worker.run(1, 2, True, [])
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_the_child_says_what_it_finds(lines):
    said = lines(Reading("a", lambda _: 1.5, "MB"))
    assert said[0]["count"] == 1
    assert "versions" in said[0]["machine"]
    assert said[1] == {"limits": {"threads": 1}}
    assert said[2] == {"begin": "a", "group": "g"}
    case = said[3]["case"]
    assert (case["group"], case["name"], case["threads"], case["value"]) == ("g", "a", 1, 1.5)


def test_a_failing_case_does_not_stop_the_others(lines):
    def fail(_):
        raise RuntimeError("broken")

    said = lines(Reading("a", fail, "MB"), Reading("b", lambda _: 1.0, "MB"))
    found = [line["case"] for line in said if "case" in line]
    assert found[0]["error"] == "RuntimeError: broken"
    assert found[1]["value"] == 1.0


def test_what_would_be_slow_is_left_out(lines, monkeypatch):
    monkeypatch.setattr(worker, "SLOW", 0.0)

    def build():
        return {"mtlib": lambda: np.ones(1), "NumPy": lambda: np.ones(1)}

    small, large = (Comparison(str(n), build, 1.0, flops=n, series="s", size=n) for n in (1, 2))
    said = lines(small, large)
    assert [line["case"]["name"] for line in said if "case" in line] == ["1"]


# --- The parent -----------------------------------------------------------------------------------


class Child:
    """A process that says these lines and ends."""

    def __init__(self, said, code=0):
        self.stdout = io.StringIO("".join(json.dumps(line) + "\n" for line in said))
        self.code = code

    def wait(self):
        return self.code

    def kill(self):
        pass


SAID = [
    {"count": 1, "machine": {"processor": "p"}},
    {"limits": {"threads": 1}},
    {"begin": "64", "group": "matmul"},
]


def test_the_parent_gathers(monkeypatch):
    case = {"case": {"group": "matmul", "name": "64"}}
    monkeypatch.setattr(parent.machine, "cores", lambda: 2)
    monkeypatch.setattr(parent.subprocess, "Popen", lambda *_, **__: Child([*SAID, case]))
    found = parent.measure(["matmul"], quick=True)
    assert found["schema"] == parent.SCHEMA
    assert len(found["cases"]) == len(found["limits"]) == 2  # one and all threads
    assert {"mean", "floor"} <= set(found["groups"][1])
    assert found["machine"]["processor"] == "p"
    json.dumps(found)


def test_a_child_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(parent.subprocess, "Popen", lambda *_, **__: Child(SAID, code=-11))
    message = "1 thread ended with exit code -11 at: matmul: 64"
    with pytest.raises(parent.Died, match=message):
        parent.measure(["matmul"], quick=True)


def test_the_childs_environment(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "512")
    found = machine.environment(3)
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & set(found)
    assert {found[name] for name in machine.THREAD_VARIABLES} == {"3"}
    assert found["PATH"] == os.environ["PATH"]


def test_the_machine_is_described_without_its_name():
    found = machine.describe()
    assert set(found) == {"processor", "cores", "system", "blas", "versions"}
    assert {"Python", "numpy", "numba"} <= set(found["versions"])
    assert os.uname().nodename not in json.dumps(found)


def test_progress_is_a_line_for_each_group_unless_on_a_terminal():
    out = io.StringIO()
    with Progress("1 thread", out) as progress:
        progress.total = 3
        for group in ("a", "a", "b"):
            progress.step(group, "case")
    assert out.getvalue() == "1 thread, 1 of 3: a\n1 thread, 3 of 3: b\n"
    out = io.StringIO()
    out.isatty = lambda: True
    with Progress("1 thread", out) as progress:
        progress.total = 2
        progress.step("a", "first")
        progress.step("a", "second")
    assert "░  0/2  a: first" in out.getvalue()
    assert "█░" in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")  # it leaves the line clean


# --- The command line -----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(results()), encoding="utf-8")
    return path


def test_a_run_prints_and_saves(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "measure", lambda names, quick: results())
    monkeypatch.setattr(cli, "RESULTS", tmp_path / "results")
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    assert cli.main(["--quick"]) == 0
    assert "── Targets" in capsys.readouterr().out
    assert json.loads((tmp_path / "results/latest.json").read_text("utf-8")) == results()
    assert (tmp_path / "results/latest.svg").read_text("utf-8").startswith("<svg")


def test_report_prints_markdown(saved, capsys):
    assert cli.main(["report", str(saved)]) == 0
    assert "### Targets" in capsys.readouterr().out


def test_plot_writes_a_figure(saved, tmp_path):
    assert cli.main(["plot", str(saved), str(tmp_path / "p.svg")]) == 0
    assert (tmp_path / "p.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "does not hold results"), ('{"schema": 0}', "does not hold")],
)
def test_other_files_are_refused(tmp_path, capsys, text, message):
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    assert cli.main(["report", str(tmp_path / "r.json")]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_is_refused(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "none.json")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_without_compiled_kernels_it_refuses(monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert cli.main([]) == 2
    assert "NUMBA_DISABLE_JIT is set" in capsys.readouterr().err

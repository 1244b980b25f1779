"""What is kept of the exercises that were tried and done."""

import json
import threading

import pytest

from mtlib.exercises import check, progress, records
from mtlib.exercises.chapters import EXERCISES

from .processes import ROOT, run

RIGHT = EXERCISES["bytes_kept"].answers("solution")[0][1]
ALL = len(EXERCISES)


@pytest.fixture(autouse=True)
def new_kernel(monkeypatch):
    """A function that forgets what this process has seen; called once before each test."""
    monkeypatch.setattr(records, "_here", {})
    return records._here.clear


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The file beside a notebook that JupyterLab has open."""
    for name in ("CI", "PYTEST_VERSION", "MTLIB_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "00_a_chapter.ipynb"))
    return tmp_path / records.FILE


def test_nothing_is_kept_where_tests_run():
    assert records.place() is None


@pytest.mark.parametrize("name", ["CI", "PYTEST_VERSION"])
def test_nor_where_a_notebook_runs_for_them(file, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert records.place() is None


def test_nor_where_nobody_has_a_notebook_open(file, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert records.place() is None


def test_another_place_can_be_named(file, monkeypatch, tmp_path):
    monkeypatch.setenv("MTLIB_PROGRESS", "off")
    assert records.place() is None
    monkeypatch.setenv("MTLIB_PROGRESS", str(tmp_path / "mine"))
    assert records.place() == tmp_path / "mine"


def test_it_is_there_the_next_day(file, new_kernel):
    check("bytes_kept", lambda m, k, n: None)
    assert not file.exists()
    check("bytes_kept", lambda m, k, n: 0)
    check("row_dots", lambda a, b: 0)
    check("bytes_kept", RIGHT)
    check("bytes_kept", lambda m, k, n: 0)  # what is done stays done
    new_kernel()
    assert "bytes_kept ✔  row_dots tried  matmul_transposed ·" in repr(progress())
    assert progress().done == f"1 of {ALL} exercises done"


def test_the_chapters_own_solutions_do_not_count(file):
    check("bytes_kept", RIGHT, solution=True)
    assert not file.exists()
    assert progress().done.startswith("0 of")


def test_a_line_that_was_cut_short_spoils_no_other(file, new_kernel):
    check("bytes_kept", RIGHT)
    file.write_bytes(file.read_bytes() + b'\xff{"exercise": "row_do')
    check("row_dots", lambda a, b: 0)
    new_kernel()
    assert "bytes_kept ✔  row_dots tried" in repr(progress())


@pytest.mark.parametrize(
    "line", ["", "nonsense", "[]", "3", "null", '{"exercise": []}', '{"exercise": "a", "state": 1}',
             '{"exercise": [], "state": "passed"}', '{"exercise": "a", "state": {}}']
)  # fmt: skip
def test_a_file_of_something_else(file, line):
    file.write_text(f"{line}\n")
    assert progress().done == f"0 of {ALL} exercises done"
    check("bytes_kept", RIGHT)
    assert progress().done == f"1 of {ALL} exercises done"


@pytest.mark.parametrize("make", ["folder", "missing"])
def test_where_it_cannot_be_written_this_kernel_still_knows(file, monkeypatch, make):
    if make == "folder":
        file.mkdir()
    else:
        monkeypatch.setenv("JPY_SESSION_NAME", str(file.parent / "nowhere" / "00.ipynb"))
    check("bytes_kept", RIGHT)
    assert progress().done == f"1 of {ALL} exercises done"


def test_two_kernels_at_once(file):
    """Each adds its lines to the end; none is lost, and none is torn."""
    script = """
import os
from mtlib.exercises import records
for n in range(100):
    records.record(os.environ["WHO"] + str(n), "passed")
"""
    settings = [{"MTLIB_PROGRESS": str(file), "WHO": who} for who in "ab"]
    writers = [threading.Thread(target=run, args=(script,), kwargs=env) for env in settings]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = [json.loads(line)["exercise"] for line in file.read_text().split("\n") if line]
    assert sorted(entries) == sorted(f"{who}{n}" for who in "ab" for n in range(100))


def test_the_table_in_a_notebook():
    html = progress()._repr_html_()
    assert html.count("<code>") == ALL
    assert f"<caption>0 of {ALL} exercises done</caption>" in html


def test_the_file_is_ignored_by_git():
    assert records.FILE in (ROOT / ".gitignore").read_text().split()

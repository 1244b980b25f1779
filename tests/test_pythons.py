"""`make test-pythons`: the tests on each supported Python, in a copy of the suite."""

import os
import re
import sys
from pathlib import Path

import pytest

import pythons

from .stubs import FAILS, stub

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_supported_python_is_looked_for():
    (in_makefile,) = re.findall(r"^SUPPORTED := (.+)$", MAKEFILE, re.MULTILINE)
    assert in_makefile.split() == pythons.supported()[::-1]


def test_a_shim_that_fails_is_passed_over_for_what_pyenv_keeps(tmp_path, monkeypatch):
    own = "{}.{}".format(*sys.version_info)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    stub(tmp_path / "bin" / f"python{own}", FAILS)
    assert pythons.find(own) is None
    works = f'exec "{sys.executable}" "$@"'
    older = stub(tmp_path / "versions" / f"{own}.9" / "bin" / f"python{own}", works)
    assert pythons.find(own) == str(older)
    newer = stub(tmp_path / "versions" / f"{own}.10" / "bin" / f"python{own}", works)
    assert pythons.find(own) == str(newer)
    stub(tmp_path / "versions" / "2.7.1" / "bin" / "python2.7", works)
    assert pythons.find("2.7") is None  # it says that it is another


@pytest.mark.parametrize("git", [True, False])
def test_a_copy_has_what_a_clone_would_have(tmp_path, monkeypatch, git):
    monkeypatch.setenv("PATH", os.environ["PATH"] if git else "")
    pythons.copy(tmp_path / "copy")
    for name in ("Makefile", "mtlib/__init__.py", "notebooks", "tests/test_setup.py", ".ci/run"):
        assert (tmp_path / "copy" / name).exists()
    assert not (tmp_path / "copy" / ".venv").exists()
    assert not list((tmp_path / "copy").rglob("__pycache__"))


def test_one_failure_fails_the_whole(monkeypatch, capfd):
    def copy(folder):
        folder.mkdir()
        (folder / "Makefile").write_text("test:\n\t@echo $(QUICK) && test $(PYTHON) != 3.12\n")

    monkeypatch.setattr(pythons, "copy", copy)
    monkeypatch.setattr(pythons, "supported", lambda: ["3.10", "3.11", "3.12", "3.13"])
    monkeypatch.setattr(pythons, "find", lambda version: None if version == "3.11" else version)
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert pythons.main([]) == 1
    assert capfd.readouterr().out.endswith(
        "Python 3.10: passed\nPython 3.11: not found\nPython 3.12: failed\nPython 3.13: passed\n"
    )
    assert pythons.main(["--quick"]) == 1
    printed = capfd.readouterr().out
    assert "Python 3.10" not in printed
    assert "1\n" in printed

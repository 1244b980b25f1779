"""What has been tried and what is done, kept beside the notebooks for the next time.

The file has a line for each change, so that two kernels can add to it at once, and a line that was
cut short spoils no other.  It is written where somebody reads a notebook, and nowhere else: not
where tests run or outputs are made.
"""

from __future__ import annotations

import json
import os
import sys
from html import escape
from pathlib import Path

from mtlib.exercises.verdicts import NOT_YET, PASSED, WRONG

FILE = ".progress.jsonl"
MARKS = {NOT_YET: "·", WRONG: "tried", PASSED: "✔"}
_RANK = {NOT_YET: 0, WRONG: 1, PASSED: 2}

_here: dict[str, str] = {}  # what this process has seen


def place() -> Path | None:
    """The file, or None where none is kept.

    ``MTLIB_PROGRESS`` names another one, or is ``off``.  Without it, Jupyter must have said which
    notebook this is the kernel of: what runs notebooks for tests says nothing of the kind.
    """
    named = os.environ.get("MTLIB_PROGRESS")
    if named:
        return None if named == "off" else Path(named)
    if "CI" in os.environ or "PYTEST_VERSION" in os.environ:
        return None
    notebook = os.environ.get("JPY_SESSION_NAME") or _in_an_editor()
    return Path(notebook).parent / FILE if notebook else None


def _in_an_editor() -> str | None:
    """The notebook as VS Code names it."""
    if "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    return shell.user_ns.get("__vsc_ipynb_file__") if shell else None


def record(name: str, state: str) -> None:
    """Note that ``name`` came to ``state``; what was done once stays done."""
    file = place()
    known = states(file)
    if _RANK[state] <= _RANK[known.get(name, NOT_YET)]:
        return
    _here[name] = state
    if file is None:
        return
    line = json.dumps({"exercise": name, "state": state})
    try:  # one write to the end: atomic; the first newline ends a line that was cut short
        with open(file, "ab", buffering=0) as out:
            out.write(f"\n{line}\n".encode())
    except OSError:
        pass  # a full disk or a read-only folder: then it is known to this process only


def states(file: Path | None) -> dict[str, str]:
    """The best state of each exercise, from the file and from this process."""
    found = dict(_here)
    for line in _lines(file):
        try:
            entry = json.loads(line)
            name, state = entry["exercise"], entry["state"]
            if _RANK[state] > _RANK[found.get(name, NOT_YET)]:
                found[name] = state
        except (ValueError, KeyError, TypeError):
            continue  # cut short, or not ours
    return found


def _lines(file: Path | None) -> list[str]:
    try:
        return file.read_text("utf-8", errors="replace").splitlines() if file else []
    except OSError:
        return []


class Progress:
    """A table of chapters and exercises, for a notebook and for a terminal."""

    def __init__(self, chapters: dict[str, list[str]]) -> None:
        known = states(place())
        self.rows = {
            chapter: [(name, MARKS[known.get(name, NOT_YET)]) for name in names]
            for chapter, names in chapters.items()
        }

    @property
    def done(self) -> str:
        marks = [mark for row in self.rows.values() for _, mark in row]
        return f"{marks.count(MARKS[PASSED])} of {len(marks)} exercises done"

    def __repr__(self) -> str:
        lines = [
            f"{chapter}  " + "  ".join(f"{name} {mark}" for name, mark in row)
            for chapter, row in self.rows.items()
        ]
        return "\n".join([*lines, self.done])

    def _repr_html_(self) -> str:
        rows = ""
        for chapter, row in self.rows.items():
            names = " ".join(f"<code>{escape(name)}</code>&nbsp;{mark}" for name, mark in row)
            rows += f'<tr><th scope="row">{escape(chapter)}</th><td align="left">{names}</td></tr>'
        return f'<table cellpadding="4"><caption>{self.done}</caption><tbody>{rows}</tbody></table>'

"""What is said of an answer: a verdict, and the two ways in which a check stops early."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

PASSED, WRONG, NOT_YET = "passed", "wrong", "not yet"
NOTHING_BACK = "nothing comes back; is the return missing?"
MARKS = {PASSED: "✔", WRONG: "✘", NOT_YET: "○"}


class Note:
    """A few words that a notebook shows well, on white and on dark, and a terminal too.

    >>> Note("bytes_kept", "a hint")
    bytes_kept: a hint
    """

    def __init__(self, name: str, message: str, mark: str = "", figure: str = "") -> None:
        self.name, self.message = name, message
        self._mark, self._figure = mark, figure

    def __repr__(self) -> str:
        return "\n".join(filter(None, [f"{self.name}: {self.message}", self._figure]))

    def _repr_html_(self) -> str:
        name = escape(f"{self._mark} {self.name}".strip())
        figure = f"<pre><code>{escape(self._figure)}</code></pre>" if self._figure else ""
        message = re.sub("`(.*?)`", r"<code>\1</code>", escape(self.message))
        return f"<div><strong>{name}</strong>: {message}{figure}</div>"


class Verdict(Note):
    """What :func:`mtlib.exercises.check` returns.

    True where the answer is right.  ``state`` is "passed", "wrong" or "not yet", ``message`` one or
    two sentences that begin with what is wrong, and ``name`` the exercise.

    >>> verdict = Verdict("row_dots", WRONG, "the result has shape (3, 5) and should have (3,)")
    >>> verdict.passed, bool(verdict), verdict.state
    (False, False, 'wrong')
    >>> verdict
    row_dots: the result has shape (3, 5) and should have (3,)
    """

    def __init__(self, name: str, state: str, message: str, figure: str = "") -> None:
        super().__init__(name, message, MARKS[state], figure)
        self.state = state

    @property
    def passed(self) -> bool:
        return self.state == PASSED

    def __bool__(self) -> bool:
        return self.passed


@dataclass
class Wrong(Exception):
    """Raised by whatever finds a mistake: what to say, and a small figure of where."""

    message: str
    figure: str = ""

    def __str__(self) -> str:
        return self.message


class NotYet(Exception):
    """The stub is as it was; or a part of it, and then this says which is right."""

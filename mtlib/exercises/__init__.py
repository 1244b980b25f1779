"""Predictions, checks and hints for the chapters' exercises.

Before a cell that measures, ``guess(name, 192)``; after it ``reveal(name, measured, m=2, k=4)``.
For an exercise ``check(name, answer)``, and ``hint(name)`` when stuck; ``progress()`` shows what is
done.  What they return shows itself at the end of a cell.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from mtlib.exercises import predictions, records
from mtlib.exercises.chapters import CHAPTERS, EXERCISES, PREDICTIONS
from mtlib.exercises.verdicts import Note, Verdict

__all__ = ["check", "guess", "hint", "progress", "reveal"]

_guesses: dict[str, float] = {}
_hints_given: dict[str, int] = {}


def check(name: str, answer: Callable, *, solution: bool = False) -> Verdict:
    """What there is to say about an answer to the exercise ``name``.

    The verdict is true if the answer is right; its ``message`` begins with what is wrong.  Nothing
    is raised for a wrong answer, so a notebook runs on.  With ``solution`` the answer is the
    chapter's own: then ``AssertionError`` is raised if it is rejected, and no progress is recorded.

    >>> check("bytes_kept", lambda m, k, n: None)
    bytes_kept: not yet; hint('bytes_kept') gives a nudge
    >>> check("bytes_kept", lambda m, k, n: 8 * m * k * n).message.split(" (")[0]
    'that is what the reduce keeps; the zip keeps its two operands too'
    >>> check("bytes_kept", lambda m, k, n: 8 * (m * k + k * n + m * k * n), solution=True)
    bytes_kept: correct
    """
    verdict = _find(name, EXERCISES, "check", "exercise").check(answer)
    if not solution:
        records.record(name, verdict.state)
    elif not verdict:
        raise AssertionError(f"the solution of {verdict}")
    return verdict


def hint(name: str) -> Note:
    """The next of the three hints for an exercise; after the third, the third again.

    >>> hint("bytes_kept").message
    'hint 1 of 3. Two operations save something. Print a trace: which, and how much?'
    """
    hints = _find(name, EXERCISES, "hint", "exercise").hints
    number = _hints_given[name] = min(_hints_given.get(name, 0) + 1, len(hints))
    return Note(name, f"hint {number} of {len(hints)}. {hints[number - 1]}", "☞")


def guess(name: str, value: float | None = None) -> Note:
    """Commit a guess, to be compared by :func:`reveal`; None is no guess.

    >>> guess("intermediate", 24)
    intermediate: your guess is 24 bytes
    """
    prediction = _find(name, PREDICTIONS, "guess", "prediction")
    _guesses.pop(name, None)  # whatever comes: reveal must not judge an older one
    number = predictions.number(value)
    if number is not None:
        _guesses[name] = number
    return predictions.guessed(prediction, number)


def reveal(name: str, measured: float, **sizes: int) -> Note:
    """What was measured, and why the guess was another number.

    ``sizes`` are those in the prediction's formula.  What comes back depends on the guess in this
    kernel and on the arguments, and on nothing that is kept from another day.

    >>> _ = guess("intermediate", 24)
    >>> reveal("intermediate", 192, m=2, k=4, n=3).message
    '192 bytes = 8·m·k·n, and you guessed 24: right in elements; in bytes each float64 counts 8'
    """
    prediction = _find(name, PREDICTIONS, "reveal", "prediction")
    return predictions.revealed(prediction, _guesses.get(name), measured, sizes)


def progress() -> records.Progress:
    """The exercises of each chapter: done, tried, or still to do.

    Kept beside the notebooks in a file that git ignores.  Delete it to begin anew; set
    ``MTLIB_PROGRESS=off`` to keep none.
    """
    return records.Progress({c: [x.name for x in m.EXERCISES] for c, m in CHAPTERS.items()})


def _find(name: str, known: dict, who: str, what: str):
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=1)
    raise ValueError(
        f"{who}: no {what} is called {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else f", only {_listed(known)}")
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

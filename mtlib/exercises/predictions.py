"""Guesses before a cell that measures, and what it measured after."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from mtlib.exercises.explaining import IN_ELEMENTS, Sizes, explain, in_print, value_of
from mtlib.exercises.verdicts import Note

NEAR = 0.05  # of the right number: who said 134 million for 134,217,728 was right


@dataclass(kw_only=True, eq=False)
class Prediction:
    """A number that a chapter asks for before it measures it.

    ``right`` is its formula, in Python's notation over the sizes that ``reveal`` is given;
    ``wrong`` are formulas that readers come to, each with the sentence for them.  Other wrong
    guesses are explained by what can be worked out from the sizes.
    """

    name: str
    unit: str  # "bytes", "elements" or what else is counted
    right: str
    wrong: dict[str, str] = field(default_factory=dict)


def number(value) -> float | None:
    """A guess as a number; None and ... are none."""
    if value is None or value is ...:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"guess: a number is a guess, or None; got {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"guess: {value} is no guess; a finite number is, or None")
    return value


def guessed(prediction: Prediction, value: float | None) -> Note:
    """What there is to say of a guess before it is compared."""
    if value is None:
        return Note(prediction.name, "no guess yet; put a number in the place of None", "○")
    return Note(prediction.name, f"your guess is {_print(value)} {prediction.unit}", "●")


def revealed(prediction: Prediction, guess: float | None, measured: float, sizes: Sizes) -> Note:
    """The measured number, and why the guess is another."""
    right = f"{_print(measured)} {prediction.unit}"
    if value_of(prediction.right, sizes) == measured:
        right += f" = {in_print(prediction.right)}"
    if guess is None:
        return Note(prediction.name, f"{right}; you made no guess", "○")
    if guess == measured:
        return Note(prediction.name, f"{right}, as you guessed", "✔")
    for formula, sentence in prediction.wrong.items():
        if value_of(formula, sizes) == guess:
            return _off(prediction, right, guess, sentence)
    if abs(guess - measured) <= NEAR * abs(measured):
        return Note(prediction.name, f"{right}, and your guess is near enough", "✔")
    why = explain(guess, measured, sizes, prediction.unit)
    if prediction.unit == "bytes" and abs(8 * guess - measured) <= NEAR * abs(measured):
        why = IN_ELEMENTS
    why = why or _how_far(guess, measured)
    return _off(prediction, right, guess, why)


def _how_far(guess: float, measured: float) -> str:
    """What can be said of any guess of the right sign."""
    if guess * measured <= 0:
        return ""
    ratio = max(guess / measured, measured / guess)
    if ratio < 2:
        word = "large" if guess > measured else "small"
        return f"{abs(1 - guess / measured):.0%} too {word}"
    near = [
        word for size, word in _LARGE.items() if abs(guess * size - measured) <= NEAR * measured
    ]
    if near:
        return f"right in {near[0]}"
    return f"about {_rough(ratio)} times too {'large' if guess > measured else 'small'}"


_LARGE = {10**3: "thousands", 10**6: "millions", 10**9: "billions"}


def _rough(ratio: float) -> str:
    return f"{float(f'{ratio:.2g}'):,.0f}"


def _off(prediction: Prediction, right: str, guess: float, why: str) -> Note:
    said = f"{right}, and you guessed {_print(guess)}"
    return Note(prediction.name, f"{said}: {why}" if why else said, "✘")


def _print(value: float) -> str:
    whole = isinstance(value, int | np.integer) or float(value).is_integer()
    return f"{int(value):,}" if whole else f"{value:,.6g}"

"""Numbers that are wrong: what is said of them, in answers and in guesses."""

import pytest

from mtlib.exercises.explaining import explain
from mtlib.exercises.formulas import Formula

HINTS = ("one", "two", "three")


def strides(**changes):
    entry = {
        "name": "strides",
        "task": "The strides of a contiguous (m, k, n).",
        "hints": HINTS,
        "measure": lambda m, k, n: (k * n, n, 1),
        "sizes": [{"m": 2, "k": 4, "n": 3}],
    }
    return Formula(**entry | changes)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda m, k, n: (k * n, n, 1), "correct"),
        (
            lambda m, k, n: (1, m, m * k),
            "for m = 2, k = 4, n = 3 it gives (1, 2, 8), and (12, 3, 1)",
        ),
        (lambda m, k, n: (n, 1), "for m = 2, k = 4, n = 3 it gives (3, 1), and (12, 3, 1)"),
        (lambda m, k, n: "none", "numbers should come back, and this is of type str"),
        (lambda m, k, n: [1], "numbers should come back, and this is of type list"),
        (lambda m, k, n: float("nan"), "it is nan for m = 2"),
        (lambda m: 1, "TypeError"),
        (lambda m, k, n: None, "not yet; hint"),
        (lambda m, k, n: print(m), "nothing comes back; is the return missing?"),
        ((1, 2), "a function of m, k, n is asked for, and this is of type tuple"),
        (lambda m, k, n: m // 0, "ZeroDivisionError in line "),
    ],
)
def test_a_formula(answer, told):
    assert strides().check(answer).message.startswith(told)


SIZES = {"m": 5, "k": 6, "n": 7}


@pytest.mark.parametrize(
    ("said", "right", "unit", "told"),
    [
        (210, 8 * 210, "bytes", "right in elements"),
        (4 * 210, 8 * 210, "bytes", "a float64 has 8 bytes, a float32 has 4"),
        (64 * 210, 8 * 210, "bytes", "the 8 bytes of a float64 count once"),
        (16 * 210, 8 * 210, "bytes", "too large by a factor of 2"),
        (8 * 210, 210, "elements", "that is in bytes"),
        (210, 35, "", "too large by a factor of 6, which is k"),
        (7, 210, "", "too small by a factor of 30, which is m·k"),
        (35, 8 * 210, "bytes", "too small by a factor of 8 bytes an element, and by 6, which is k"),
        (3 * 35, 35, "", "too large by a factor of 3"),
        (8 * 30, 8 * (30 + 42), "bytes", "it lacks k·n = 42 elements: is one operand forgotten"),
        (30 + 42 + 35, 30 + 42, "", "m·n = 35 too many"),
        (18, 210, "", "the sizes are added there"),
        (30 * 42, 30 + 42, "", "two arrays are multiplied there"),
        (211, 210, "", ""),
        (0, 210, "", ""),
    ],
)
def test_wrong_numbers_are_explained(said, right, unit, told):
    assert told in explain(said, right, SIZES, unit)
    assert bool(told) == bool(explain(said, right, SIZES, unit))

"""The chapters' exercises: every entry, and what readers call."""

import ast
import inspect
import re
import textwrap

import numpy as np
import pytest

import mtlib
from mtlib.exercises import check, guess, hint, reveal
from mtlib.exercises.chapters import CHAPTERS, EXERCISES, PREDICTIONS
from mtlib.exercises.explaining import value_of
from mtlib.exercises.formulas import Formula
from mtlib.exercises.functions import with_methods

from .processes import ROOT, python

KNOWN = [(name, *known) for name, exercise in EXERCISES.items() for known in exercise.known]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Each test in a kernel of its own, as far as guesses, hints and progress go."""
    for kept in ("_hints_given", "_guesses", "records._here"):
        monkeypatch.setattr(f"mtlib.exercises.{kept}", {})


# --- Every entry ----------------------------------------------------------------------------------


def ids(known):
    return f"{known[0]}-{known[1]}-{known[2][:40]}"


@pytest.mark.parametrize("known", KNOWN, ids=ids)
def test_each_known_answer_is_told_what_is_meant_for_it(known):
    name, kind, sentence, answer = known
    verdict = check(name, answer)
    assert verdict.state == {"solution": "passed", "stub": "not yet"}.get(kind, "wrong"), verdict
    assert sentence in verdict.message
    assert "\n" not in verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_an_entry_is_whole(name):
    exercise = EXERCISES[name]
    assert len(exercise.answers("solution")) == len(exercise.answers("stub")) == 1
    assert len(exercise.answers("wrong") + exercise.answers("refused")) >= 3
    assert exercise.task.endswith(".")


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_are_three_and_do_not_give_the_solution(name):
    exercise = EXERCISES[name]
    assert len(set(exercise.hints)) == 3
    [(_, solution)] = exercise.answers("solution")
    source = textwrap.dedent(inspect.getsource(getattr(solution, "backward", solution)))
    statements = [x for x in ast.walk(ast.parse(source)) if isinstance(x, ast.stmt)]
    simple = [ast.unparse(x) for x in statements if not hasattr(x, "body")]
    simple = [line for line in simple if len(line) > len("return out")]
    assert simple
    for said in exercise.hints:
        assert not any(squeezed(line) in squeezed(said) for line in simple)


def squeezed(text):
    return text.replace(" ", "").removeprefix("return")


def test_no_size_of_a_formula_is_taken_for_another_number():
    for exercise in EXERCISES.values():
        if isinstance(exercise, Formula):
            first = list(exercise.sizes[0].values())
            assert len(set(first)) == len(first)
            assert all(size > 8 and all(size % x for x in range(2, size)) for size in first)


def test_names_are_told_apart():
    entries = [x.name for c in CHAPTERS.values() for x in (*c.EXERCISES, *c.PREDICTIONS)]
    assert len(entries) == len(set(entries))


@pytest.mark.parametrize("name", PREDICTIONS)
def test_each_wrong_guess_is_told_what_is_meant_for_it(name):
    sizes = {"m": 5, "k": 6, "n": 7}
    prediction = PREDICTIONS[name]
    right = value_of(prediction.right, sizes)
    for formula, sentence in prediction.wrong.items():
        guess(name, value_of(formula, sizes))
        said = repr(reveal(name, right, **sizes))
        assert said.endswith(sentence)
        assert said.startswith(f"{name}: {right:,} {prediction.unit} = ")


# --- In the chapters' text ------------------------------------------------------------------------

TEXTS = [p.read_text("utf-8") for p in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md"))]
CELLS = [re.findall(r"```{code-cell}.*?\n```", text, re.DOTALL) for text in TEXTS]


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_stands_in_a_chapter_with_its_solution_below(name):
    tried = [[cell for cell in cells if f'check("{name}", ' in cell] for cells in CELLS]
    assert any(tried)
    for cells in filter(None, tried):
        assert ["solution=True" in cell for cell in cells] == [False, True]
        tags = [re.search(r"tags: \[(\w+)\]", cell)[1] for cell in cells]
        assert tags == ["exercise", "solution"]


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_guess_is_asked_for_before_it_is_revealed(name):
    found = [
        [calls for cell in cells if (calls := re.findall(rf'(guess|reveal)\("{name}", ', cell))]
        for cells in CELLS
    ]
    assert any(found)
    assert all(calls == [["guess"], ["reveal"]] for calls in found if calls)


# --- What readers call ----------------------------------------------------------------------------


def test_a_verdict_can_be_read_and_shown():
    verdict = check("bytes_kept", lambda m, k, n: 1)
    assert (verdict.name, verdict.passed, bool(verdict)) == ("bytes_kept", False, False)
    assert repr(verdict) == f"bytes_kept: {verdict.message}"
    assert verdict._repr_html_().startswith("<div><strong>✘ bytes_kept</strong>: ")


def test_what_a_verdict_quotes_is_escaped():
    verdict = check("row_dots", lambda a, b: a < b > a)
    assert "a < b" in verdict.message
    assert "a < b" not in verdict._repr_html_()
    assert "a &lt; b" in verdict._repr_html_()


def test_the_chapters_own_solution_must_pass():
    with pytest.raises(AssertionError, match="the solution of bytes_kept: not yet"):
        check("bytes_kept", lambda m, k, n: None, solution=True)
    assert check("bytes_kept", EXERCISES["bytes_kept"].answers("solution")[0][1], solution=True)


def test_an_answer_that_is_right_but_long():
    def answer(m, k, n):
        """The docstring does not count."""
        left = m * k

        # Nor does a comment.
        right = k * n
        products = m * k * n
        return 8 * (left + right + products)

    assert check("bytes_kept", answer).message == "right, but in 4 lines; 2 are enough"


@pytest.mark.parametrize("call", [lambda x: check(x, print), hint, guess, lambda x: reveal(x, 1)])
def test_a_name_that_is_not_known(call):
    with pytest.raises(ValueError, match=r"is called 'x', only \w+, "):
        call("x")


def test_a_name_that_is_misspelt():
    with pytest.raises(ValueError, match="called 'row_dot'; did you mean 'row_dots'"):
        hint("row_dot")


def test_hints_come_one_after_the_other():
    said = [hint("row_dots").message for _ in range(4)]
    assert [s.split(".")[0] for s in said] == [f"hint {n} of 3" for n in (1, 2, 3, 3)]
    assert hint("bytes_kept").message.startswith("hint 1 of 3")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (192, "192 bytes = 8·m·k·n, as you guessed"),
        (190.0, "192 bytes = 8·m·k·n, and your guess is near enough"),
        (24, "192 bytes = 8·m·k·n, and you guessed 24: right in elements; in bytes each float64 "
             "counts 8"),
        (96, "192 bytes = 8·m·k·n, and you guessed 96: too small by a factor of 2; a float64 has 8 "
             "bytes, a float32 has 4 (or m is missing)"),
        (64, "192 bytes = 8·m·k·n, and you guessed 64: too small by a factor of 3, which is n"),
        (100, "192 bytes = 8·m·k·n, and you guessed 100: 48% too small"),
        (5, "192 bytes = 8·m·k·n, and you guessed 5: about 38 times too small"),
        (-3, "192 bytes = 8·m·k·n, and you guessed -3"),
        (None, "192 bytes = 8·m·k·n; you made no guess"),
        (..., "192 bytes = 8·m·k·n; you made no guess"),
    ],
)  # fmt: skip
def test_a_guess_is_compared(value, said):
    guess("intermediate", value)
    assert reveal("intermediate", 192, m=2, k=4, n=3).message == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (16_000_000, "right in elements; in bytes each float64 counts 8"),
        (2048, "too small by a factor of 65,536, which is 2 of m, k, n multiplied"),
        (8 * 256**4, "too large by a factor of 256, which is one of m, k, n"),
    ],
)
def test_a_guess_is_compared_where_all_sizes_are_equal(value, said):
    guess("intermediate", value)
    assert reveal("intermediate", 8 * 256**3, m=256, k=256, n=256).message.endswith(f": {said}")


def test_without_the_sizes_there_is_no_formula():
    assert reveal("intermediate", 192).message == "192 bytes; you made no guess"
    guess("intermediate", 24)
    assert "right in elements" in reveal("intermediate", 192).message


def test_a_formula_that_does_not_hold_is_not_shown():
    assert reveal("intermediate", 200, m=2, k=4, n=3).message == "200 bytes; you made no guess"


def test_the_last_guess_counts_and_can_be_taken_back():
    guess("intermediate", 1)
    assert guess("intermediate", 192).message == "your guess is 192 bytes"
    assert "as you guessed" in reveal("intermediate", 192).message
    assert guess("intermediate").message.startswith("no guess yet")
    assert "no guess" in reveal("intermediate", 192).message


@pytest.mark.parametrize(
    ("value", "error"), [("many", TypeError), (True, TypeError), (float("nan"), ValueError)]
)
def test_what_is_no_guess(value, error):
    guess("intermediate", 24)
    with pytest.raises(error, match=r"^guess: "):
        guess("intermediate", value)
    assert "you made no guess" in reveal("intermediate", 192).message  # nor is the one before


WEIRD = [
    *(
        True,
        3 + 4j,
        "x",
        b"",
        {1},
        {},
        [],
        (),
        (1, (2, 3)),
        (None, 1),
        10**400,
        float("inf"),
        len,
    ),
    *(range(3), type, mtlib.ones(3), mtlib.ones(3, 5), NotImplemented, (mtlib.ones(3, 5), 1)),
    *(np.zeros(3, dtype) for dtype in (object, complex, "U1", "M8[s]", [("a", float)])),
    *(np.array(5.0), np.float32(1), np.ma.zeros(3), np.array([None]), slice(3)),
]


def raising(error):
    def answer(*arguments):
        raise error

    return answer


@pytest.mark.parametrize("name", EXERCISES)
def test_whatever_comes_back_there_is_something_to_say(name):
    answers = [*WEIRD, *(lambda *arguments, x=x: x for x in WEIRD), raising(SystemExit(1))]
    for answer in [*answers, raising(KeyError()), raising(Exception("a\nb")), int]:
        verdict = check(name, answer)
        assert verdict.state == "wrong", answer
        assert "\n" not in verdict.message
    function = EXERCISES["matmul_transposed"].given
    for x in WEIRD:
        verdict = check(name, with_methods(function, backward=lambda ctx, d, x=x: x))
        assert verdict.state == "wrong", x
        assert not check(name, with_methods(function, forward=lambda ctx, a, b, x=x: x))


# --- Where assertions are left out ----------------------------------------------------------------

OPTIMIZED = """
from mtlib.exercises import check, guess, reveal
print(check("bytes_kept", lambda m, k, n: 0).message)
print(check("row_dots", lambda a, b: a[0]).message)
try:
    check("row_dots", lambda a, b: b.sum(1), solution=True)
except AssertionError:
    print("refused")
"""


def test_checks_hold_when_python_leaves_assertions_out():
    done = python("-O", "-c", OPTIMIZED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "for m = 11, k = 17, n = 13 it gives 0, and 22,712 is measured",
        "what comes back is a itself, or a view of it; make a new array",
        "refused",
    ]


def no_assertions_in(folder):
    return not [
        (path.name, node.lineno)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]


def test_nothing_in_the_packages_is_held_by_an_assertion():
    assert no_assertions_in(ROOT / "mtlib")
    assert no_assertions_in(ROOT / "diagrams")
    assert not no_assertions_in(ROOT / "tests" / "mtlib")


def test_a_class_of_another_kind_is_no_function():
    said = check("matmul_transposed", mtlib.Tensor).message
    assert said.startswith("a Function is asked for: class Name(mtlib.Function)")

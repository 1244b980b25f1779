"""How answers are judged that return a new array: on an exercise that stands in no chapter."""

import numpy as np
import pytest

from mtlib.exercises.loops import Loops


def doubled(**changes):
    entry = {
        "name": "doubled",
        "task": "2 a.",
        "hints": ("one", "two", "three"),
        "operands": {"a": "m n"},
        "result": "m n",
        "reference": lambda a: 2 * a,
        "loads": "m*n",
        "stores": "m*n",
    }
    return Loops(**entry | changes)


def doubling(make):
    def answer(a):
        out = make(a)
        for i, j in np.ndindex(out.shape):
            out[i, j] = 2 * a[i, j]
        return out

    return answer


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda a: np.empty(a.shape), "correct"),
        (np.zeros_like, "correct"),
        (lambda a: np.empty(a.shape, int), "the result is int64, which cuts fractions off"),
        (lambda a: np.empty(a.shape, "float32"), "the result is float32 and should be float64"),
        (lambda a: a, "what comes back is a itself, or a view of it"),
        (lambda a: np.empty(a.shape[0]), "ValueError in line "),
    ],
)
def test_what_comes_back(make, told):
    assert doubled().check(doubling(make)).message.startswith(told)


def test_a_result_of_the_operands_dtype():
    both = doubled(dtypes=("float64", "float32"))
    assert both.check(doubling(np.empty_like))
    said = both.check(doubling(lambda a: np.empty(a.shape))).message
    assert (
        said == "the result is float64 and should be float32, for m = 3, n = 5, transposed operands"
    )


def test_a_return_from_inside_the_loop():
    def answer(a):
        out = np.zeros(a.shape)
        for i, j in np.ndindex(a.shape):
            out[i, j] = 2 * a[i, j]
            return out

    said = doubled().check(answer).message
    assert said.startswith(
        "after the first element all are 0; does it return from inside the loop?"
    )


def test_a_return_that_is_missing():
    def answer(a):
        out = np.zeros(a.shape)
        for i, j in np.ndindex(a.shape):
            out[i, j] = 2 * a[i, j]

    assert doubled().check(answer).message == "nothing comes back; is the return missing?"


def test_what_stops_early_is_told_what_it_did_not_read():
    def answer(a):
        out = np.zeros(a.shape)
        for i, j in np.ndindex(a.shape[0], a.shape[0]):
            out[i, j] = 2 * a[i, j]
        return out

    assert (
        doubled().check(answer).message.startswith("a[0, 3] is never read (at [0, 3] it is 0 and")
    )


def test_a_loop_whose_end_changes_on_the_way():
    def answer(a):
        out, n = np.zeros(a.shape), a.shape[1]
        for i in range(a.shape[0]):
            for n in range(n):  # noqa: B020
                out[i, n] = 2 * a[i, n]
        return out

    told = "a[1, 4] is never read, and a[0, 4] is: does the end of a loop change on the way?"
    assert doubled().check(answer).message.startswith(told)


def test_to_print_is_not_to_load():
    def answer(a):
        out = doubling(np.zeros_like)(a)
        print(out, repr(a), f"{a}")
        return out

    assert doubled().check(answer).message.startswith("correct; 15 loads and 15 stores")


def test_each_value_is_off_by_one_factor():
    def answer(a):
        return -doubling(np.zeros_like)(a)

    assert doubled().check(answer).message.startswith("the sign is wrong (at [0, 0] ")


def test_an_error_calls_an_array_an_array():
    said = doubled().check(lambda a: np.empty(a.shap)).message
    assert "'array' object has no attribute 'shap'" in said


def test_a_transposed_result():
    def answer(a):
        out = np.empty(a.shape[::-1])
        for i, j in np.ndindex(a.shape):
            out[j, i] = 2 * a[i, j]
        return out

    assert "(5, 3) and should have (3, 5)" in doubled().check(answer).message


def test_more_ways_to_read_an_element():
    def by_rows(a):
        out = np.empty(a.shape)
        for i, row in enumerate(a):
            for j, x in enumerate(row):
                out[i, j] = 2 * x
        return out

    def through_the_transpose(a):
        out = np.empty(a.shape)
        for i, j in np.ndindex(a.shape):
            out[i, j] = 2 * a.T[j, i]
        return out

    def item_by_item(a):
        out = np.empty(a.shape)
        for i, j in np.ndindex(a.shape):
            out[i, j] = 2 * a.item(i, j)
        return out

    for answer in (by_rows, through_the_transpose, item_by_item):
        assert doubled().check(answer).message.startswith("correct; 15 loads and 15 stores"), answer

"""How answers are judged: on exercises that stand in no chapter."""

import sys
import threading
import tracemalloc

import numba
import numpy as np
import pytest

from mtlib.exercises import running
from mtlib.exercises.lines import lines_of
from mtlib.exercises.loops import Loops
from mtlib.kernels import plain

HINTS = ("one", "two", "three")


def product(**changes):
    """A matrix product, as a kernel that writes into its first argument."""
    entry = {
        "name": "product",
        "task": "out = a @ b.",
        "hints": HINTS,
        "operands": {"a": "m k", "b": "k n"},
        "result": "m n",
        "reference": lambda a, b: a @ b,
        "loads": "2 * m*k*n",
        "stores": "m*n",
        "into": True,
    }
    return Loops(**entry | changes)


def right(out, a, b):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


def returning(out, a, b):
    right(out, a, b)
    return out


def onto_what_is_there(out, a, b):
    for i, j in np.ndindex(out.shape):
        for k in range(a.shape[1]):
            out[i, j] += a[i, k] * b[k, j]


def never_reset(out, a, b):
    total = 0.0
    for i, j in np.ndindex(out.shape):
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        out[i, j] = total


def one_row_short(out, a, b):
    right(out[:-1], a[:-1], b)
    for j in range(out.shape[1]):
        out[-1, j] = 0.0


def by_numpy(out, a, b):
    out[:] = a @ b


def by_numpys_out(out, a, b):
    np.matmul(a, b, out=out)


def by_mtlib(out, a, b):
    plain.ijk(out, a, b)


def by_dot(out, a, b):
    for i, j in np.ndindex(out.shape):
        out[i, j] = a[i].dot(b[:, j])


def twice_the_loads(out, a, b):
    for i, j in np.ndindex(out.shape):
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j] + 0 * a[i, k]
        out[i, j] = total


def zip_then_reduce(out, a, b):
    products = np.empty((a.shape[0], a.shape[1], b.shape[1]))
    for i, k, j in np.ndindex(products.shape):
        products[i, k, j] = a[i, k] * b[k, j]
    for i, j in np.ndindex(out.shape):
        out[i, j] = sum(products[i, :, j])


def fails_when_empty(out, a, b):
    range(a.shape[1])[0]
    right(out, a, b)


@numba.njit
def compiled(out, a, b):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total


@numba.njit
def parts(a, b, i, j):
    total = 0.0
    for k in range(a.shape[1]):
        total += a[i, k] * b[k, j]
    return total


@numba.njit
def of_two_kernels(out, a, b):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = parts(a, b, i, j)


@numba.njit
def not_for_numba(out, a, b):
    for i, j in np.ndindex(out.shape):
        terms = (x * y for x, y in zip(a[i], b[:, j]))  # noqa: B905, as Numba has it
        out[i, j] = sum(terms)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (returning, "it returns something; a kernel writes into out"),
        (onto_what_is_there, "it adds to what stood in out before; start each total at 0 (at [0"),
        (never_reset, "the total is not set back to 0 before the next element"),
        (one_row_short, "a[2, 0] is never read (at [2, 0] it is 0 and should be "),
        (by_numpy, "matmul is called in line "),
        (by_numpys_out, "matmul is called in line "),
        (by_mtlib, "mtlib's ijk is called in line "),
        (by_dot, "dot is called in line "),
        (twice_the_loads, "it loads 90 numbers (60 of a, 30 of b) where 2·m·k·n = 60 are enough"),
        (zip_then_reduce, "an intermediate of shape (3, 5, 2), 240 bytes, is made in line "),
        (fails_when_empty, "IndexError in line "),
        (7, "a function is asked for, and this is of type int"),
        (lambda out: None, "TypeError: "),
    ],
)  # fmt: skip
def test_a_wrong_kernel_is_told_why(answer, told):
    verdict = product().check(answer)
    assert verdict.state == "wrong"
    assert verdict.message.startswith(told)


@pytest.mark.parametrize("answer", [right, compiled, of_two_kernels])
def test_a_right_kernel_passes(answer):
    assert (
        product().check(answer).message == "correct; 60 loads and 6 stores for m = 3, k = 5, n = 2"
    )


def test_a_kernel_that_does_nothing_is_a_stub():
    assert product().check(lambda out, a, b: None).state == "not yet"
    assert product().check(None).state == "not yet"


def unwritten(out, a, b):
    raise NotImplementedError


def test_so_is_one_that_says_so():
    assert product().check(unwritten).state == "not yet"


def test_where_it_is_wrong_is_drawn():
    figure = "· ·\n· ·\n✘ ✘"
    verdict = product().check(one_row_short)
    assert repr(verdict).endswith(f"\n{figure}")
    assert f"<pre><code>{figure}</code></pre>" in verdict._repr_html_()


def test_loads_that_are_too_many_are_drawn():
    verdict = product().check(twice_the_loads)
    assert repr(verdict).endswith("loads of each element of a:\n4 4 4 4 4\n4 4 4 4 4\n4 4 4 4 4")


def test_numba_is_asked_for():
    assert "put @njit above it" in product(compiled=True).check(right).message
    assert product(compiled=True).check(compiled)
    assert (
        product(compiled=True)
        .check(not_for_numba)
        .message.startswith("as Python it is right, but Numba stops: ")
    )


def test_what_is_allowed_whole_is_not_refused():
    allowed = product(whole=("matmul",), loads="m*k + k*n", stores="m*n")
    assert allowed.check(by_numpy)
    assert not allowed.check(by_dot)


def test_a_budget_for_workspace():
    assert product(workspace="8 * m*k*n", loads="3 * m*k*n", stores="m*n + m*k*n").check(
        zip_then_reduce
    )


# --- Strides --------------------------------------------------------------------------------------


def row_sums(**changes):
    """The sum of each row, by a kernel that walks along strides."""
    entry = {
        "name": "row_sums",
        "task": "out[i] = Σₖ a[i, k].",
        "hints": HINTS,
        "operands": {"a": "m k"},
        "result": "m",
        "reference": lambda a: a.sum(1),
        "loads": "m*k",
        "stores": "m",
        "into": True,
        "passes": lambda out, a: (out.array, a.storage[a.offset :], a.shape, a.strides),
    }
    return Loops(**entry | changes)


def along(place):
    def kernel(out, storage, shape, strides):
        for i in range(shape[0]):
            total = 0.0
            for k in range(shape[1]):
                total += storage[place(i, k, shape, strides)]
            out[i] = total

    return kernel


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (lambda i, k, shape, s: i * s[0] + k * s[1], "correct"),
        (lambda i, k, shape, s: i * s[1] + k * s[0], "the strides of a are swapped"),
        (lambda i, k, shape, s: i * shape[1] + k, "the strides of a are ignored, (1, 3) here"),
    ],
)
def test_strides(place, told):
    assert row_sums().check(along(place)).message.startswith(told)


# --- Running --------------------------------------------------------------------------------------


def without_end(out, a, b):
    i = 0
    while i < out.shape[0]:
        out[i] = 0.0


def without_lines(out, a, b):
    while True: pass  # fmt: skip # noqa: E701


def test_what_does_not_end_is_stopped_in_any_thread(monkeypatch):
    monkeypatch.setattr(running, "MOST_LINES", 2000)
    told = []
    thread = threading.Thread(target=lambda: told.append(product().check(without_end).message))
    thread.start()
    thread.join()
    told.append(product().check(without_end).message)
    for message in told:
        assert message.startswith("it does not come to an end: after 2,000 lines it is still in ")


def test_so_is_a_loop_that_has_no_lines(monkeypatch):
    monkeypatch.setattr(running, "MOST_SECONDS", 0.1)
    said = product().check(without_lines).message
    line = without_lines.__code__.co_firstlineno + 1
    assert said.startswith("it does not come to an end: after ")
    assert f" lines it is still in line {line} (`while True: pass" in said


def test_a_debugger_sees_the_answer_run_and_goes_on_after():
    seen = []

    def tracer(frame, event, argument):
        seen.append((frame.f_code.co_name, event))
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        product().check(right)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert {("right", event) for event in ("call", "line", "return")} <= set(seen)


def test_memory_is_not_traced_any_longer():
    assert not tracemalloc.is_tracing()
    product().check(right)
    assert not tracemalloc.is_tracing()


def test_an_error_is_told_with_its_line():
    def answer(out, a, b):
        out[0, 0] = int(str(a[0, 0])[:3])

    said = product().check(answer).message
    line = answer.__code__.co_firstlineno + 1
    assert said.startswith(
        f"ValueError in line {line} (`out[0, 0] = int(str(a[0, 0])[:3])`): invalid "
    )


def test_the_readers_names_are_left_as_they_are():
    product().check(of_two_kernels)
    assert isinstance(parts, numba.core.dispatcher.Dispatcher)
    assert parts is globals()["parts"]


def test_lines_of_code():
    def answer(out, a, b):
        """Two lines, and this one."""
        # and this one
        for i in range(len(a)):
            out[i] = a[i]

    assert lines_of(answer) == 2
    assert lines_of(numba.njit(answer)) == 2
    assert lines_of(len) == lines_of(lambda: 1) == 0

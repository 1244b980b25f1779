"""fuse: what becomes one kernel, what is kept, and what that costs."""

import importlib
import pkgutil
import re

import numba
import numpy as np
import pytest

import mtlib
from mtlib.exercises.counting import Counting
from mtlib.fusion import schedule
from mtlib.fusion.capture import CALLS
from mtlib.fusion.compile import kernel
from mtlib.fusion.primitives import PRIMITIVES, WRITTEN
from mtlib.runtime import memory

from .fused_programs import PROGRAMS, PlainKernel, check, operands, shown, softmax

pytestmark = pytest.mark.nojit


def test_softmax_is_one_kernel_each_way():
    fused = shown(softmax, (5, 7))
    assert len(fused.schedule.steps) == len(fused.backward[0].schedule.steps) == 1
    assert fused.source.count("for i in each(ni)") == 2


def test_a_naive_product_becomes_one_loop_nest():
    """No intermediate in either direction, and nothing of it kept for backward."""
    a, b = (mtlib.rand(*s, requires_grad=True) for s in ((20, 40), (40, 30)))
    matmul = mtlib.fuse(mtlib.naive.matmul)
    matmul(a, b)
    with mtlib.trace() as t:
        c = matmul(a, b)
        c.backward(mtlib.ones(20, 30))
    assert [(e.name, e.kind, e.phase) for e in t.events] == [
        ("matmul", "fused", "forward"),
        ("matmul_backward_1", "fused", "backward"),
        ("matmul_backward_2", "fused", "backward"),
    ]
    assert t.saved_bytes == a.nbytes + b.nbytes
    assert {buffer.shape for buffer in t.buffers} <= {
        *((20, 1, 30), (20, 40, 1), (1, 40, 30)),
        *((20, 30), (20, 40), (40, 30)),
    }


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="too long for plain Python")
def test_a_naive_product_that_would_not_fit(monkeypatch):
    """Its intermediate of 134 MB is refused when it is run; fused it is never made."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**8)
    a, b = (mtlib.rand(256, 256, seed=i) for i in (0, 1))
    with pytest.raises(MemoryError, match=r"^matmul: the zipped intermediate .* 134\.2 MB"):
        mtlib.naive.matmul(a, b)
    product = mtlib.fuse(mtlib.naive.matmul)(a, b)
    np.testing.assert_allclose(product, a.numpy() @ b.numpy(), rtol=1e-12)


def test_saved_for_backward_are_inputs_and_totals():
    x = mtlib.rand(64, 100, requires_grad=True)
    fused = mtlib.fuse(softmax)
    fused(x)
    with mtlib.trace() as t:
        fused(x)
    assert t.saved_bytes == x.nbytes + 2 * 64 * 8  # and the largest and the sum of each row
    with mtlib.trace() as naive:
        softmax(x)
    assert naive.saved_bytes > 2 * x.nbytes


def test_costly_work_is_stored_rather_than_repeated():
    fused = shown(lambda x: (x.exp().sum(0), x.exp().sum(1)), (50, 60))
    assert "storing it costs less than computing it again" in fused.explain()
    fused = shown(lambda x: ((x + 1).sum(0), (x + 1).sum(1)), (50, 60))
    assert "storing it" not in fused.explain()


def test_users_of_one_input_share_a_kernel():
    fused = shown(lambda x: (x.max(1), x.min(1), x.exp().sum(1)), (50, 60))
    assert len(fused.schedule.steps) == 1
    assert fused.source.partition("_backward")[0].count("for j in range(nj)") == 1


def test_a_kernel_never_waits_for_itself():
    """The last sum needs the product, which needs the first sum of the same rows."""

    def program(x):
        return (x.sum(1, keepdim=True) * x @ x.T).sum(1) + x.sum(1)

    fused = check(program, [np.random.default_rng(0).random((6, 6))], rtol=1e-9)
    kinds = [type(step).__name__ for step in fused.schedule.steps]
    assert kinds == ["FusionGroup", "Call", "FusionGroup"]


def test_a_notebook_shows_stages_as_they_are_printed():
    """And never all that hangs on them: the gradient of a softmax had half a million characters."""
    f = mtlib.fuse(softmax)
    f(mtlib.rand(4, 3, requires_grad=True))
    for stage in (f.graph, f.schedule):
        assert repr(stage) == str(stage)
    (backward,) = f.backward
    assert repr(backward) == f"<{backward.name}: 1 step; it has a graph, a schedule and a source>"
    assert "fold_add" in backward.source
    assert repr(f.graph.ops[0]) == "<x (4, 3)>"


def test_every_operation_can_be_read():
    """A new one has to be written, called or decomposed; else its kernel would meet a symbol."""
    modules = [f"ops.{module}" for module in ("maps", "zips", "reductions", "views")]
    modules += [f"fused.{info.name}" for info in pkgutil.iter_modules(mtlib.fused.__path__)]
    values = [
        x for module in modules for x in vars(importlib.import_module(f"mtlib.{module}")).values()
    ]
    functions = {x for x in values if isinstance(x, type) and issubclass(x, mtlib.Function)}
    abstract = {f for f in functions if f.__name__.startswith("_")}
    abstract |= {f for f in functions if not functions.isdisjoint(f.__subclasses__())}
    decomposed = {f for f in functions if f.decompose is not None}
    assert functions - abstract - {mtlib.Function} - decomposed == {*PRIMITIVES, *CALLS}
    written = {f.name for f in PRIMITIVES if f.kind in ("map", "zip")} - {"scatter", "compare"}
    assert written <= set(WRITTEN)


def test_one_text_is_compiled_once():
    first, second = mtlib.fuse(softmax), mtlib.fuse(softmax)
    before = kernel.cache_info().misses
    first(mtlib.rand(9, 8)), first(mtlib.rand(5, 3)), second(mtlib.rand(7, 7))
    assert kernel.cache_info().misses <= before + 1


def test_reads_and_writes_are_those_of_the_loops(plain):
    """As stated in the ledger, against loads and stores counted in the text itself."""
    for name in ("softmax", "zip and reduce", "one column of y", "mean and variance", "where"):
        plain.clear()
        fused = mtlib.fuse(PROGRAMS[name])
        inputs = [mtlib.from_numpy(a) for a in operands()]
        counted = []

        def run(self, threads, *arguments, counted=counted):
            arrays = [Counting.over(x) if isinstance(x, np.ndarray) else x for x in arguments]
            self.function(*arrays)
            counted.extend(x for x in arrays if isinstance(x, Counting))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PlainKernel, "run", run)
            with mtlib.trace() as t:
                fused(*inputs)
        inputs_only = [x for x in counted if not x.stores.any()]
        assert t.reads == sum(int(x.loads.sum()) for x in inputs_only) > 0, name
        stored = [x for x in counted if x.stores.any()]
        assert t.writes == sum(x.size for x in stored), name


@pytest.mark.usefixtures("plain")
def test_a_long_program():
    """Neither the depth of Python's stack nor that of its brackets is a limit."""

    def program(x):
        for _ in range(1000):
            x = (x + 1) * 0.5
        return x.sum()

    fused = shown(program, (3,))
    assert max(map(len, fused.source.splitlines())) < 120


def less_their_mean(x, times):
    for i in range(times):
        x = x.tanh() - x.sum(i % 2, keepdim=True) * 1e-3
    return x


def less_their_sum(x, times):
    for _ in range(times):
        x = x - x.sum(0, keepdim=True) * 1e-3
    return x


def differences(x, times):
    for _ in range(times):
        x = x[1:] - x[:-1] * 0.5
    return x


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("program", [less_their_mean, less_their_sum, differences])
def test_the_source_of_a_long_program_is_in_proportion(program):
    """What is long is stored rather than computed again by all that comes after it."""
    x = np.random.default_rng(0).random((130, 2))
    lines = {}
    for times in (30, 120):
        fused = check(lambda x, times=times: program(x, times), [x], rtol=1e-6, atol=1e-12)
        lines[times] = fused.source.count("\n")
        assert lines[times] < 40 * times
    assert lines[120] < 4.5 * lines[30]


@pytest.mark.usefixtures("plain")
def test_a_long_program_is_scheduled_in_few_rounds(monkeypatch):
    """Backward too, where each of the layers needs what all those after it have come to."""
    rounds = []

    def counted(*arguments, better_stored=schedule.better_stored):
        found = better_stored(*arguments)
        rounds.append(len(found))
        return found

    monkeypatch.setattr(schedule, "better_stored", counted)

    def program(x):
        for _ in range(40):
            x = (x * 0.5 + x.sum(0, keepdim=True) * 1e-3).tanh() + x
        return x

    check(program, [np.random.default_rng(0).random((7, 5))], rtol=1e-9)
    assert sum(rounds) > 40
    assert len(rounds) < 20


@pytest.mark.usefixtures("plain")
def test_a_chain_is_stored_where_it_branches():
    """And what is used once, however long, needs no memory."""

    def chain(x, length):
        for _ in range(length):
            x = x + 0.5
        return x

    def branch(x, length):
        x = chain(x, length)
        return x.sum(1, keepdim=True) * x

    assert len(shown(lambda x: branch(x, 30), (3, 4)).schedule.steps) == 1
    long = shown(lambda x: branch(x, 31), (3, 4))
    assert len(long.schedule.steps) == 2
    assert "add33 is stored: it is too long to be computed again" in long.explain()
    assert len(shown(lambda x: chain(x, 100).sum(1), (3, 4)).schedule.steps) == 1


@pytest.mark.usefixtures("plain")
def test_a_program_that_uses_each_step_twice():
    def program(x):
        for _ in range(60):
            x = x + x
        return x

    x = mtlib.ones(2)
    assert mtlib.fuse(program)(x).tolist() == [2.0**60] * 2


def test_explained():
    """Numbers and names in the explanation are those of what ran."""
    x = mtlib.rand(50, 60, requires_grad=True)
    fused = mtlib.fuse(softmax)
    y = fused(x)
    with mtlib.trace() as t:
        fused(x)
    text = fused.explain()
    assert f"fused: 1 kernel, {t.reads:,} elements read, {t.writes:,} written" in text
    assert re.search(r"backward from d, for which .*x.* is kept \(24,800 bytes\)", text)
    with mtlib.no_grad(), mtlib.trace() as naive:
        softmax(x)
    assert f"5 operations, {naive.reads:,} elements read, {naive.writes:,} written" in text
    on_the_way = naive.allocated_bytes - y.nbytes
    assert f"{on_the_way:,} bytes made on the way" in text

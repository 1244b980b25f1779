"""fuse: the same results and gradients as the function that is fused, from fewer kernels."""

import copy
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.fusion import execute

from .fused_programs import PROGRAMS, PlainKernel, check, operands, softmax
from .strategies import DTYPES, fill, shapes
from .test_traffic import Counting

LAYOUTS = {
    "contiguous": lambda a: a,
    "by columns": np.asfortranarray,
    "gapped": lambda a: gapped(a),
}


def gapped(a):
    """The same values with other strides: every second column of a wider array, backwards."""
    wide = np.zeros((a.shape[0] + 1, 2 * a.shape[1]), a.dtype)
    part = wide[1:, ::-2]
    part[...] = a
    return part


@pytest.fixture
def plain(monkeypatch):
    """Nothing is compiled from here on; the kernels that ran are put in the list."""
    ran = []

    def kernel(name, text):
        ran.append(PlainKernel(name, text))
        return ran[-1]

    monkeypatch.setattr(execute, "_kernel", kernel)
    return ran


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_and_gradients(name, layout):
    check(PROGRAMS[name], operands(layout=layout), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled(name):
    check(PROGRAMS[name], operands(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["maps", "relu and gelu", "where", "softmax", "zip and reduce"])
def test_single_precision(name):
    check(PROGRAMS[name], operands(np.float32), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fn",
    [
        lambda x, y: ((x - y) ** 2).mean(),
        lambda x, y: softmax(x) * y,
        lambda x, y: softmax(x, 0) + y,
        lambda x, y: (x * y).sum(0),
        lambda x, y: (x + y).max() - x.min(),
        lambda x, y: x.exp() * y,
    ],
)
def test_on_several_threads(fn, dtype):
    arrays = [fill("distinct", (301, 503), dtype, i) / 1e5 for i in (1, 2)]
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    check(fn, [np.asarray(a, dtype) for a in arrays], rtol=tolerance, atol=tolerance)


# --- Programs by chance ---------------------------------------------------------------------------

MAPS = [
    lambda x: x.tanh(),
    lambda x: x.sigmoid() * 2,
    lambda x: x.relu(),
    lambda x: -x,
    lambda x: (x * x + 1).sqrt(),
    lambda x: x / (1 + x * x),
]
ZIPS = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: x - y * 0.5,
    lambda x, y: mtlib.where(x > y, x, y),
]


@st.composite
def programs(draw):
    """(a function of two tensors, their shapes): a chain of a few operations on what is there."""
    shape = draw(shapes(min_rank=1, max_rank=3, max_size=4))
    other = tuple(draw(st.sampled_from((n, 1))) for n in shape)
    choices = st.tuples(
        st.sampled_from(("map", "zip", "sum", "mean", "max", "view", "slice", "reshape", "matmul")),
        *(st.integers(0, 1000) for _ in range(4)),
    )
    steps = draw(st.lists(choices, min_size=1, max_size=7))

    def program(x, y):
        found = [x, y]
        for kind, a, b, c, d in steps:
            p, q = found[-1 - a % min(3, len(found))], found[b % len(found)]
            found.append(_step(kind, p, q, c, d))
        return found[-1], found[len(found) // 2] * 2

    return program, (shape, other)


def _step(kind, p, q, c, d):
    """One operation that is possible on ``p``, beside ``q`` if it fits."""
    dim = c % p.ndim if p.ndim else None
    if kind == "map" or p.ndim == 0:
        return MAPS[c % len(MAPS)](p)
    if kind == "zip":
        try:
            np.broadcast_shapes(p.shape, q.shape)
        except ValueError:
            q = p
        return ZIPS[c % len(ZIPS)](p, q)
    if kind in ("sum", "mean"):
        return getattr(p, kind)(dim, keepdim=bool(d % 2))
    if kind == "max":
        return p.max(dim, keepdim=True) if p.shape[dim] else p.sum(dim, keepdim=True)
    if kind == "view":
        return [p.T, p.unsqueeze(dim), p.transpose(0, dim), p.squeeze()][d % 4]
    if kind == "slice":
        return p[(slice(None),) * dim + (slice(None, None, (1, 2, -1)[d % 3]),)]
    if kind == "reshape":
        return p.reshape(-1)
    return p @ p.T if p.ndim == 2 else mtlib.naive.matmul(p, p) if p.ndim == 1 else p


@pytest.mark.usefixtures("plain")
@given(program=programs(), seed=st.integers(0, 2**16), columns=st.booleans())
@settings(max_examples=150)
def test_programs_by_chance(program, seed, columns):
    fn, both = program
    arrays = [np.asarray(fill("any", shape, np.float64, seed + i)) for i, shape in enumerate(both)]
    if columns:
        arrays = [np.asfortranarray(a) for a in arrays]
    check(fn, arrays, rtol=1e-7, atol=1e-7)


# --- What is fused --------------------------------------------------------------------------------


def shown(fn, *shapes):
    fused = mtlib.fuse(fn)
    fused(*(mtlib.rand(*shape, requires_grad=True) for shape in shapes))
    return fused


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


def test_a_naive_product_that_would_not_fit():
    """The intermediate of 512 GB is refused when it is run, and is no matter when it is fused."""
    n = 4000
    a = mtlib.ones(1, 1).expand(n, n)
    with pytest.raises(MemoryError, match="512"):
        mtlib.naive.matmul(a, a[:, :])
    row = mtlib.fuse(lambda a, b: mtlib.naive.matmul(a, b)[:1, :1])
    small = mtlib.fuse(mtlib.naive.matmul)(a[:2], a[:, :3])
    assert small.tolist() == [[n] * 3] * 2
    assert "fold_add" in shown(row, (8, 8), (8, 8)).source


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
    fused = shown(lambda x: (x.sum(1, keepdim=True) * x @ x.T).sum(1) + x.sum(1), (6, 6))
    kinds = [type(step).__name__ for step in fused.schedule.steps]
    assert kinds == ["Kernel", "Call", "Kernel"]


def test_one_text_is_compiled_once():
    first, second = mtlib.fuse(softmax), mtlib.fuse(softmax)
    before = execute._kernel.cache_info().misses
    first(mtlib.rand(9, 8)), first(mtlib.rand(5, 3)), second(mtlib.rand(7, 7))
    assert execute._kernel.cache_info().misses <= before + 1


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


@pytest.mark.usefixtures("plain")
def test_a_program_that_uses_each_step_twice():
    def program(x):
        for _ in range(60):
            x = x + x
        return x

    x = mtlib.ones(2)
    assert mtlib.fuse(program)(x).tolist() == [2.0**60] * 2


# --- Calling it -----------------------------------------------------------------------------------


def test_arguments_of_all_kinds():
    fused = mtlib.fuse(lambda x, *more, dim=0, how="sum", **named: getattr(x, how)(dim) + sum(more))
    x = mtlib.rand(3, 4, seed=0)
    np.testing.assert_allclose(fused(x, dim=1), x.sum(1))
    np.testing.assert_allclose(fused(x, 1, how="mean"), x.mean(0) + 1)
    np.testing.assert_allclose(fused(x, x[0], x[1], y=x), x.sum(0) + x[0] + x[1])


def test_one_tensor_for_two_arguments():
    x = mtlib.rand(3, requires_grad=True, seed=0)
    mtlib.fuse(lambda a, b: a * b)(x, x).backward(mtlib.ones(3))
    np.testing.assert_allclose(x.grad, x * 2)


def test_fused_inside_fused():
    inner = mtlib.fuse(lambda x: x.exp())
    outer = shown(lambda x: inner(x).sum(1), (3, 4))
    assert len(outer.schedule.steps) == 1


def test_a_function_of_the_reader():
    class Cube(mtlib.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_tensors
            return d * 3 * x * x

    check(lambda x, y, w: Cube.apply(x).sum(1), operands(), rtol=1e-9)


def test_gradients_only_where_they_are_wanted():
    fused = mtlib.fuse(lambda x, y: x * y)
    x, y = mtlib.rand(3, requires_grad=True), mtlib.rand(3)
    with mtlib.no_grad():
        assert not fused(x, y).requires_grad
    assert fused.backward == ()
    fused(x, y).backward(mtlib.ones(3))
    assert x.grad is not None
    assert y.grad is None
    assert len(fused.backward) == 1


def test_backward_twice():
    x = mtlib.rand(3, 4, requires_grad=True)
    y = mtlib.fuse(softmax)(x)
    y.backward(mtlib.ones(3, 4), retain_graph=True)
    y.backward(mtlib.ones(3, 4))
    with pytest.raises(RuntimeError, match=r"^backward: what softmax had saved was freed"):
        y.backward(mtlib.ones(3, 4))


def test_a_gradient_is_read_as_it_lies():
    """That of a sum is one number, stretched; it is not written down element by element."""
    x = mtlib.rand(20, 30, requires_grad=True, seed=0)
    y = mtlib.fuse(softmax)(x)
    with mtlib.trace() as t:
        y.sum().backward()
    names = [e.name for e in t.events if e.phase == "backward"]
    assert names == ["expand", "softmax_backward"]
    for d in (mtlib.rand(30, 20).T, mtlib.rand(20, 60)[:, ::-2], mtlib.ones(1, 1).expand(20, 30)):
        grads = []
        for fn in (softmax, mtlib.fuse(softmax)):
            x.grad = None
            fn(x).backward(d)
            grads.append(x.grad)
        np.testing.assert_allclose(*grads, rtol=1e-9, atol=1e-12)


def test_a_gradient_that_has_to_be_copied_first():
    x = mtlib.rand(6, 4, requires_grad=True, seed=0)
    flat = mtlib.fuse(lambda x: x.exp().view(2, 12).sum(1, keepdim=True) * x.view(2, 12))
    flat(x).backward(mtlib.rand(12, 2, seed=1).T)
    copied, x.grad = x.grad, None
    flat(x).backward(mtlib.rand(12, 2, seed=1).T.contiguous())
    np.testing.assert_allclose(copied, x.grad)


def test_gradcheck():
    x = mtlib.rand(3, 4, requires_grad=True, seed=0)
    assert mtlib.gradcheck(mtlib.fuse(softmax), [x])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_nothing_to_do(shape):
    arrays = [np.ones(shape), np.ones(shape)]
    check(lambda x, y: ((x * y).sum(1), (x + y).sum(0), x.exp(), (x * y).sum()), arrays)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_and_infinity():
    x = np.array([[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf, 0, 1], [0, -1, np.inf]])
    check(lambda x: (x.max(1), x.min(1), x.sum(1), 1 / x, x.relu(), x.exp()), [x])


def test_parameters_with_the_names_of_others():
    def program(i, ni, exp, sum3, each, part):
        return (i * ni + exp).sum(1) * sum3 + each[0] - part[0]

    arrays = [fill("any", (3, 4), np.float64, k) for k in range(3)]
    arrays += [fill("any", (3,), np.float64, k) for k in range(3)]
    check(program, arrays, rtol=1e-9)


def test_made_once_and_read_at_every_call():
    fused = mtlib.fuse(lambda x: x + mtlib.arange(3))
    assert fused(mtlib.zeros(3)).tolist() == fused(mtlib.zeros(3)).tolist() == [0, 1, 2]


def test_it_keeps_the_name_and_words_of_the_function():
    fused = mtlib.fuse(softmax)
    assert fused.__name__ == "softmax"
    assert fused.__wrapped__ is softmax
    assert repr(fused) == "fuse(softmax)"
    assert copy.copy(fused)(mtlib.zeros(1, 2)).tolist() == [[0.5, 0.5]]


# --- What is refused ------------------------------------------------------------------------------

OUTSIDE = mtlib.ones(2, 3)


@pytest.mark.parametrize(
    ("fn", "error", "says"),
    [
        (
            lambda x: x + OUTSIDE,
            ValueError,
            r"a tensor of shape \(2, 3\) that is not among its arg",
        ),
        (
            lambda x: x if x.sum() else -x,
            TypeError,
            r"asks for the values of a tensor of shape \(\)",
        ),
        (lambda x: x * x.sum().item(), TypeError, r"asks for the values of a tensor of shape \(\)"),
        (
            lambda x: x * np.asarray(x),
            TypeError,
            r"asks for the values of a tensor of shape \(2, 3",
        ),
        (lambda x: None, TypeError, r"must return a tensor or several, got NoneType"),
        (lambda x: [x, 1], TypeError, r"must return a tensor or several, got list"),
        (lambda x: x.view(4), ValueError, r"^view: shape \(2, 3\) has 6 elements"),
        (lambda x: x @ x, ValueError, r"^matmul: .*inner dimensions 3 and 2 differ"),
    ],
)
def test_programs_that_cannot_be_read(fn, error, says):
    x = mtlib.ones(2, 3)
    with mtlib.trace() as t, pytest.raises(error, match=says) as caught:
        mtlib.fuse(fn)(x)
    assert "\n" not in str(caught.value)
    assert t.buffers == t.events == []
    assert (x + 1).tolist() == [[2.0] * 3] * 2  # and everything runs as before


def test_arguments_that_are_refused():
    fused = mtlib.fuse(lambda x, y=1: x)
    with pytest.raises(TypeError, match=r"^fuse: x is a NumPy array; pass a tensor"):
        fused(np.ones(3))
    with pytest.raises(TypeError, match=r"^fuse: y is a list; pass tensors one by one"):
        fused(mtlib.ones(3), [mtlib.ones(3)])
    with pytest.raises(TypeError, match=r"^fuse: expected a function, got int"):
        mtlib.fuse(3)
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        fused()


def test_before_the_first_call():
    fused = mtlib.fuse(softmax)
    for name in ("graph", "schedule", "source", "backward"):
        with pytest.raises(RuntimeError, match=r"^fuse: call softmax once first"):
            getattr(fused, name)
    with pytest.raises(RuntimeError, match=r"^fuse: call softmax once first"):
        fused.explain()


def test_a_symbol_says_what_it_is():
    said = []
    mtlib.fuse(lambda x: said.append(repr(x)) or x)(mtlib.ones(2, 3))
    assert said == ["symbol(x, shape=(2, 3))"]


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

"""What the ledger states, against what is counted.

Reads and writes are those of a plain loop nest, of :mod:`mtlib.kernels.plain` or here in
``plain_nests.py``, which is run on arrays that count.  So are the kernels, each of which is a plain
Python function under its compiled form: how often they go to an operand is what must be moved.
"""

import numpy as np
import pytest

import mtlib
from mtlib.exercises.counting import Counting
from mtlib.kernels.jit import Kernel
from mtlib.kernels.products.matmul import ijk
from mtlib.kernels.rows import layer_norm, rms_norm
from mtlib.ops import zips

from . import plain_nests
from .strategies import DTYPES

pytestmark = pytest.mark.nojit


@pytest.fixture
def counted(monkeypatch):
    """Kernels run as Python from here on; what each got is put in the list."""
    runs = []

    def run(self, threads, *arrays):
        runs.append(counted_run(self.serial, *arrays))

    monkeypatch.setattr(Kernel, "run", run)
    return runs


def counted_run(function, *arrays):
    """Run the Python under a compiled function; the arrays of numbers, with what was counted."""
    arrays = [Counting.over(x) if getattr(x, "dtype", None) in DTYPES else x for x in arrays]
    getattr(function, "py_func", function)(*arrays)
    return [x for x in arrays if isinstance(x, Counting)]


def traffic(run) -> tuple[int, int]:
    """Loads from the operands and stores to the output of one kernel."""
    out, *operands = run
    return sum(x.loads.sum() for x in operands), out.stores.sum()


def stated(call, *operands):
    with mtlib.trace() as t:
        call(*operands)
    return t.reads, t.writes


A = mtlib.rand(3, 4, seed=0)
B = mtlib.rand(3, 4, seed=1)

LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.T,
    "stepped": lambda x: x[:, ::2],
    "reversed": lambda x: x[::-1, ::-1],
    "empty": lambda x: x[:0],
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


@every_layout
@pytest.mark.parametrize("name", ["sqrt", "relu", "__neg__"])
def test_map(counted, layout, name):
    a = layout(A)
    claim = stated(lambda a: getattr(a, name)(), a)
    assert claim == (a.size, a.size)
    assert sum(traffic(run)[0] for run in counted) == a.size
    assert sum(traffic(run)[1] for run in counted) == a.size


@every_layout
@pytest.mark.parametrize("f", [zips.add, zips.pow, zips.maximum])
def test_zip(counted, layout, f):
    a, b = layout(A), layout(B)
    claim = stated(f, a, b)
    assert claim == (2 * a.size, a.size)
    assert sum(traffic(run)[0] for run in counted) == 2 * a.size
    assert sum(traffic(run)[1] for run in counted) == a.size


def test_where(counted):
    claim = stated(mtlib.where, A, B, A)
    (run,) = counted
    loads, stores = traffic(run)
    assert claim == (loads, stores) == (3 * A.size, A.size)


@pytest.mark.parametrize("call", [lambda a: a.to("float32"), lambda a: a.T.contiguous()])
def test_copies(counted, call):
    claim = stated(call, A)
    assert claim == traffic(counted[0]) == (A.size, A.size)


def test_scatter(counted):
    x = mtlib.rand(3, 4, requires_grad=True)
    y = x[:, 1:3]
    d = mtlib.ones(3, 2)
    claim = stated(y.backward, d)
    assert claim == traffic(counted[0]) == (6, 6)


@every_layout
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("name", ["sum", "prod"])
def test_reduce(counted, layout, dim, name):
    a = layout(A)
    result = getattr(a, name)(dim)
    counted.clear()
    claim = stated(lambda a: getattr(a, name)(dim), a)
    assert claim == (a.size, result.size)
    for out, operand in counted:
        assert operand.loads.sum() == a.size
        assert (operand.loads <= 1).all()  # each once
        assert (out.stores > 0).all()
        assert out.size == result.size


@pytest.mark.parametrize(("m", "k", "n"), [(2, 4, 3), (1, 5, 1), (3, 0, 2)])
def test_matmul(m, k, n):
    """What the ledger states is the traffic of the plain loop nest."""
    a, b = mtlib.rand(m, k), mtlib.rand(k, n)
    claim = stated(mtlib.fused.matmul, a, b)
    run = counted_run(ijk, np.empty((m, n)), a.numpy(), b.numpy())
    assert claim == traffic(run) == (2 * m * k * n, m * n)
    _, x, y = run
    assert (x.loads == n).all()  # each element of a meets each column of b
    assert (y.loads == m).all()


def test_batches_count_too():
    assert stated(mtlib.fused.matmul, mtlib.rand(2, 1, 2, 4), mtlib.rand(3, 4, 3)) == (288, 36)


class Storage(Counting):
    """A storage of which a row can be taken, to be worked on where it lies.

    What is done to the row then is done in the cache; it counts as brought in once, or if it was
    written to, as sent back once.
    """

    @classmethod
    def over(cls, array):
        self = super().over(array)
        self.before, self.taken = array.copy(), np.zeros(array.shape, int)
        return self

    def __getitem__(self, key):
        if not isinstance(key, slice):
            return super().__getitem__(key)
        self.taken[key] += 1
        return self.view(np.ndarray)[key]

    def count_rows(self):
        if np.array_equal(self, self.before):
            self.loads += self.taken
        else:
            self.stores += self.taken


@pytest.fixture
def rows_counted(monkeypatch):
    """Kernels over rows run as Python from here on; (loads, stores) of each.

    What is copied to and from the workspace counts, labels too, and so do rows that are read where
    they lie; the workspace, which is not flat, does not.
    """
    runs = []

    def over(x):
        if type(x) is tuple:
            return tuple(map(over, x))
        return Storage.over(x) if getattr(x, "ndim", 0) == 1 else x

    def run(self, threads, *arrays):
        arrays = list(map(over, arrays))
        getattr(self.serial, "py_func", self.serial)(*arrays)
        groups = (x if type(x) is tuple else (x,) for x in arrays)
        flat = [x for group in groups for x in group if isinstance(x, Storage)]
        for x in flat:
            x.count_rows()
        assert all((x.loads <= 1).all() and (x.stores <= 1).all() for x in flat if x.size > 1)
        runs.append(tuple(sum(getattr(x, c).sum() for x in flat) for c in ("loads", "stores")))

    monkeypatch.setattr(Kernel, "run", run)
    collect = layer_norm.collect  # the one inner function that meets an operand
    for module in (layer_norm, rms_norm):
        monkeypatch.setattr(module, "collect", getattr(collect, "py_func", collect))
    return runs


def events(call, *operands) -> list:
    """The events of forward and of backward."""
    with mtlib.trace() as t:
        y = call(*operands)
        y.backward(mtlib.ones(y.shape))
    return [e for e in t.events if e.kind == "fused"]


def in_a_nest(nest, *arguments) -> tuple[int, int]:
    """Loads and stores of a plain loop nest, run on copies of arrays and on zeros for shapes."""
    counted = []

    def over(x):
        if isinstance(x, list):
            return [over(y) for y in x]
        if isinstance(x, tuple):
            x = np.zeros(x)
        if not isinstance(x, np.ndarray):
            return x
        counted.append(Counting.over(x.copy()))
        return counted[-1]

    nest(*map(over, arguments))
    return tuple(int(sum(getattr(x, c).sum() for x in counted)) for c in ("loads", "stores"))


def claims(events) -> list[tuple[int, int]]:
    return [(e.reads, e.writes) for e in events]


def moved(events) -> list[int]:
    """In elements of 8 bytes."""
    return [e.moved // 8 for e in events]


row_layouts = pytest.mark.parametrize("layout", ["contiguous", "transposed", "stepped", "reversed"])


def leaf(layout: str):
    x = LAYOUTS[layout](mtlib.rand(6, 5, seed=2)).detach()
    x.requires_grad = True
    return x


@row_layouts
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(rows_counted, layout, dim, name):
    """Each element is brought in once and sent back once, however often it is needed."""
    x, logarithm = leaf(layout), name == "log_softmax"
    done = events(lambda x: getattr(mtlib.fused, name)(x, dim), x)
    rows = (x if dim == 1 else x.T).numpy()
    backward = plain_nests.log_softmax_backward if logarithm else plain_nests.softmax_backward
    assert claims(done) == [
        in_a_nest(plain_nests.softmax, rows.shape, rows, logarithm),
        in_a_nest(backward, rows.shape, rows, rows),
    ]
    assert moved(done) == [loads + stores for loads, stores in rows_counted]
    assert moved(done) == [2 * x.size, 3 * x.size]


@row_layouts
def test_cross_entropy(rows_counted, layout):
    """The kernels look up labels too, which are no tensor and are not said to move."""
    x = leaf(layout)
    n, rows = x.size, len(x)
    done = events(lambda x: mtlib.fused.cross_entropy(x, [0] * rows, "none"), x)
    a, each = x.numpy(), (rows,)
    assert claims(done) == [
        in_a_nest(plain_nests.cross_entropy, each, each, each, a, each),
        in_a_nest(plain_nests.cross_entropy_backward, a.shape, a, each, each, np.ones(each), each),
    ]
    assert moved(done) == [loads + stores - rows for loads, stores in rows_counted]
    assert moved(done) == [n + 3 * rows, 2 * n + 3 * rows]


@row_layouts
def test_layer_norm(rows_counted, layout):
    """Weight and bias are brought in once for all rows, and so are their gradients sent back."""
    x = leaf(layout)
    n, (rows, c) = x.size, x.shape
    weight, bias = (mtlib.ones(c, requires_grad=True) for _ in range(2))
    done = events(lambda x, w, b: mtlib.fused.layer_norm(x, c, w, b), x, weight, bias)
    a, w, each = x.numpy(), np.ones(c), (rows,)
    assert claims(done) == [
        in_a_nest(plain_nests.layer_norm, a.shape, each, each, each, a, w, w),
        in_a_nest(plain_nests.layer_norm_backward, *(a.shape, w, w, a, a, w), each, each, each),
    ]
    assert moved(done) == [loads + stores for loads, stores in rows_counted]
    assert moved(done) == [2 * n + 2 * c + 3 * rows, 3 * n + 3 * rows + 3 * c]


@row_layouts
def test_rms_norm(rows_counted, layout):
    x = leaf(layout)
    n, (rows, c) = x.size, x.shape
    weight = mtlib.ones(c, requires_grad=True)
    done = events(lambda x, w: mtlib.fused.rms_norm(x, c, w), x, weight)
    a, w, each = x.numpy(), np.ones(c), (rows,)
    assert claims(done) == [
        in_a_nest(plain_nests.rms_norm, a.shape, each, a, w),
        in_a_nest(plain_nests.rms_norm_backward, a.shape, w, a, a, w, each),
    ]
    assert moved(done) == [loads + stores for loads, stores in rows_counted]
    assert moved(done) == [2 * n + c + rows, 3 * n + rows + 2 * c]


@pytest.mark.parametrize("given", [(), ("weight",), ("bias",)])
def test_layer_norm_of_what_is_given(given):
    x = leaf("contiguous")
    affine = {name: mtlib.ones(5, requires_grad=True) for name in given}
    forward, backward = events(lambda x: mtlib.fused.layer_norm(x, 5, **affine), x)
    n, rows = x.size, len(x)
    assert (forward.reads, forward.writes) == ((3 + len(given)) * n, n + 3 * rows)
    weights = given.count("weight")
    reads = (4 + 2 * weights + len(given)) * n + 3 * rows
    assert (backward.reads, backward.writes) == (reads, (1 + len(given)) * n)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, "bools", "numbers"])
def test_attention(mask, causal):
    """Of two matrices; scores are made and used, and never moved."""
    q, k, v = (mtlib.rand(2, *shape, requires_grad=True) for shape in ((7, 3), (5, 3), (5, 2)))
    mask = {
        None: None,
        "bools": np.ones((7, 5), bool),
        "numbers": mtlib.zeros(2, 7, 5, requires_grad=True),
    }[mask]
    forward, backward = events(lambda *x: mtlib.fused.attention(*x, mask, causal), q, k, v)
    of_one = [x[0].numpy() for x in (q, k, v)]
    scores = None if mask is None else (7, 5)
    shapes = [(7, 3), (5, 3), (5, 2), *([(7, 5)] if isinstance(mask, mtlib.Tensor) else [])]
    once = in_a_nest(plain_nests.attention, (7, 2), (7,), (5,), *of_one, scores, causal)
    back = in_a_nest(
        plain_nests.attention_backward, shapes, *of_one, scores, (7, 2), (7,), (7, 2), causal
    )
    assert (forward.reads, forward.writes) == tuple(2 * n for n in once)
    assert (backward.reads, backward.writes) == tuple(2 * n for n in back)
    elements = 2 * (7 * 3 + 5 * 3 + 5 * 2 + 7 * 2 + 7)
    extra = 0 if mask is None else (35 if isinstance(mask, np.ndarray) else 8 * 70)
    assert forward.moved == 8 * elements + extra

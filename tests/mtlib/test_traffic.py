"""Reads and writes as stated, against loads and stores as counted.

Each kernel is a plain Python function under its compiled form. Here that function is run, on arrays
that count.
"""

from functools import partial

import numpy as np
import pytest

import mtlib
from mtlib.exercises.counting import Counting
from mtlib.kernels.attention import attention
from mtlib.kernels.attention import blocks as attention_blocks
from mtlib.kernels.jit import Kernel
from mtlib.kernels.products.matmul import ijk
from mtlib.kernels.rows import layer_norm
from mtlib.ops import zips

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


@pytest.fixture
def counted_attention(monkeypatch):
    """The loops of attention run as Python from here on, in small blocks; (loads, stores) of each.

    Products of blocks, which load nothing but workspace, are left to NumPy.
    """
    runs = []

    def run(self, threads, storages, *rest):
        storages = type(storages)(*map(Counting.over, storages))
        getattr(self.serial, "py_func", self.serial)(storages, *rest)
        loads, stores = (sum(getattr(x, c).sum() for x in storages) for c in ("loads", "stores"))
        runs.append((loads, stores))

    for module in (attention, attention_blocks):
        for name, value in vars(module).items():
            monkeypatch.setattr(module, name, getattr(value, "py_func", value))
    for kernel in (attention._forward, attention._backward):
        monkeypatch.setattr(kernel, "run", partial(run, kernel))
    monkeypatch.setattr(
        attention_blocks, "multiply", lambda out, a, b, *_: np.matmul(a, b, out=out)
    )
    monkeypatch.setattr(attention, "QUERIES", 3)
    monkeypatch.setattr(attention, "KEYS", 2)
    return runs


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, "bools", "numbers"])
def test_attention(counted_attention, mask, causal):
    """Queries are loaded once; keys and values once for each block of queries that sees them."""
    q, k, v = (mtlib.rand(2, *shape, requires_grad=True) for shape in ((7, 3), (5, 3), (5, 2)))
    mask = {
        None: None,
        "bools": np.ones((7, 5), bool),
        "numbers": mtlib.zeros(7, 5, requires_grad=True),
    }[mask]
    d = mtlib.ones(2, 7, 2)
    with mtlib.trace() as t:
        mtlib.fused.attention(q, k, v, mask, causal).backward(d)
    assert [e.name for e in t.events if e.kind == "fused"] == ["attention", "attention_backward"]
    claimed = [(e.reads, e.writes) for e in t.events if e.kind == "fused"]
    assert claimed == counted_attention
    met = 3 + 5 + 5 if causal else 5 + 5 + 5
    masked = (3 * 3 + 3 * 5 + 5 if causal else 7 * 5) if mask is not None else 0
    assert counted_attention[0] == (2 * (7 * 3 + met * (3 + 2) + masked), 2 * 7 * (2 + 1))


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

    def run(self, threads, *arrays):
        arrays = [Storage.over(x) if getattr(x, "ndim", 0) == 1 else x for x in arrays]
        getattr(self.serial, "py_func", self.serial)(*arrays)
        flat = [x for x in arrays if isinstance(x, Storage)]
        for x in flat:
            x.count_rows()
        assert all((x.loads <= 1).all() and (x.stores <= 1).all() for x in flat if x.size > 1)
        runs.append(tuple(sum(getattr(x, c).sum() for x in flat) for c in ("loads", "stores")))

    monkeypatch.setattr(Kernel, "run", run)
    collect = layer_norm._collect  # the one inner function that meets an operand
    monkeypatch.setattr(layer_norm, "_collect", getattr(collect, "py_func", collect))
    return runs


def both_ways(call, *operands) -> list[tuple[int, int]]:
    """What is stated for forward and for backward."""
    with mtlib.trace() as t:
        y = call(*operands)
        y.backward(mtlib.ones(y.shape))
    return [(e.reads, e.writes) for e in t.events if e.kind == "fused"]


row_layouts = pytest.mark.parametrize("layout", ["contiguous", "transposed", "stepped", "reversed"])


def leaf(layout: str):
    x = LAYOUTS[layout](mtlib.rand(6, 5, seed=2)).detach()
    x.requires_grad = True
    return x


@row_layouts
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("f", [mtlib.fused.softmax, mtlib.fused.log_softmax])
def test_softmax(rows_counted, layout, dim, f):
    """Each element is brought in once and sent back once, however often it is needed."""
    x = leaf(layout)
    claims = both_ways(lambda x: f(x, dim), x)
    assert claims == rows_counted == [(x.size, x.size), (2 * x.size, x.size)]


@row_layouts
def test_cross_entropy(rows_counted, layout):
    """The logits and a label for each row; a loss, the largest and a sum for each row."""
    x = leaf(layout)
    n, rows = x.size, len(x)
    claims = both_ways(lambda x: mtlib.fused.cross_entropy(x, [0] * rows, "none"), x)
    assert claims == rows_counted == [(n + rows, 3 * rows), (n + 4 * rows, n)]


@row_layouts
def test_layer_norm(rows_counted, layout):
    """Weight and bias are brought in once for all rows, and so are their gradients sent back."""
    x = leaf(layout)
    n, (rows, c) = x.size, x.shape
    weight, bias = (mtlib.ones(c, requires_grad=True) for _ in range(2))
    claims = both_ways(lambda x, w, b: mtlib.fused.layer_norm(x, c, w, b), x, weight, bias)
    assert claims == [(n + 2 * c, n + 3 * rows), (2 * n + 3 * rows + c, n + 2 * c)]
    assert claims == rows_counted

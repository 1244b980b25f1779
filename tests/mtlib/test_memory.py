"""What cannot fit is refused, and the ledger's bytes are those that Python's own tracer sees."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mtlib
from mtlib import memory
from mtlib.mode import treated

N = 1_000_000  # elements: 8 MB, beside which a few Python objects are nothing
ONES = np.ones((1000, 1000))


def softmax(x):
    e = (x - x.max(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def train(x, w):
    (x @ w).relu().sum().backward()


WORK = {
    "map": lambda x: x.exp().sum().backward(),
    "zip": lambda x: ((x * x + 1) / (x + 2)).sum().backward(),
    "scalar": lambda x: (2 - x * 0.5).sum().backward(),
    "power": lambda x: (x**2).sum().backward(),
    "where": lambda x: mtlib.where(x > 0.5, x, 0).sum().backward(),
    "reduce": lambda x: (x.max(1).sum() + x.var()).backward(),
    "prod": lambda x: x[:, :3].prod(1).sum().backward(),
    "views": lambda x: (x.T.reshape(-1)[::-2] * 2).sum().backward(),
    "softmax": lambda x: softmax(x).log().mean().backward(),
    "cast": lambda x: (x.to("float32") * 2).sum().backward(),
    "fused": lambda x: (x @ x.T[:, :40]).sum().backward(),
    "naive": lambda x: mtlib.naive.matmul(x[:, :20], x.T[:20, :40]).sum().backward(),
    "makers": lambda x: (mtlib.rand(N) + mtlib.arange(N) + mtlib.tensor(x.numpy()).view(N)).sum(),
    "tensor": lambda x: mtlib.tensor(x.numpy().T[::2], dtype="float32"),
    "array": lambda x: x * ONES,
    "repr": lambda x: repr(x * 2),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_peak_bytes_is_what_tracemalloc_sees(work):
    """Within 1 %; and what is live at the end too."""
    work(mtlib.rand(1000, 1000, requires_grad=True, seed=0))  # compile
    x = mtlib.rand(1000, 1000, requires_grad=True, seed=0)
    tracemalloc.start()
    try:
        with mtlib.trace() as t:
            base, _ = tracemalloc.get_traced_memory()
            kept = work(x)
            live, peak = (n - base for n in tracemalloc.get_traced_memory())
            said = t.live_bytes[-1]
    finally:
        tracemalloc.stop()
    assert t.peak_bytes >= 2 * N
    assert t.peak_bytes == pytest.approx(peak, rel=0.01)
    assert said == pytest.approx(live, rel=0.01, abs=0.01 * t.peak_bytes)
    del kept


@pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused])
def test_what_a_product_saves_is_held(module):
    """Of the storages that backward needs, not one more."""
    a = mtlib.rand(60, 50, requires_grad=True, seed=0)
    b = mtlib.rand(50, 40, requires_grad=True, seed=1)
    with mtlib.trace() as t:
        c = module.matmul(a, b)
    products = 60 * 50 * 40 if module is mtlib.naive else 0
    assert t.live_bytes[-1] == 8 * (products + c.size)
    assert t.saved_bytes == 8 * (products + a.size + b.size)


class TestAllocate:
    def test_the_array_is_flat(self):
        array = memory.allocate((2, 3), np.float32, "test", zero=True)
        assert (array.shape, array.dtype) == ((6,), np.float32)
        assert not array.any()
        assert memory.allocate((), float, "test").shape == (1,)
        assert memory.allocate((5, 0), float, "test").shape == (0,)

    def test_workspace_is_entered_as_such(self):
        with mtlib.trace() as t:
            memory.allocate((10,), float, "scratch", role="workspace")
        (buffer,) = t.buffers
        assert (buffer.name, buffer.role, buffer.nbytes) == ("scratch", "workspace", 80)
        assert (buffer.born, buffer.died) == (1, 2)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: mtlib.zeros(10**6, 10**6, 10**6),
            lambda: mtlib.rand(10**18),
            lambda: mtlib.arange(10**18),
            lambda: mtlib.full((10**9, 10**9), 1.0),
            lambda: mtlib.zeros(1).expand(10**18) + 1,
            lambda: mtlib.zeros(1).expand(10**18).reshape(10**9, 10**9).T.contiguous(),
        ],
    )
    def test_what_cannot_fit_is_refused_before_it_starts(self, make):
        says = r"^\w+: an array of shape \(.*\) would take 8\.0 EB, and [\d.]+ \w+ are available$"
        with mtlib.trace() as t, pytest.raises(MemoryError, match=says):
            make()
        assert sum(b.nbytes for b in t.buffers) <= 16

    def test_an_array_larger_than_what_is_free(self, monkeypatch):
        monkeypatch.setattr(memory, "available_bytes", lambda: 10**8)
        assert mtlib.zeros(10**7).size == 10**7
        with pytest.raises(MemoryError, match=r"would take 160\.0 MB, and 100\.0 MB are available"):
            mtlib.zeros(2 * 10**7)


def test_in_a_rehearsal_nothing_is_made_or_computed():
    a, b = mtlib.ones(2, 3), mtlib.ones(2, 3)
    with treated(rehearsing=True):
        results = [a.exp(), a + b, mtlib.where(a, a, b), a.sum(0), a.T.contiguous()]
    assert [x.shape for x in results] == [(2, 3), (2, 3), (2, 3), (3,), (3, 2)]
    assert all(x.storage.size == 0 for x in results)


class TestAvailable:
    """As the operating system tells, and no more than there is."""

    def read(self, monkeypatch, files):
        def read_text(path):
            if str(path) not in files:
                raise FileNotFoundError(path)
            return files[str(path)]

        monkeypatch.setattr(Path, "read_text", read_text)
        return memory.available_bytes()

    def test_here_and_now(self):
        assert 0 < memory.available_bytes() <= memory._physical_bytes()

    def test_nothing_is_told(self, monkeypatch):
        assert self.read(monkeypatch, {}) == memory._physical_bytes()
        monkeypatch.setattr(memory.os, "sysconf", lambda name: -1 if "PHYS" in name else 1)
        monkeypatch.delattr(memory.os, "sysconf")
        assert self.read(monkeypatch, {}) == 1 << 62

    def test_linux(self, monkeypatch):
        info = "MemTotal: 9 kB\nMemFree: 5 kB\nMemAvailable:     7 kB\n"
        assert self.read(monkeypatch, {"/proc/meminfo": info}) == 7 * 1024

    @pytest.mark.parametrize(("current", "free"), [("60000", 40000), ("200000", 0)])
    def test_a_container(self, monkeypatch, current, free):
        group = "/sys/fs/cgroup/memory."
        files = {group + "max": "100000\n", group + "current": current}
        assert self.read(monkeypatch, files) == free

    def test_a_container_without_a_limit(self, monkeypatch):
        group = "/sys/fs/cgroup/memory."
        files = {group + "max": "max\n", group + "current": "5"}
        assert self.read(monkeypatch, files) == memory._physical_bytes()


@pytest.mark.parametrize(
    ("nbytes", "says"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (134_217_728, "134.2 MB"),
        (10**18, "1.0 EB"),
        (10**22, "10,000.0 EB"),
    ],
)
def test_bytes_for_people(nbytes, says):
    assert memory.human(nbytes) == says

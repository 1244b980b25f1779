"""What cannot fit is refused, and the ledger's bytes are those that Python's own tracer sees."""

import tracemalloc

import numpy as np
import pytest

import mtlib
from mtlib.runtime import memory
from mtlib.runtime.mode import treated

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


class TestSizesPast64Bits:
    """They are refused by name, be it that nothing would have to be made."""

    LARGE = 1 << 40

    @pytest.mark.parametrize(
        ("name", "make"),
        [
            ("zeros", lambda n: mtlib.zeros(n, n)),
            ("ones", lambda n: mtlib.ones(n * n)),
            ("full", lambda n: mtlib.full((n, n), 1.0)),
            ("rand", lambda n: mtlib.rand(n, n)),
            ("randn", lambda n: mtlib.randn(n, n)),
            ("arange", lambda n: mtlib.arange(n * n)),
            ("matmul", lambda n: mtlib.ones(1, 1).expand(n, 1) @ mtlib.ones(1, 1).expand(1, n)),
        ],
    )
    def test_of_a_new_array(self, name, make):
        says = (
            rf"^{name}: an array of shape \(.*\) would take 9,671,406.6 EB, and .* are available$"
        )
        with pytest.raises(MemoryError, match=says):
            make(self.LARGE)

    @pytest.mark.parametrize(
        ("name", "make"),
        [
            ("zeros", lambda n: mtlib.zeros(n, n, 0)),
            ("view", lambda n: mtlib.zeros(0, 1).view(n, n, 0)),
            ("expand", lambda n: mtlib.zeros(1).expand(n, n)),
            ("expand", lambda n: mtlib.zeros(1).expand(n * n)),
            ("broadcast_to", lambda n: mtlib.zeros(1).broadcast_to(n, n)),
            ("add", lambda n: mtlib.zeros(1, 1).expand(n, 1) + mtlib.zeros(1, 1).expand(1, n)),
            ("gt", lambda n: mtlib.zeros(1, 1).expand(n, 1) > mtlib.zeros(1, 1).expand(1, n)),
            (
                "where",
                lambda n: mtlib.where(
                    mtlib.zeros(1, 1).expand(n, 1), mtlib.zeros(1, 1).expand(1, n), 0.0
                ),
            ),
            (
                "add",
                lambda n: mtlib.fuse(lambda x, y: x + y)(
                    mtlib.zeros(1, 1).expand(n, 1), mtlib.zeros(1, 1).expand(1, n)
                ),
            ),
        ],
    )
    def test_of_a_shape(self, name, make):
        says = rf"^{name}: shape \(.*\) is larger than 64 bits can address$"
        with pytest.raises(MemoryError, match=says):
            make(self.LARGE)

    def test_the_largest_that_NumPy_can_show(self):
        assert mtlib.zeros(1).expand((1 << 60) - 1).numpy().shape == ((1 << 60) - 1,)
        with pytest.raises(MemoryError, match=r"^expand: "):
            mtlib.zeros(1).expand(1 << 60)


MACHINE = {"proc/meminfo": "MemTotal: 9 kB\nMemFree: 5 kB\nMemAvailable:     7 kB\n"}
OWN = {"proc/self/cgroup": "0::/jobs/mine\n"}
VERSION_1 = {"proc/self/cgroup": "5:cpu,memory:/docker/ab:c\n4:devices:/\n0::/\n"}


class TestAvailable:
    """As the operating system tells, and no more than there is."""

    @pytest.fixture
    def tells(self, tmp_path):
        """What is available where these files, and no others, are."""

        def available(**files):
            for name, text in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return memory.available_bytes(tmp_path)

        return available

    def test_here_and_now(self):
        assert 0 < memory.available_bytes() <= memory._physical_bytes()

    def test_nothing_is_told(self, tells, monkeypatch):
        assert tells() == memory._physical_bytes()
        monkeypatch.setattr(memory.os, "sysconf", lambda name: -1 if "PHYS" in name else 1)
        monkeypatch.delattr(memory.os, "sysconf")
        assert tells() == 1 << 62

    def test_linux(self, tells):
        assert tells(**MACHINE) == 7 * 1024

    @pytest.mark.parametrize(("current", "free"), [("60000", 40000), ("200000", 0)])
    def test_a_container(self, tells, current, free):
        group = "sys/fs/cgroup/memory."
        assert tells(**{group + "max": "100000\n", group + "current": current}) == free

    def test_a_container_without_a_limit(self, tells):
        group = "sys/fs/cgroup/memory."
        files = {group + "max": "max\n", group + "current": "5"}
        assert tells(**files) == memory._physical_bytes()

    @staticmethod
    def group_2(folder, most, current, cache):
        return {
            f"sys/fs/cgroup{folder}/memory.max": f"{most}\n",
            f"sys/fs/cgroup{folder}/memory.current": f"{current}\n",
            f"sys/fs/cgroup{folder}/memory.stat": f"anon 17\nfile 900\ninactive_file {cache}\n",
        }

    @staticmethod
    def group_1(folder, most, current, cache):
        stat = f"cache 900\ninactive_file 1\ntotal_cache 950\ntotal_inactive_file {cache}\n"
        return {
            f"sys/fs/cgroup/memory{folder}/memory.limit_in_bytes": f"{most}\n",
            f"sys/fs/cgroup/memory{folder}/memory.usage_in_bytes": f"{current}\n",
            f"sys/fs/cgroup/memory{folder}/memory.stat": stat,
        }

    def test_copies_of_files_are_not_counted_as_used(self, tells):
        assert tells(**self.group_2("", 4000, 3900, 1500)) == 1600

    @pytest.mark.parametrize(
        ("above", "own", "free"),
        [((5000, 1000, 0), ("max", 900, 0), 4000), ((5000, 1000, 0), (1500, 900, 200), 800)],
        ids=["of the one above", "its own"],
    )
    def test_the_least_of_the_groups_that_it_is_in(self, tells, above, own, free):
        groups = self.group_2("/jobs", *above) | self.group_2("/jobs/mine", *own)
        others = self.group_2("/jobs/theirs", 10, 0, 0) | self.group_2("/other", 10, 0, 0)
        assert tells(**OWN, **groups, **others) == free

    def test_no_more_than_the_machine_has(self, tells):
        assert tells(**OWN, **self.group_2("/jobs", 90_000, 0, 0), **MACHINE) == 7 * 1024

    UNLIMITED = (9223372036854771712, 10, 0)

    def test_version_1(self, tells):
        groups = self.group_1("", *self.UNLIMITED) | self.group_1("/docker/ab:c", 4000, 3000, 700)
        assert tells(**VERSION_1, **groups) == 1700

    def test_version_1_as_a_container_sees_it(self, tells):
        """The path is that on the host; here the group is the mount itself."""
        assert tells(**VERSION_1, **self.group_1("", 4000, 3000, 700)) == 1700

    def test_version_1_without_a_limit(self, tells):
        groups = self.group_1("", *self.UNLIMITED)
        assert tells(**VERSION_1, **groups) == memory._physical_bytes()


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

"""What is particular to multiplying matrices: see test_composites for the rest."""

import numpy as np
import pytest

import mtlib

from .strategies import DTYPES, fill

pytestmark = pytest.mark.nojit

both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])


def test_the_operator_is_the_fused_one():
    a, b = mtlib.ones(2, 4), mtlib.ones(4, 3)
    with mtlib.trace() as t:
        _ = a @ b, a.matmul(b), mtlib.matmul(a, b)
    assert [e.name for e in t.events] == ["matmul"] * 3


def check_product(result, a: np.ndarray, b: np.ndarray) -> None:
    """Within k · eps · |a| |b|: each of k products and k sums is rounded once (Higham, 3.5)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[-1]
    expected, sizes = np.matmul(a, b), np.matmul(abs(a), abs(b))
    assert result.shape == expected.shape
    eps = np.finfo(result.dtype).eps
    assert (np.abs(result.numpy() - expected) <= (k + 1) * eps * sizes).all()


@both
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 0), (0, 3)),
        ((0, 4), (4, 3)),
        ((2, 4), (4, 0)),
        ((0, 0), (0, 0)),
        ((0,), (0,)),
        ((3, 2, 0), (0, 4)),
        ((0, 2, 3), (3, 4)),
        ((2, 1, 2, 3), (5, 3, 4)),
        ((1, 1), (1, 1)),
        ((2, 3, 1, 4), (2, 1, 4, 2)),
        ((3, 1, 2, 1, 2), (1, 2, 1, 2, 3)),
    ],
)
def test_corners(module, a, b):
    """Where there is nothing to add up the sum is 0; batches that no single stride walks."""
    x, y = fill("any", a, np.float64, 1), fill("any", b, np.float64, 2)
    s, t = mtlib.tensor(x, requires_grad=True), mtlib.tensor(y, requires_grad=True)
    result = module.matmul(s, t)
    check_product(result, x, y)
    result.sum().backward()
    assert s.grad.shape == a
    assert t.grad.shape == b


@both
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (1, 0, 2, 3), (1, 0, 3, 2), (0, 1, 3, 2)])
@pytest.mark.parametrize("step", [1, -1, -2])
def test_batches_of_batches_on_permuted_and_reversed_operands(module, axes, step):
    x = fill("any", (4, 4, 4, 4), np.float64, 1).transpose(axes)[::step, ::2, ::step, :]
    y = fill("any", (1, 4, 4, 4), np.float64, 2).transpose(0, 1, 3, 2)[:, ::-2, ::-1, ::step]
    check_product(module.matmul(mtlib.from_numpy(x), mtlib.from_numpy(y)), x, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(65, 70, 67), (1, 300, 200), (257, 3, 129), (100, 100, 1)])
def test_every_sum_is_rounded_no_more_than_it_must_be(dtype, shape):
    m, k, n = shape
    x, y = fill("any", (m, k), dtype, 1), fill("any", (k, n), dtype, 2)
    check_product(mtlib.from_numpy(x) @ mtlib.from_numpy(y), x, y)


class TestWhatRuns:
    def test_the_naive_pipeline(self):
        a, b = mtlib.rand(2, 4, seed=0), mtlib.rand(4, 3, seed=1)
        with mtlib.trace() as t:
            mtlib.naive.matmul(a, b)
        steps = [(e.kind, e.output_shapes[0], e.output_strides[0]) for e in t.events]
        views, rest = steps[:4], steps[4:]
        assert sorted(views) == [
            ("view", (1, 4, 3), (12, 3, 1)),
            ("view", (2, 4, 1), (4, 1, 1)),
            ("view", (2, 4, 3), (0, 3, 1)),  # each stretched along what it lacks
            ("view", (2, 4, 3), (4, 1, 0)),
        ]
        assert rest == [
            ("zip", (2, 4, 3), (12, 3, 1)),
            ("reduce", (2, 1, 3), (3, 3, 1)),
            ("view", (2, 3), (3, 1)),
        ]
        assert [(e.reads, e.writes) for e in t.events[4:]] == [(48, 24), (24, 6), (0, 0)]

    def test_fused_makes_nothing_but_the_result(self):
        a, b = mtlib.rand(2, 4, seed=0), mtlib.rand(4, 3, seed=1)
        with mtlib.trace() as t:
            c = a @ b
        (event,) = t.events
        assert (event.name, event.kind, event.phase) == ("matmul", "fused", "forward")
        assert event.input_strides == ((4, 1), (3, 1))
        assert t.peak_bytes == event.bytes_allocated == c.nbytes

    @pytest.mark.parametrize("transposed", [False, True])
    def test_backward_copies_no_operand(self, transposed):
        a, b = mtlib.rand(5, 4, requires_grad=True, seed=0), mtlib.rand(4, 3, requires_grad=True)
        c, d = a @ b, mtlib.ones(5, 3)
        if transposed:
            a, b = mtlib.rand(4, 5, requires_grad=True), mtlib.rand(3, 4, requires_grad=True)
            c = a.T @ b.T
        with mtlib.trace() as t:
            c.backward(d)
        assert {e.name for e in t.events if e.kind != "view"} == {"matmul"}
        assert len(t.by_name("matmul")) == 2
        if not transposed:  # else the gradient of a view is copied into the layout of its leaf
            assert t.peak_bytes == a.nbytes + b.nbytes  # the two gradients
            assert t.allocated_bytes == t.peak_bytes

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused])
    def test_what_is_saved(self, module):
        m, k, n = 2, 4, 3
        saved = m * k + k * n + (m * k * n if module is mtlib.naive else 0)
        a, b = mtlib.rand(m, k, requires_grad=True), mtlib.rand(k, n, requires_grad=True)
        with mtlib.trace() as t:
            c = module.matmul(a, b)
        assert t.saved_bytes == 8 * saved
        del c
        with mtlib.trace() as t, mtlib.no_grad():
            module.matmul(a, b)
        assert t.saved_bytes == 0


class TestErrors:
    @both
    @pytest.mark.parametrize(
        ("a", "b", "says"),
        [
            ((2, 4), (3, 5), r"(2, 4) @ (3, 5): inner dimensions 4 and 3 differ"),
            ((4,), (3,), r"(4,) @ (3,): inner dimensions 4 and 3 differ"),
            ((4,), (3, 4), r"(4,) @ (3, 4): inner dimensions 4 and 3 differ"),
            ((2, 4), (3,), r"(2, 4) @ (3,): inner dimensions 4 and 3 differ"),
            ((0, 4), (0, 3), r"(0, 4) @ (0, 3): inner dimensions 4 and 0 differ"),
            ((), (3,), r"() @ (3,): the left operand is a scalar; use *"),
            ((2, 3), (), r"(2, 3) @ (): the right operand is a scalar; use *"),
            (
                (2, 3, 4),
                (3, 4, 5),
                r"(2, 3, 4) @ (3, 4, 5): batch dimensions (2,) and (3,) do not broadcast",
            ),
        ],
    )
    def test_shapes(self, module, a, b, says):
        a, b = mtlib.zeros(a), mtlib.zeros(b, dtype="float32")
        with mtlib.trace() as t, pytest.raises(ValueError, match=r"^matmul: ") as caught:
            module.matmul(a, b)
        assert str(caught.value) == f"matmul: {says}"
        assert t.buffers == t.events == []

    @both
    @pytest.mark.parametrize("other", [2, 2.0, [[1.0]], None, "a", np.float64(1)])
    def test_only_tensors_and_arrays(self, module, other):
        for pair in ((mtlib.ones(2, 2), other), (other, mtlib.ones(2, 2))):
            with pytest.raises(TypeError, match=r"^matmul: operands must be tensors, got "):
                module.matmul(*pair)

    def test_the_operator_leaves_what_it_does_not_know_to_python(self):
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for @"):
            mtlib.ones(2) @ "a"
        with pytest.raises(TypeError, match=r"operands must be tensors, got int"):
            mtlib.ones(2) @ 2

    @both
    def test_arrays_of_other_dtypes(self, module):
        a, b = mtlib.ones(2, 2), np.ones((2, 2))
        check_product(module.matmul(a, b.astype(int)), a.numpy(), b)
        check_product(module.matmul(b.astype(bool), a), b, a.numpy())
        with pytest.raises(TypeError, match=r"^matmul: dtype complex128 is not supported"):
            module.matmul(a, b * 1j)
        product = b @ a
        assert isinstance(product, mtlib.Tensor)
        check_product(product, b, a.numpy())

    def test_a_naive_product_too_large_for_memory(self):
        a, b = mtlib.ones(1, 1).expand(10**5, 10**5), mtlib.ones(1, 1).expand(10**5, 10**5)
        says = (
            r"^matmul: the zipped intermediate of shape \(100000, 100000, 100000\) would take "
            r"8\.0 PB, and .* are available$"
        )
        with mtlib.trace() as t, pytest.raises(MemoryError, match=says):
            mtlib.naive.matmul(a, b)
        assert t.buffers == t.events == []

    def test_a_fused_product_too_large_for_memory(self):
        a = mtlib.ones(1, 1).expand(10**7, 1)
        with (
            mtlib.trace() as t,
            pytest.raises(MemoryError, match=r"^matmul: an array of .* 800\.0 TB"),
        ):
            a @ a.T
        assert t.buffers == []


def test_no_matrices_need_no_workspace():
    a = mtlib.ones(0, 200, 200).transpose(-1, -2)
    with mtlib.trace() as t:
        assert (a @ a).shape == (0, 200, 200)
    assert [buffer.role for buffer in t.buffers] == ["result"]

"""What is particular to softmax and its logarithm: see test_composites for the rest."""

import numpy as np
import pytest

import mtlib
from mtlib.kernels.jit import threads_for
from mtlib.kernels.plans import rows as rows_

from .composites import REFERENCES
from .strategies import DTYPES, fill
from .strips import small_strips

nojit = pytest.mark.nojit
both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
each = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


def check(name, result, x: np.ndarray, dim: int) -> None:
    """Within some units in the last place of what NumPy gets in float64."""
    x = x.astype(np.float64)
    expected, eps = REFERENCES[name](x, dim), np.finfo(result.dtype).eps
    assert result.shape == expected.shape
    # The logarithm is rounded by its own size, and by that of the ln Σ that is in it.
    tolerance = {"rtol": 32 * eps, "atol": 32 * eps if name == "log_softmax" else 1e-37}
    np.testing.assert_allclose(result, expected, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "dim"), [((10**6,), 0), ((10**5, 16), 0)])
def test_long_rows(dtype, shape, dim):
    """Only what is subtracted is rounded, to half a unit in the last place of numbers up to 32."""
    a = fill("any", shape, dtype, 1)
    a[0] = 12
    x, eps = mtlib.from_numpy(a), np.finfo(dtype).eps
    logs, p = mtlib.fused.log_softmax(x, dim).numpy(), mtlib.fused.softmax(x, dim).numpy()
    expected = REFERENCES["log_softmax"](a.astype(np.longdouble), dim)
    np.testing.assert_allclose(logs, expected, rtol=eps, atol=4 * eps)
    np.testing.assert_allclose(p, np.exp(expected), rtol=16 * eps)
    np.testing.assert_allclose(p.astype(np.longdouble).sum(dim), 1, rtol=2 * eps)


@nojit
class TestCorners:
    @both
    @pytest.mark.parametrize(("shape", "dim"), [((1,), 0), ((3, 1), 1), ((1, 1, 1), 1)])
    def test_one_alone_is_certain(self, module, shape, dim):
        x = mtlib.full(shape, -7.0, requires_grad=True)
        y = module.softmax(x, dim)
        np.testing.assert_array_equal(y, np.ones(shape))
        np.testing.assert_array_equal(module.log_softmax(x, dim), np.zeros(shape))
        y.backward(mtlib.ones(shape))
        np.testing.assert_array_equal(x.grad, np.zeros(shape))

    @both
    @each
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shift", [1e4, -1e4])
    def test_what_is_large_does_not_overflow(self, module, name, dtype, shift):
        a = (np.array([[0.0, 1.0, -2.0], [3.0, 3.0, 3.0]]) + shift).astype(dtype)
        for x, dim in ((a, 1), (a.T.copy(), 0)):
            check(name, getattr(module, name)(mtlib.from_numpy(x), dim), x, dim)

    @both
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_what_is_far_below_the_largest_is_0(self, module, dtype):
        x = mtlib.tensor([0.0, -2e4, -np.inf], dtype=dtype)
        np.testing.assert_array_equal(module.softmax(x, 0), [1, 0, 0])
        logs = module.log_softmax(x, 0)
        np.testing.assert_array_equal(logs, [0, -2e4, -np.inf])

    @both
    @each
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_infinity_and_nan(self, module, name, dtype):
        """As in PyTorch, a row with inf, with nan or with nothing but -inf is nan."""
        bad = [[np.inf, 0, 1], [np.inf, np.inf, 0], [np.nan, 0, 1], [-np.inf] * 3, [0, np.nan, 9]]
        a = np.array([*bad, [0, 1, -np.inf]], dtype)
        for x, dim in ((a, 1), (a.T.copy(), 0), (np.pad(a, ((0, 0), (0, 70)), "edge"), 1)):
            result = getattr(module, name)(mtlib.from_numpy(x), dim).numpy()
            result = result if dim == 1 else result.T
            assert np.isnan(result[:-1]).all()
            assert not np.isnan(result[-1]).any()

    @both
    def test_a_gradient_passes_by_what_is_masked(self, module):
        """-inf hides an element: it takes no part, and its gradient is 0."""
        x = mtlib.tensor([1.0, -np.inf, 2.0], requires_grad=True)
        module.softmax(x, 0).backward(mtlib.tensor([1.0, 5.0, 2.0]))
        short = mtlib.tensor([1.0, 2.0], requires_grad=True)
        module.softmax(short, 0).backward(mtlib.tensor([1.0, 2.0]))
        a, b = short.grad.tolist()
        np.testing.assert_allclose(x.grad, [a, 0, b], rtol=1e-14)

    @each
    @pytest.mark.parametrize("small", [False, True])
    def test_an_infinite_gradient_is_nan_only_where_infinities_meet(self, name, small):
        x = mtlib.tensor([[0.0, 1.0, 2.0]], requires_grad=True)
        d = mtlib.tensor([[np.inf, 1.0, 1.0]])
        with small_strips(small), np.errstate(invalid="ignore"):
            getattr(mtlib.fused, name)(x, 1).backward(d)
        np.testing.assert_array_equal(x.grad, [[np.nan, -np.inf, -np.inf]])


@nojit
class TestWhatRuns:
    @both
    @each
    def test_the_result_does_not_depend_on_what_is_subtracted(self, module, name):
        """So the largest is a constant for backward, and adding to a whole row has no slope."""
        x = mtlib.randn(3, 5, seed=0)
        shift = mtlib.zeros(3, 1, requires_grad=True)
        getattr(module, name)(x + shift, 1).backward(mtlib.randn(3, 5, seed=1))
        np.testing.assert_allclose(shift.grad, np.zeros((3, 1)), atol=1e-15)

    def test_the_naive_pipeline(self):
        r, c = 3, 5
        n, x = r * c, mtlib.rand(r, c, requires_grad=True)
        with mtlib.trace() as t:
            mtlib.naive.softmax(x, 1)
        steps = [e.name for e in t.events if e.kind != "view"]
        assert steps == ["max", "sub", "exp", "sum", "div"]
        assert (t.reads, t.writes) == (7 * n, 3 * n + 2 * r)
        with mtlib.trace() as t:
            mtlib.naive.log_softmax(x, 1)
        steps = [e.name for e in t.events if e.kind != "view"]
        assert steps == ["max", "sub", "exp", "sum", "log", "sub"]
        assert (t.reads, t.writes) == (7 * n + r, 3 * n + 3 * r)

    @each
    @pytest.mark.parametrize("shape", [(5, 300), (300, 5)])
    def test_fused_makes_its_result_and_a_workspace(self, name, shape):
        x = mtlib.rand(*shape, seed=0, requires_grad=True)
        with mtlib.trace() as t:
            y = getattr(mtlib.fused, name)(x, 1)
        (event,) = t.events
        assert (event.name, event.kind, event.phase) == (name, "fused", "forward")
        made = [b.nbytes for b in t.buffers if b.role == "result"]
        assert made == [y.nbytes]
        assert t.live_bytes[-1] == y.nbytes  # the workspace is gone
        assert event.bytes_saved == y.nbytes  # nothing but the result
        d = mtlib.ones(*shape)
        with mtlib.trace() as t:
            y.backward(d)
        (event,) = t.events
        assert (event.name, event.phase) == (f"{name}_backward", "backward")
        assert [b.nbytes for b in t.buffers if b.role == "result"] == [x.nbytes]

    @each
    def test_rows_side_by_side_stay_so(self, name):
        x = mtlib.rand(4, 7).T
        assert getattr(mtlib.fused, name)(x, 0).strides == x.strides


@pytest.mark.parametrize(("dim", "at_once"), [(0, rows_.MOST), (1, 1)])
def test_the_workspace_is_a_strip_for_each_thread(dim, at_once):
    x = mtlib.zeros(1000, 1000)
    with mtlib.trace() as t:
        mtlib.fused.softmax(x, dim)
    workspace = sum(b.nbytes for b in t.buffers if b.role == "workspace")
    lines = 4 * 256  # of numbers of each row, and where they begin
    assert workspace <= threads_for(x.size) * (1024 * at_once + lines) * x.dtype.itemsize


@nojit
class TestErrors:
    @both
    @each
    @pytest.mark.parametrize(
        ("shape", "dim", "says"),
        [
            ((2, 3), 2, "a tensor of shape (2, 3) has 2 dimensions"),
            ((2, 3), -3, "a tensor of shape (2, 3) has 2 dimensions"),
            ((), 1, "a tensor of shape () is a scalar and has no dimensions"),
            ((), -2, "a tensor of shape () is a scalar and has no dimensions"),
        ],
    )
    def test_a_dim_that_there_is_not(self, module, name, shape, dim, says):
        x = mtlib.zeros(shape)
        with mtlib.trace() as t, pytest.raises(ValueError, match=f"^{name}: ") as caught:
            getattr(module, name)(x, dim)
        assert str(caught.value) == f"{name}: dim {dim} is out of range, {says}"
        assert t.buffers == t.events == []

    @both
    @each
    @pytest.mark.parametrize("dim", [None, 1.0, "1", (0, 1)])
    def test_a_dim_that_is_none(self, module, name, dim):
        x = mtlib.zeros(2, 3)
        with (
            mtlib.trace() as t,
            pytest.raises(TypeError, match=f"^{name}: dim must be an integer, got "),
        ):
            getattr(module, name)(x, dim)
        assert t.buffers == t.events == []

    @both
    @each
    @pytest.mark.parametrize("x", [2.0, [[1.0]], None, "a"])
    def test_only_tensors_and_arrays(self, module, name, x):
        with pytest.raises(TypeError, match=f"^{name}: the operand must be a tensor, got "):
            getattr(module, name)(x, 0)

    @both
    @each
    def test_arrays_of_other_dtypes(self, module, name):
        a = np.arange(6).reshape(2, 3)
        check(name, getattr(module, name)(a, 1), a, 1)
        with pytest.raises(TypeError, match=f"^{name}: dtype complex128 is not supported"):
            getattr(module, name)(a * 1j, 1)

    @each
    def test_more_than_there_is_memory_for(self, name):
        x = mtlib.ones(1, 1).expand(10**7, 10**7)
        with (
            mtlib.trace() as t,
            pytest.raises(MemoryError, match=rf"^{name}: an array of .* 800\.0 TB"),
        ):
            getattr(mtlib.fused, name)(x, 1)
        assert t.buffers == []

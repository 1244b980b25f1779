"""What is particular to RMS normalization: see test_composites for the rest."""

import numpy as np
import pytest

import mtlib

from .composites import REFERENCES
from .strategies import DTYPES

pytestmark = pytest.mark.nojit
reference = REFERENCES["rms_norm"]
both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])


@both
@pytest.mark.parametrize("dtype", DTYPES)
def test_without_eps_it_is_that_of_the_dtype(module, dtype):
    """As PyTorch's: so a row of zeros is 0, and one of numbers as small as its root is halved."""
    eps = np.finfo(dtype).eps
    x = mtlib.tensor([[0.0, 0.0], [eps**0.5, eps**0.5], [3.0, 4.0]], dtype=dtype)
    y = module.rms_norm(x, 2)
    np.testing.assert_allclose(y[:2], [[0, 0], [0.5**0.5, 0.5**0.5]], rtol=4 * eps)
    np.testing.assert_allclose(y[2], reference(np.array([3.0, 4.0]), 2), rtol=4 * eps)


@both
def test_eps_of_0(module):
    with np.errstate(invalid="ignore"):
        y = module.rms_norm(mtlib.tensor([[3.0, -3.0], [0.0, 0.0]]), 2, eps=0)
    np.testing.assert_array_equal(y, [[1, -1], [np.nan, np.nan]])


@both
def test_the_mean_is_not_taken_off(module):
    x = mtlib.full((2, 4), -3.0, requires_grad=True)
    y = module.rms_norm(x, 4)
    np.testing.assert_allclose(y, np.full((2, 4), -1), rtol=1e-14)
    y.backward(mtlib.ones(2, 4))  # a longer row of the same direction gives the same
    np.testing.assert_allclose(x.grad, np.zeros((2, 4)), atol=1e-15)


class TestWhatRuns:
    def test_the_naive_pipeline(self):
        r, c = 3, 5
        n = r * c
        with mtlib.trace() as t:
            mtlib.naive.rms_norm(mtlib.rand(r, c), c, mtlib.ones(c))
        steps = [e.name for e in t.events if e.kind != "view"]
        assert steps == ["mul", "sum", "div", "add", "sqrt", "div", "mul"]
        assert (t.reads, t.writes) == (7 * n + 5 * r, 3 * n + 4 * r)

    @pytest.mark.parametrize("shape", [(5, 300), (300, 5)])
    def test_fused_keeps_one_number_of_each_row(self, shape):
        (r, c), x = shape, mtlib.rand(*shape, seed=0, requires_grad=True)
        weight = mtlib.ones(c, requires_grad=True)
        with mtlib.trace() as t:
            y = mtlib.fused.rms_norm(x, c, weight)
        (event,) = t.events
        assert event.bytes_saved == x.nbytes + weight.nbytes + 8 * r
        assert [b.nbytes for b in t.buffers if b.role == "result"] == [y.nbytes, 8 * r]
        d = mtlib.ones(*shape)
        with mtlib.trace() as t:
            y.backward(d)
        (event,) = t.events
        assert (event.name, event.phase) == ("rms_norm_backward", "backward")
        assert event.output_shapes == (x.shape, weight.shape)

    def test_no_gradient_of_a_weight_that_wants_none(self):
        x, weight = mtlib.rand(3, 4, seed=0, requires_grad=True), mtlib.ones(4)
        y, d = mtlib.fused.rms_norm(x, 4, weight), mtlib.ones(3, 4)
        with mtlib.trace() as t:
            y.backward(d)
        assert t.writes == x.size
        assert weight.grad is None


class TestErrors:
    @both
    @pytest.mark.parametrize(
        ("shape", "normalized", "weight", "says"),
        [
            ((2, 3), 4, None, "x of shape (2, 3) does not end in normalized_shape (4,)"),
            ((), 1, None, "x of shape () does not end in normalized_shape (1,)"),
            ((2, 3), (), None, "normalized_shape is (): a single number has no spread"),
            ((2, 3), 3, (2, 3), "weight of shape (2, 3) is not of normalized_shape (3,)"),
        ],
    )
    def test_shapes(self, module, shape, normalized, weight, says):
        x, weight = (s if s is None else mtlib.zeros(s) for s in (shape, weight))
        with mtlib.trace() as t, pytest.raises(ValueError, match=r"^rms_norm: ") as caught:
            module.rms_norm(x, normalized, weight)
        assert str(caught.value) == f"rms_norm: {says}"
        assert t.buffers == t.events == []

    @both
    def test_eps_and_types(self, module):
        x = mtlib.zeros(2, 3)
        with pytest.raises(ValueError, match=r"^rms_norm: eps must not be negative, got -1"):
            module.rms_norm(x, 3, eps=-1)
        with pytest.raises(TypeError, match=r"^rms_norm: eps must be a real number, got str"):
            module.rms_norm(x, 3, eps="1")
        with pytest.raises(TypeError, match=r"^rms_norm: weight must be a tensor, got list"):
            module.rms_norm(x, 3, [1.0, 2.0, 3.0])

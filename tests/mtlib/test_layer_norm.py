"""What is particular to layer normalization: see test_composites for the rest."""

from fractions import Fraction

import numpy as np
import pytest

import mtlib

from .composites import REFERENCES
from .strategies import DTYPES, fill
from .strips import small_strips

reference = REFERENCES["layer_norm"]
nojit = pytest.mark.nojit
both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])


@pytest.mark.usefixtures("eager_threads")
def test_the_same_each_time():
    """On several threads too: what each adds up does not depend on which is first."""
    x, d = mtlib.randn(300, 50, dtype="float32", seed=0), mtlib.randn(300, 50, dtype="float32")
    gradients = []
    for _ in range(3):
        weight = mtlib.ones(50, dtype="float32", requires_grad=True)
        mtlib.fused.layer_norm(x, 50, weight).backward(d)
        gradients.append(weight.grad.tolist())
    assert gradients[0] == gradients[1] == gradients[2]


@nojit
def test_several_dimensions_in_any_order_of_memory():
    """Weight and bias lie in their own order, and so do their gradients."""
    x = np.asfortranarray(fill("any", (3, 4, 5, 2), np.float64, 1))[:, ::-1]
    arrays = [x, fill("any", (4, 5, 2), np.float64, 2).T.copy().T, fill("any", (4, 5, 2), float, 3)]
    d, results = mtlib.tensor(fill("any", x.shape, np.float64, 4)), []
    for module in (mtlib.naive, mtlib.fused):
        leaves = [mtlib.from_numpy(a) for a in arrays]
        for leaf in leaves:
            leaf.requires_grad = True
        y = module.layer_norm(leaves[0], (4, 5, 2), *leaves[1:])
        y.backward(d)
        results.append((y, *(leaf.grad for leaf in leaves)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


class TestManyTerms:
    """Errors of sums in float32 stay those of a few roundings."""

    eps = np.finfo(np.float32).eps

    def test_a_row_of_a_million(self):
        """A mean 1000 deviations away, which the mean of squares would lose in rounding."""
        x = fill("any", (1, 10**6), np.float32, 1) / 2 + np.float32(1000)
        y = mtlib.fused.layer_norm(mtlib.from_numpy(x), 10**6).numpy()
        expected = reference(x.astype(np.float64), 10**6)
        assert abs(y.mean(dtype=np.float64)) < 1e-4  # to the last digit of 1000
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e3 * self.eps)

    @pytest.mark.parametrize("small", [False, True])
    def test_gradients_of_a_million_rows(self, small):
        n = 10**5 if small else 10**6
        x = mtlib.rand(n, 3, dtype="float32", seed=0)
        weight, bias = (mtlib.ones(3, dtype="float32", requires_grad=True) for _ in range(2))
        with small_strips(small):
            y = mtlib.fused.layer_norm(x, 3, weight, bias)
            y.backward(mtlib.full((n, 3), 0.1, dtype="float32"))
        np.testing.assert_allclose(bias.grad, n * np.float64(np.float32(0.1)), rtol=4 * self.eps)
        expected = (0.1 * y.numpy().astype(np.float64) - 0.1).sum(0)
        np.testing.assert_allclose(weight.grad, expected, atol=4 * self.eps * n)


@nojit
class TestCorners:
    @both
    @pytest.mark.parametrize("value", [0.0, -3.0, 1e30])
    def test_a_row_of_equal_numbers_is_0(self, module, value):
        x = mtlib.full((2, 4), value, requires_grad=True)
        bias = mtlib.tensor([1.0, 2.0, 3.0, 4.0])
        y = module.layer_norm(x, 4, None, bias)
        np.testing.assert_array_equal(y, [bias.tolist()] * 2)
        y.backward(mtlib.ones(2, 4))
        np.testing.assert_allclose(x.grad, np.zeros((2, 4)), atol=1e-12)

    @both
    def test_one_alone_is_its_own_mean(self, module):
        x = mtlib.randn(3, 1, seed=0, requires_grad=True)
        y = module.layer_norm(x, 1)
        np.testing.assert_array_equal(y, np.zeros((3, 1)))
        y.backward(mtlib.ones(3, 1))
        np.testing.assert_array_equal(x.grad, np.zeros((3, 1)))

    @both
    def test_eps_of_0(self, module):
        y = module.layer_norm(mtlib.tensor([[1.0, 3.0], [2.0, 2.0]]), 2, eps=0)
        np.testing.assert_array_equal(y, [[-1, 1], [np.nan, np.nan]])

    @both
    @pytest.mark.parametrize("small", [False, True])
    def test_infinity_and_nan_stay_in_their_row(self, module, small):
        a = np.array([[np.inf, 0, 1], [np.nan, 0, 1], [-np.inf, np.inf, 1], [0, 1, 2.0]])
        for x in (a, a.T.copy().T):
            with small_strips(small), np.errstate(invalid="ignore"):
                y = module.layer_norm(mtlib.from_numpy(x), 3).numpy()
            assert np.isnan(y[:3]).all()
            np.testing.assert_allclose(y[3], reference(a[3], 3), rtol=1e-14)

    @both
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shift", [1e4, -1e4])
    def test_far_from_0(self, module, dtype, shift):
        a = (np.array([[1.0, 2.0, 4.0, 8.0]]) + shift).astype(dtype)
        y = module.layer_norm(mtlib.from_numpy(a), 4)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(y, reference(a.astype(np.float64), 4), atol=1e4 * eps)

    @both
    @pytest.mark.parametrize("shape", [3, (3,), [3], np.int64(3), (np.int32(3),)], ids=repr)
    def test_ways_to_name_a_shape(self, module, shape):
        x = mtlib.randn(2, 3, seed=0)
        np.testing.assert_array_equal(module.layer_norm(x, shape), module.layer_norm(x, (3,)))

    @both
    @pytest.mark.parametrize("eps", [Fraction(1, 100), np.float32(0.01), 0, 1])
    def test_any_real_eps(self, module, eps):
        x = mtlib.randn(2, 3, seed=0)
        expected = reference(x.numpy(), 3, eps=float(eps))
        np.testing.assert_allclose(module.layer_norm(x, 3, eps=eps), expected, rtol=1e-12)


@nojit
class TestWhatRuns:
    def test_the_naive_pipeline(self):
        r, c = 3, 5
        n, x = r * c, mtlib.rand(r, c)
        weight, bias = mtlib.ones(c), mtlib.zeros(c)
        with mtlib.trace() as t:
            mtlib.naive.layer_norm(x, c, weight, bias)
        steps = [e.name for e in t.events if e.kind != "view"]
        off = ["sum", "div", "sub"]
        assert steps == [*off, *off, "mul", "sum", "div", "add", "sqrt", "div", "mul", "add"]
        assert (t.reads, t.writes) == (15 * n + 9 * r, 6 * n + 8 * r)

    @pytest.mark.parametrize("shape", [(5, 300), (300, 5)])
    def test_fused_makes_its_result_and_three_numbers_of_each_row(self, shape):
        (r, c), x = shape, mtlib.rand(*shape, seed=0, requires_grad=True)
        weight, bias = (mtlib.ones(c, requires_grad=True) for _ in range(2))
        with mtlib.trace() as t:
            y = mtlib.fused.layer_norm(x, c, weight, bias)
        (event,) = t.events
        assert (event.name, event.kind, event.phase) == ("layer_norm", "fused", "forward")
        assert event.bytes_saved == x.nbytes + weight.nbytes + 3 * 8 * r
        made = [b.nbytes for b in t.buffers if b.role == "result"]
        assert made == [y.nbytes, 8 * r, 8 * r, 8 * r]
        assert t.live_bytes[-1] == sum(made)  # the workspace is gone
        d = mtlib.ones(*shape)
        with mtlib.trace() as t:
            y.backward(d)
        (event,) = t.events
        assert (event.name, event.phase) == ("layer_norm_backward", "backward")
        assert event.output_shapes == (x.shape, weight.shape, bias.shape)
        made = [b.nbytes for b in t.buffers if b.role == "result"]
        assert made == [x.nbytes, weight.nbytes, bias.nbytes]

    @pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)])
    def test_only_the_gradients_that_are_wanted(self, wanted):
        x = mtlib.rand(3, 4, seed=0, requires_grad=True)
        affine = [mtlib.ones(4, requires_grad=needed) for needed in wanted]
        y, d = mtlib.fused.layer_norm(x, 4, *affine), mtlib.ones(3, 4)
        with mtlib.trace() as t:
            y.backward(d)
        (event,) = t.events
        assert event.writes == x.size * (1 + sum(wanted))
        assert len(event.output_shapes) == 1 + sum(wanted)
        assert [p.grad is not None for p in affine] == list(wanted)

    def test_without_weight_and_bias(self):
        x = mtlib.rand(3, 4, seed=0, requires_grad=True)
        with mtlib.trace() as t:
            y = mtlib.fused.layer_norm(x, 4)
        assert t.saved_bytes == x.nbytes + 3 * 8 * 3
        y.backward(mtlib.ones(3, 4))
        assert x.grad.shape == x.shape


@nojit
class TestErrors:
    @both
    @pytest.mark.parametrize(
        ("shape", "normalized", "weight", "bias", "says"),
        [
            ((2, 3), 4, None, None, "x of shape (2, 3) does not end in normalized_shape (4,)"),
            ((3,), (2, 3), None, None, "x of shape (3,) does not end in normalized_shape (2, 3)"),
            ((), 1, None, None, "x of shape () does not end in normalized_shape (1,)"),
            ((2, 3), (), None, None, "normalized_shape is (): a single number has no spread"),
            ((2, 3), [], None, None, "normalized_shape is (): a single number has no spread"),
            ((2, 3), -1, None, None, "shape (-1,) has the negative size -1"),
            ((2, 3), 3, (2, 3), None, "weight of shape (2, 3) is not of normalized_shape (3,)"),
            ((2, 3), 3, (3,), (1,), "bias of shape (1,) is not of normalized_shape (3,)"),
            ((2, 3), (2, 3), (3,), None, "weight of shape (3,) is not of normalized_shape (2, 3)"),
        ],
    )
    def test_shapes(self, module, shape, normalized, weight, bias, says):
        x, weight, bias = (s if s is None else mtlib.zeros(s) for s in (shape, weight, bias))
        with (
            mtlib.trace() as t,
            pytest.raises(ValueError, match=r"^layer_norm: ") as caught,
        ):
            module.layer_norm(x, normalized, weight, bias)
        assert str(caught.value) == f"layer_norm: {says}"
        assert t.buffers == t.events == []

    @both
    @pytest.mark.parametrize("shape", [2.0, "3", None, (3.0,)])
    def test_a_shape_is_made_of_integers(self, module, shape):
        with pytest.raises(TypeError, match=r"^layer_norm: a shape is made of integers, got "):
            module.layer_norm(mtlib.zeros(2, 3), shape)

    @both
    @pytest.mark.parametrize("eps", [-1e-5, np.nan, -np.inf])
    def test_eps_is_not_negative(self, module, eps):
        with pytest.raises(ValueError, match=r"^layer_norm: eps must not be negative, got -?"):
            module.layer_norm(mtlib.zeros(2, 3), 3, eps=eps)

    @both
    @pytest.mark.parametrize("eps", ["1e-5", None, 1j, True, mtlib.ones(1)])
    def test_eps_is_real(self, module, eps):
        with pytest.raises(TypeError, match=r"^layer_norm: eps must be a real number, got "):
            module.layer_norm(mtlib.zeros(2, 3), 3, eps=eps)

    @both
    @pytest.mark.parametrize("which", ["x", "weight", "bias"])
    def test_only_tensors_and_arrays(self, module, which):
        x = mtlib.zeros(2, 3)
        arguments = {"x": x} | {which: [1.0, 2.0, 3.0]}
        with pytest.raises(TypeError, match=rf"^layer_norm: {which} must be a tensor, got list"):
            module.layer_norm(**arguments, normalized_shape=3)

    @both
    def test_arrays_of_other_dtypes(self, module):
        a, w = np.arange(6).reshape(2, 3), np.array([True, False, True])
        expected = reference(a.astype(float), 3, w)
        np.testing.assert_allclose(module.layer_norm(a, 3, w), expected)
        with pytest.raises(TypeError, match=r"^layer_norm: dtype complex128 is not supported"):
            module.layer_norm(a * 1j, 3)

"""Reductions against NumPy, over every choice of dimensions and layout, and their derivatives."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.kernels.strided import reduce

from .operations import REDUCTIONS
from .strategies import DTYPES, check_gradient, dims, fill, operands, shapes, small_shapes

pytestmark = pytest.mark.nojit

every_reduction = pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.id)
every_extreme = pytest.mark.parametrize("name", ["max", "min"])


def numpys(op, array, dim, keepdim):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # mean of empty slice
        return np.asarray(op.reference(array, axis=dim, keepdims=keepdim))


def folded(array, dim) -> int:
    """How many elements go into each result."""
    every = range(array.ndim)
    chosen = every if dim is None else np.atleast_1d(np.array(dim, int))
    return int(np.prod([array.shape[d] for d in chosen], dtype=int))


@every_reduction
@given(data=st.data(), keepdim=st.booleans())
@settings(max_examples=30)
def test_forward(op, data, keepdim):
    operand = data.draw(operands())
    dim = data.draw(dims(operand.array.ndim))
    n = folded(operand.array, dim)
    assume(n or op.of_nothing)
    result = op.call(operand.tensor, dim=dim, keepdim=keepdim)
    wide = operand.array.astype(np.float64)
    expected = numpys(op, wide, dim, keepdim)
    assert result.shape == expected.shape
    assert result.dtype == operand.array.dtype
    if op.exact:
        np.testing.assert_array_equal(result, expected)
        return
    # Adding (or multiplying) n numbers one by one rounds n times, each time by half a unit in the
    # last place of a partial result. A partial sum is at most n times the largest element.
    eps = np.finfo(result.dtype).eps
    largest = np.abs(wide).max(initial=0)
    bound = n * eps * (1 if op.degree == 0 else n * largest**op.degree)
    if op.degree:
        np.testing.assert_allclose(result, expected, rtol=4 * eps, atol=4 * bound)
    else:
        np.testing.assert_allclose(result, expected, rtol=bound, atol=np.finfo(result.dtype).tiny)


@every_reduction
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, None])
def test_special_values_are_those_of_ieee(op, dtype, dim):
    array = fill("special", (40, 3), dtype, seed=4)
    array[3:, 1] = array[3:, 0] = 0.5  # so that not all come out nan
    expected = numpys(op, array.astype(np.float64), dim, False).astype(dtype)
    np.testing.assert_allclose(op.call(mtlib.tensor(array), dim), expected, rtol=1e-5)


@every_reduction
@given(data=st.data(), keepdim=st.booleans())
@settings(max_examples=12)
def test_backward(op, data, keepdim):
    part = data.draw(operands(data.draw(small_shapes()), np.float64, op.domain))
    # an expanded operand ties with itself: a kink of max and min
    assume(not op.exact or 0 not in part.tensor.strides)
    dim = data.draw(dims(part.array.ndim))
    n = folded(part.array, dim)
    assume(n or op.of_nothing)
    assume(n > (op.names == ("var",)) or not op.id.startswith(("var", "mean")))  # nan
    check_gradient(lambda x: op.call(x, dim=dim, keepdim=keepdim), part)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", ["sum", "mean", "max", "prod", "var"])
def test_backward_is_the_derivative_by_hand(dtype, how):
    a, d = fill("distinct", (3, 4), dtype, seed=1), fill("any", (3, 1), dtype, seed=2)
    x = mtlib.tensor(a, requires_grad=True)
    getattr(x, how)(dim=1, keepdim=True).backward(mtlib.tensor(d))
    slopes = {
        "sum": np.ones_like(a),
        "mean": np.full_like(a, 1 / 4),
        "max": a == a.max(1, keepdims=True),
        "prod": a.prod(1, keepdims=True) / a,
        "var": 2 * (a - a.mean(1, keepdims=True)) / 3,
    }
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(x.grad, d * slopes[how], rtol=64 * np.finfo(dtype).eps, atol=1e-6)


@pytest.mark.usefixtures("eager_threads")
class TestLarge:
    """More than one block, on more than one thread."""

    @pytest.mark.parametrize("shape", [(3, 20_000), (20_000, 3), (5, 4000, 7), (100_000,)])
    @pytest.mark.parametrize("dim", [0, -1, None])
    @pytest.mark.parametrize("order", [1, -1])
    def test_sum_and_max(self, shape, dim, order):
        array = fill("any", shape, np.float64, 0)
        t = mtlib.from_numpy(array.T if order < 0 else array)
        array = array.T if order < 0 else array
        np.testing.assert_allclose(t.sum(dim), array.sum(dim), atol=1e-9)
        np.testing.assert_array_equal(t.max(dim), array.max(dim))

    @pytest.mark.parametrize(
        ("rows", "columns"), [(1, 2), (2, 3), (4, 1030), (5, 2), (6, 1030), (23, 7), (3, 5200)]
    )
    def test_rows_are_shared_out_among_threads(self, rows, columns, monkeypatch):
        """Fewer rows than threads, as many, and more; and enough columns for all threads."""
        monkeypatch.setattr(reduce, "threads_for", lambda work: 5)
        array = fill("any", (2, rows, columns), np.float64, 0)[::-1]
        t = mtlib.from_numpy(array)
        for dim in (1, (0, 1)):
            np.testing.assert_allclose(t.sum(dim), array.sum(dim), atol=1e-12)
            np.testing.assert_array_equal(t.max(dim), array.max(dim))
            np.testing.assert_array_equal(t.min(dim), array.min(dim))

    @pytest.mark.parametrize("n", [1, 63, 64, 65, 2047, 2048, 2049, 4096, 6145, 70_000])
    @pytest.mark.parametrize("step", [1, 2, -1])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_every_element_counts_once_around_the_edges_of_blocks(self, n, step, dtype):
        base = np.zeros(2 * n, dtype)
        t = mtlib.from_numpy(base[::step][:n])
        for at in {0, 1, n // 2, n - 2, n - 1} & set(range(n)):
            base[...] = 0
            base[::step][:n][at] = 7
            assert t.sum().item() == t.max().item() == 7
            assert (t + 1).prod().item() == 8
            assert (-t).min().item() == -7

    def test_rounding_errors_of_a_long_sum_stay_small(self):
        """Added one by one they would be some 100 times as large (Higham, section 4.2)."""
        t = mtlib.rand(1_000_000, dtype="float32", seed=0)
        exact = t.numpy().astype(np.float64).sum()
        assert abs(t.sum().item() / exact - 1) < 20 * np.finfo(np.float32).eps


class TestTies:
    @every_extreme
    def test_elements_that_tie_share_the_gradient(self, name):
        x = mtlib.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 2.0]], requires_grad=True)
        getattr(x, name)(dim=1).backward(mtlib.tensor([3.0, 1.0]))
        last = [0.5, 0, 0.5] if name == "max" else [0, 1, 0]
        assert x.grad.tolist() == [[1, 1, 1], last]

    @every_extreme
    @given(data=st.data())
    @settings(max_examples=20)
    def test_the_shares_add_up(self, name, data):
        shape = data.draw(shapes(min_size=1))
        part = data.draw(operands(shape, np.float64, "tied"))
        x = mtlib.tensor(part.array, requires_grad=True)
        getattr(x, name)().backward()
        grad = x.grad.numpy()
        np.testing.assert_allclose(grad.sum(), 1)
        hit = part.array == getattr(np, name)(part.array)
        np.testing.assert_allclose(grad, hit / hit.sum())

    def test_an_element_read_twice_gets_both_shares(self):
        x = mtlib.tensor([[2.0], [1.0]], requires_grad=True)
        x.expand(2, 3).max().backward()
        assert x.grad.tolist() == [[1], [0]]


class TestProd:
    @pytest.mark.parametrize(
        ("values", "slopes"),
        [
            ([2.0, 3.0, 4.0], [12, 8, 6]),
            ([2.0, 0.0, 4.0], [0, 8, 0]),
            ([0.0, 0.0, 4.0], [0, 0, 0]),
            ([0.0], [1]),
        ],
    )
    def test_the_slope_is_the_product_of_the_others(self, values, slopes):
        x = mtlib.tensor(values, requires_grad=True)
        x.prod().backward()
        assert x.grad.tolist() == slopes


class TestVar:
    def test_correction(self):
        t = mtlib.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 3.0]])
        for correction in (0, 1, 2, 0.5):
            expected = np.var(t.numpy(), axis=1, ddof=correction)
            np.testing.assert_allclose(t.var(1, correction=correction), expected, rtol=1e-14)

    @pytest.mark.parametrize("correction", [1, 2])
    def test_without_freedom_it_is_nan_or_infinite_as_pytorchs(self, correction):
        assert np.isnan(mtlib.tensor([3.0]).var(correction=correction).item())
        if correction == 2:
            assert mtlib.tensor([3.0, 4.0]).var(correction=2).item() == np.inf

    def test_it_is_not_fooled_by_a_large_mean(self):
        t = mtlib.tensor([1e9, 1e9 + 1, 1e9 + 2])
        assert t.var().item() == 1


class TestErrors:
    @every_reduction
    @pytest.mark.parametrize(
        ("dim", "error", "says"),
        [
            (2, ValueError, r"dim 2 is out of range, the tensor has 2 dimensions"),
            (-3, ValueError, r"dim -3 is out of range"),
            ((0, 5), ValueError, r"dim 5 is out of range"),
            ((0, -2), ValueError, r"dim \(0, -2\) names dimension 0 more than once"),
            ((1, 1), ValueError, r"dim \(1, 1\) names dimension 1 more than once"),
            (1.0, TypeError, r"dim must be an integer, got 1.0"),
            ("0", TypeError, r"dim must be an integer, got '0'"),
        ],
    )
    def test_a_dim_that_is_not_there(self, op, dim, error, says):
        name = {"add": "reduce", "mul": "prod", "correction": "var"}.get(op.names[-1], op.names[-1])
        a = mtlib.ones(2, 3)
        with mtlib.trace() as t, pytest.raises(error, match=rf"^{name}: {says}"):
            op.call(a, dim=dim)
        assert t.buffers == t.events == []

    @every_reduction
    @pytest.mark.parametrize("dim", [1, -2, (0, 1)])
    def test_a_scalar_has_no_such_dim(self, op, dim):
        with pytest.raises(ValueError, match=r"dim -?\d is out of range, the tensor is a scalar"):
            op.call(mtlib.tensor(1.0), dim=dim)

    @every_reduction
    def test_a_scalar_has_no_dim_twice(self, op):
        with pytest.raises(ValueError, match=r"dim \(0, -1\) names dimension 0 more than once"):
            op.call(mtlib.tensor(1.0), dim=(0, -1))

    @every_reduction
    def test_nothing_has_no_largest(self, op):
        if op.of_nothing:
            return
        for shape, dim in (((0, 3), 0), ((3, 0), 1), ((0,), None), ((0, 0), (0, 1))):
            says = rf"^{op.names[-1]}: shape .* has nothing to reduce over dim"
            a = mtlib.zeros(shape)
            with mtlib.trace() as t, pytest.raises(ValueError, match=says):
                op.call(a, dim=dim)
            assert t.buffers == t.events == []

    @pytest.mark.parametrize("how", ["sub", "", None, 3, ["add"]])
    def test_how_to_reduce(self, how):
        with pytest.raises(ValueError, match=r"^reduce: .* is not one of add, mul, max, min"):
            mtlib.reduce(mtlib.ones(2), how)

    @pytest.mark.parametrize("value", [[1.0], np.ones(2), 3.0, None])
    def test_only_tensors_are_reduced(self, value):
        with pytest.raises(TypeError, match=r"^reduce: expected a tensor, got"):
            mtlib.reduce(value, "add")

"""How far sums are off, as the table in :mod:`mtlib.ops.reductions` promises it.

Most numbers here are 0.1, which no dtype holds: added one after the other, each addition to a large
total is rounded in the same direction, and the errors add up instead of cancelling each other.
"""

from contextlib import contextmanager
from math import log2

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .strategies import DTYPES, recipes

LARGE = 1 << 24
FEW = 16  # units in the last place; one after the other, it would be hundreds and more
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
one_or_all = pytest.mark.parametrize("threads", [1, numba.config.NUMBA_NUM_THREADS])


@contextmanager
def threads_of_numba(threads: int):
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def assert_close(result, expected, units: float) -> None:
    """Off by no more than so many units in the last place."""
    eps = np.finfo(result.dtype).eps
    np.testing.assert_allclose(result, np.longdouble(expected), rtol=units * eps)


def tenth(dtype) -> np.longdouble:
    """What 0.1 is in ``dtype``."""
    return np.longdouble(dtype(0.1))


def worst(n: int) -> float:
    """What the table promises, in units in the last place of a sum of numbers of one sign."""
    return 256 + log2(n)


@st.composite
def long_views(draw):
    """(what is stored, the view of it): thousands of elements in any strides."""
    shape = draw(
        st.sampled_from([(9000,), (9000, 3), (3, 9000), (9, 1000, 2), (90, 100), (2500, 70)])
    )
    recipe, dtype = draw(recipes(shape)), draw(st.sampled_from(DTYPES))
    return np.full(recipe.stored, 0.1, dtype), recipe


@given(view=long_views(), dim=st.sampled_from([0, -1, None]))
@settings(max_examples=60)
def test_any_strides(view, dim):
    base, recipe = view
    x = recipe.of(mtlib.from_numpy(base))
    n = x.size if dim is None else x.shape[dim]
    expected = n * tenth(base.dtype.type)
    assert_close(x.sum(dim), np.broadcast_to(expected, x.sum(dim).shape), FEW)
    assert_close(x.mean(dim), np.broadcast_to(expected / n, x.sum(dim).shape), FEW)


@given(view=long_views())
@settings(max_examples=20)
def test_the_gradient_of_an_expanded_element_is_a_sum(view):
    base, recipe = view
    d = recipe.of(mtlib.from_numpy(base))
    for shape in ((1,) * d.ndim, (1, *d.shape[1:]), (*d.shape[:-1], 1)):
        x = mtlib.zeros(shape, dtype=base.dtype, requires_grad=True)
        x.expand(d.shape).backward(d)
        expected = d.size // x.size * tenth(base.dtype.type)
        assert_close(x.grad, np.broadcast_to(expected, shape), FEW)


def test_one_after_the_other_would_not_pass():
    total = np.cumsum(np.full(9000, 0.1, np.float32))[-1:]
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_close(total, [9000 * tenth(np.float32)], FEW)


VIEWS = {
    "as they lie": ((LARGE,), lambda x: x, None),
    "rows": ((4, LARGE // 4), lambda x: x, 1),
    "over rows": ((LARGE // 4, 4), lambda x: x, 0),
    "reversed": ((LARGE,), lambda x: x[::-1], None),
    "every other": ((2 * LARGE,), lambda x: x[::2], None),
    "a column": ((LARGE, 2), lambda x: x[:, 0], None),
    "three columns": ((LARGE // 2, 4), lambda x: x[:, :3], None),
    "over rows of three columns": ((LARGE // 2, 4), lambda x: x[:, :3], 0),
    "one number": ((1,), lambda x: x.expand(LARGE), None),
    "one row": ((1, 2), lambda x: x.expand(LARGE, 2), 0),
}


class TestLarge:
    """2²⁴ elements, on one thread and on all."""

    @every_dtype
    @one_or_all
    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_sum_and_mean(self, view, threads, dtype):
        shape, of, dim = view
        x = of(mtlib.full(shape, 0.1, dtype=dtype))
        n = x.size if dim is None else x.shape[dim]
        with threads_of_numba(threads):
            total, mean = x.sum(dim), x.mean(dim)
        assert_close(total, np.broadcast_to(n * tenth(dtype), total.shape), FEW)
        assert_close(mean, np.broadcast_to(tenth(dtype), mean.shape), FEW)

    @every_dtype
    def test_random_numbers(self, dtype):
        x = mtlib.randn(LARGE // 8, 8, dtype=dtype, seed=0)
        a, eps = x.numpy().astype(np.longdouble), np.finfo(dtype).eps
        for dim in (0, None):
            off = np.abs(x.sum(dim).numpy() - a.sum(dim))
            assert (off <= 2 * eps * np.abs(a).sum(dim)).all()

    @every_dtype
    @pytest.mark.parametrize("dim", [0, 1])
    def test_var(self, dim, dtype):
        """Of as many 0s as 1s, 1000 away from 0."""
        a = np.full((2, LARGE // 2), 1000, dtype)
        a[:, ::2] += 1
        x, n = mtlib.from_numpy(a if dim else a.T), LARGE // 2
        assert_close(x.var(dim), [np.longdouble(n) / (4 * (n - 1))] * 2, worst(n))

    @every_dtype
    def test_prod(self, dtype):
        eps, n = np.finfo(dtype).eps, LARGE
        x = mtlib.full((n,), 1 + eps, dtype=dtype)
        expected = np.exp(n * np.log1p(np.longdouble(eps)))
        assert_close(x.prod(), expected, 1 if dtype == np.float32 else n)
        assert_close(
            x.view(-1, 4).prod(0),
            [expected ** np.longdouble(0.25)] * 4,
            1 if dtype == np.float32 else n,
        )

    @every_dtype
    @one_or_all
    @pytest.mark.parametrize("view", ["as they lie", "over rows", "reversed", "one row"])
    def test_fuse(self, view, threads, dtype):
        shape, of, dim = VIEWS[view]
        x = of(mtlib.full(shape, 0.1, dtype=dtype))
        n = x.size if dim is None else x.shape[dim]
        with threads_of_numba(threads):
            total = mtlib.fuse(lambda x: x.sum(dim))(x)
        assert_close(total, np.broadcast_to(n * tenth(dtype), total.shape), 40)

    def test_more_than_an_int32_can_count(self):
        x = mtlib.ones(1, dtype="float32").expand((1 << 31) + 5)
        assert x.sum().item() == 1 << 31


class TestGradientsOverAMillionRows:
    """Of a bias, and of whatever else each row takes."""

    n = 1 << 20
    d = property(lambda self: mtlib.full((self.n, 3), 0.1, dtype="float32"))
    expected = property(lambda self: [self.n * tenth(np.float32)] * 3)

    def leaf(self):
        return mtlib.zeros(3, dtype="float32", requires_grad=True)

    def test_expand(self):
        bias = self.leaf()
        bias.expand(self.n, 3).backward(self.d)
        assert_close(bias.grad, self.expected, FEW)

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
    def test_linear(self, module):
        bias, x = self.leaf(), mtlib.ones(self.n, 2, dtype="float32")
        module.linear(x, mtlib.ones(3, 2, dtype="float32"), bias).backward(self.d)
        assert_close(bias.grad, self.expected, FEW)

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
    def test_layer_norm(self, module):
        weight, bias = self.leaf(), self.leaf()
        x = mtlib.rand(self.n, 3, dtype="float32", seed=0)
        module.layer_norm(x, 3, weight, bias).backward(self.d)
        assert_close(bias.grad, self.expected, FEW)


class TestNumbersThatHardlyVary:
    """Their mean, rounded, can be further from them than they are from each other."""

    @staticmethod
    def numbers(n: int, size: float, dtype) -> np.ndarray:
        """A few units in the last place around ``size``; and all alike but one."""
        unit = np.spacing(dtype(size))
        a = np.full((2, n), size, dtype)
        a[0] += unit * np.random.default_rng(0).integers(-4, 5, n).astype(dtype)
        a[:, 0] = size + unit
        return a

    @staticmethod
    def off(a) -> np.ndarray:
        wide = a.astype(np.longdouble) - a[:, :1]
        return wide - wide.mean(1, keepdims=True)

    @every_dtype
    @pytest.mark.parametrize("size", [1e3, 10000.3, 1e5, 1e7])
    @pytest.mark.parametrize("n", [3, 100, 5000, 10**6])
    def test_var(self, n, size, dtype):
        a = self.numbers(n, size, dtype)
        expected = (self.off(a) ** 2).sum(1) / (n - 1)
        assert_close(mtlib.from_numpy(a).var(1), expected, worst(n))
        assert_close(mtlib.from_numpy(np.asfortranarray(a)).var(1), expected, worst(n))
        assert_close(mtlib.from_numpy(a.T.copy()).var(0), expected, worst(n))

    @every_dtype
    def test_var_fused(self, dtype):
        a = self.numbers(5000, 1e5, dtype)
        expected = (self.off(a) ** 2).sum(1) / (len(a[0]) - 1)
        assert_close(mtlib.fuse(lambda x: x.var(1))(mtlib.from_numpy(a)), expected, worst(5000))

    @every_dtype
    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
    @pytest.mark.parametrize("size", [1e3, 10000.3, 1e7])
    @pytest.mark.parametrize("n", [3, 768, 10**5])
    def test_layer_norm(self, n, size, dtype, module):
        a, eps = self.numbers(n, size, dtype), 1e-5
        x = mtlib.from_numpy(a)
        x.requires_grad = True
        y = module.layer_norm(x, n, eps=eps)
        d = np.random.default_rng(1).standard_normal(a.shape).astype(dtype)
        y.backward(mtlib.from_numpy(d))
        off = self.off(a)
        scale = 1 / np.sqrt((off * off).mean(1, keepdims=True) + eps)
        normal = off * scale
        slope = d - d.mean(1, keepdims=True) - normal * (d * normal).mean(1, keepdims=True)
        unit = np.finfo(dtype).eps
        np.testing.assert_allclose(y, normal, rtol=1e3 * unit, atol=10 * unit)
        np.testing.assert_allclose(
            x.grad, slope * scale, rtol=1e3 * unit, atol=1e3 * unit * scale.max()
        )

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
    def test_layer_norm_of_a_row_of_equal_numbers(self, module):
        x = mtlib.full((1, 768), 10000.3, dtype="float32")
        assert not module.layer_norm(x, 768).numpy().any()
        assert not mtlib.fuse(lambda x: module.layer_norm(x, 768))(x).numpy().any()

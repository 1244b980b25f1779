"""exp, log, tanh, sigmoid, gelu and powers against the same functions in extended precision."""

import numpy as np
import pytest

import mtlib
from mtlib.kernels.functions import powers
from mtlib.kernels.functions.transcendental import NORMAL_FAR, decay
from mtlib.kernels.jit import compiled_fma

MILLION = 1_000_000
LONG = np.longdouble

needs_long = pytest.mark.skipif(
    np.finfo(LONG).nmant < 63, reason="long double is not longer than double here"
)

EXACT = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
}


def points(name: str, dtype: str) -> np.ndarray:
    """A million arguments over the whole range in which the result is neither 0 nor infinite."""
    rng = np.random.default_rng(0)
    tiny, huge = np.log(np.finfo(dtype).smallest_subnormal), np.log(np.finfo(dtype).max)
    half = MILLION // 2
    if name == "exp":
        x = rng.uniform(tiny - 5, huge + 5, MILLION)
    elif name == "log":
        x = np.r_[np.exp(rng.uniform(tiny, huge, half)), rng.uniform(0.5, 2, half)]
    else:
        x = np.r_[rng.uniform(-30, 30, half), rng.uniform(-1, 1, half // 2)]
        x = np.r_[x, np.exp(rng.uniform(-80, 0, half // 2))]
    return x.astype(dtype)


@needs_long
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(EXACT))
def test_within_two_units_in_the_last_place(name, dtype):
    x = points(name, dtype)
    got = getattr(mtlib.from_numpy(x), name)().numpy()
    assert got.dtype == x.dtype
    with np.errstate(over="ignore", under="ignore"):
        exact = EXACT[name](x.astype(LONG))
        rounded = exact.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    unit = np.spacing(np.abs(rounded[finite])).astype(LONG)
    assert np.max(np.abs(got[finite] - exact[finite]) / unit) <= 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("exp", [1, 1, np.inf, 0, np.nan]),
        ("log", [-np.inf, -np.inf, np.inf, np.nan, np.nan]),
        ("tanh", [0, -0.0, 1, -1, np.nan]),
        ("sigmoid", [0.5, 0.5, 1, 0, np.nan]),
    ],
)
def test_special_values(name, results, dtype):
    x = mtlib.tensor(np.array([0, -0.0, np.inf, -np.inf, np.nan], dtype))
    got = getattr(x, name)().numpy()
    np.testing.assert_array_equal(got, np.array(results, dtype))
    np.testing.assert_array_equal(np.signbit(got[:4]), np.signbit(np.array(results[:4], dtype)))


def test_summing_is_at_least_as_exact_as_numpy():
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(0, 1, 3_000_001).astype("float32")
        exact = np.sum(x.astype(LONG))
        assert abs(mtlib.from_numpy(x).sum().item() - exact) <= 2 * abs(
            float(np.sum(x)) - exact
        ) + (2 * np.spacing(np.float32(exact)))


@compiled_fma
def _decays(out, x):
    for i in range(len(x)):
        out[i] = decay(x[i])


class TestDecay:
    """The powers of numbers up to 0, as softmax takes them."""

    @needs_long
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_within_two_units_in_the_last_place(self, dtype):
        lowest = np.log(np.finfo(dtype).tiny)
        rng = np.random.default_rng(0)
        half = MILLION // 2
        x = np.r_[rng.uniform(lowest, 0, half), -rng.exponential(1, half)].astype(dtype)
        out, expected = np.empty_like(x), np.exp(x.astype(LONG))
        _decays(out, x)
        assert (np.abs(out - expected) <= 2 * np.spacing(expected.astype(dtype))).all()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_ends(self, dtype):
        low = float(np.log(np.finfo(dtype).tiny))
        x = np.array([0, -0.0, -np.inf, np.nan, 1.01 * low, 10 * low], dtype)
        out = np.empty_like(x)
        _decays(out, x)
        np.testing.assert_array_equal(out, [1, 1, 0, np.nan, 0, 0])
        assert decay(np.dtype(dtype).type(0)) == 1  # as Python


def lower_tail(x: np.ndarray) -> np.ndarray:
    """Φ(-x) for x from 0 on, in extended precision: by a series, beyond 3 a continued fraction."""
    x = x.astype(LONG)
    density = np.exp(-x * x / 2) / np.sqrt(2 * np.arccos(LONG(-1)))
    near = np.minimum(x, 3)
    total = term = near
    for n in range(1, 90):
        term = term * near * near / (2 * n + 1)
        total = total + term
    far = np.maximum(x, 3)
    fraction = np.zeros_like(far)
    for n in range(200, 0, -1):
        fraction = n / (far + fraction)
    return np.where(x < 3, LONG(0.5) - density * total, density / (far + fraction))


class TestGELU:
    """x Φ(x), with Φ within 2 units in the last place above 1/2, and below within 2 of 1/2."""

    @needs_long
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_above_0(self, dtype):
        rng = np.random.default_rng(0)
        x = np.r_[rng.uniform(0, 10, 100_000), np.exp(rng.uniform(-80, 0, 50_000))].astype(dtype)
        got, expected = mtlib.from_numpy(x).gelu().numpy(), x * (1 - lower_tail(x))
        assert got.dtype == dtype
        assert (np.abs(got - expected) <= 2 * np.spacing(expected.astype(dtype))).all()

    @needs_long
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_below_0(self, dtype):
        rng = np.random.default_rng(1)
        x = np.r_[rng.uniform(0, NORMAL_FAR, 100_000), np.exp(rng.uniform(-80, 0, 50_000))]
        x = x.astype(dtype)
        got, expected = -mtlib.from_numpy(-x).gelu().numpy(), x * lower_tail(x)
        eps = np.finfo(dtype).eps
        assert (np.abs(got - expected) <= np.minimum(eps * x, 64 * eps * expected)).all()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_ends(self, dtype):
        x = np.array([0, -0.0, np.inf, np.nan, -9, -1e30, 1e30, -np.inf], dtype)
        got = mtlib.from_numpy(x).gelu().numpy()
        expected = np.array([0, -0.0, np.inf, np.nan, -0.0, -0.0, x[-2], np.nan], dtype)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got[:2]), [False, True])

    @needs_long
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_slope(self, dtype):
        x = np.random.default_rng(2).uniform(-12, 12, 100_000).astype(dtype)
        leaf = mtlib.tensor(x, requires_grad=True)
        leaf.gelu().sum().backward()
        tail = lower_tail(np.abs(x))
        density = np.exp(-(x.astype(LONG) ** 2) / 2) / np.sqrt(2 * np.arccos(LONG(-1)))
        expected = np.where(x > 0, 1 - tail, tail) + x * density
        np.testing.assert_allclose(leaf.grad, expected, rtol=0, atol=3 * np.finfo(dtype).eps)


SPECIAL = (0, 1, 2, 3, 0.5, 2.5, 1e30, 1e-40, np.inf)
SPECIAL = (*SPECIAL, *(-x for x in SPECIAL), np.nan)


class TestPowers:
    @needs_long
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_within_one_unit_in_the_last_place(self, dtype):
        rng = np.random.default_rng(0)
        highest = np.log(np.finfo(dtype).max)
        x = np.exp(rng.uniform(-highest, highest, 200_000)).astype(dtype)
        y = (rng.uniform(-1.05, 1.05, 200_000) * highest / np.log(x.astype(LONG))).astype(dtype)
        x[::2], y[::2] = rng.uniform(0.9, 1.1, 100_000), rng.uniform(-300, 300, 100_000)
        with np.errstate(over="ignore", under="ignore"):
            exact = x.astype(LONG) ** y.astype(LONG)
            rounded = exact.astype(dtype)
        got = (mtlib.from_numpy(x) ** mtlib.from_numpy(y)).numpy()
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(got[~finite], rounded[~finite])
        unit = np.spacing(rounded[finite]).astype(LONG)
        assert np.max(np.abs(got[finite] - exact[finite]) / unit) <= 1

    @needs_long
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("exponent", [*powers.SHORT, 2.5, -7])
    def test_by_a_number(self, exponent, dtype):
        rng = np.random.default_rng(0)
        highest = np.log(np.finfo(dtype).max) / max(1, abs(exponent))
        x = np.exp(rng.uniform(-highest, highest, 100_000)).astype(dtype)
        with np.errstate(over="ignore", under="ignore"):
            expected = x.astype(LONG) ** LONG(exponent)
            unit = np.spacing(expected.astype(dtype)).astype(LONG)
        got = (mtlib.from_numpy(x) ** exponent).numpy()
        assert np.max(np.abs(got - expected) / unit) <= 2

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_special_values_are_those_of_c(self, dtype):
        """Whether the exponent is a number, which may have a short cut, or one of many."""
        x, y = (np.array(SPECIAL, dtype)[axis] for axis in ((slice(None), None), (None,)))
        with np.errstate(all="ignore"):
            expected = np.power(x.astype(float), y.astype(float)).astype(dtype)
        table = (mtlib.tensor(x) ** mtlib.tensor(y)).numpy()
        columns = [(mtlib.tensor(x[:, 0]) ** float(exponent)).numpy() for exponent in y[0]]
        for got in (table, np.stack(columns, 1)):
            np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(dtype).eps, atol=0)
            real = ~np.isnan(expected)
            np.testing.assert_array_equal(np.signbit(got[real]), np.signbit(expected[real]))

    @needs_long
    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, -0.5, 2.5])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_slope(self, exponent, dtype):
        x = np.random.default_rng(0).uniform(0.01, 9, 1000).astype(dtype)
        expected = LONG(exponent) * x.astype(LONG) ** (LONG(exponent) - 1)
        for program in (lambda a: a**exponent, mtlib.fuse(lambda a: a**exponent)):
            leaf = mtlib.tensor(x, requires_grad=True)
            program(leaf).sum().backward()
            np.testing.assert_allclose(leaf.grad, expected, rtol=4 * np.finfo(dtype).eps)

"""exp, log, tanh and sigmoid against the same functions in extended precision."""

import numpy as np
import pytest

import mtlib
from mtlib.kernels.jit import compiled_fma
from mtlib.kernels.transcendental import decay

MILLION = 1_000_000
LONG = np.longdouble

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


@pytest.mark.skipif(np.finfo(LONG).nmant < 63, reason="long double is not longer here")
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

    @pytest.mark.skipif(np.finfo(LONG).nmant < 63, reason="long double is not longer here")
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

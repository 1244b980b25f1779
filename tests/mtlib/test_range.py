"""Gradients stay in range where the true ones do: no square or product on the way leaves it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .strategies import DTYPES

SCALES = {np.float32: (1e-23, 1e20), np.float64: (1e-200, 1e200)}
either = pytest.mark.parametrize("fused", [False, True], ids=["step by step", "fuse"])


def gradients(fn, fused: bool, *arrays: np.ndarray, d=1.0) -> list[np.ndarray]:
    inputs = [mtlib.tensor(a, requires_grad=True) for a in arrays]
    y = (mtlib.fuse(fn) if fused else fn)(*inputs)
    y.backward(mtlib.full(y.shape, d, dtype=y.dtype))
    return [x.grad.numpy() for x in inputs]


@pytest.mark.usefixtures("plain")
@either
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1], ids=["tiny", "huge"])
class TestAtOneScale:
    """What is worked out by hand, for numbers whose squares are 0 or infinite."""

    def check(self, fn, fused, values, expected, dtype):
        (found,) = gradients(fn, fused, np.array(values, dtype))
        np.testing.assert_allclose(found, np.array(expected, dtype), rtol=8 * np.finfo(dtype).eps)

    def test_a_quotient(self, dtype, size, fused):
        s = SCALES[dtype][size]
        self.check(lambda x: x[0] / x[1], fused, [s, s], [1 / s, -1 / s], dtype)
        self.check(lambda x: x[0] / x[1], fused, [-3 * s, 2 * s], [0.5 / s, 0.75 / s], dtype)

    def test_a_number_over_a_tensor(self, dtype, size, fused):
        s = SCALES[dtype][size]
        self.check(lambda x: 3 * s / x, fused, [s, -s], [-3 / s, -3 / s], dtype)

    def test_rows_that_add_up_to_1(self, dtype, size, fused):
        s = SCALES[dtype][size]
        slopes = [7 / 64 / s, -1 / 64 / s, -1 / 64 / s]
        self.check(lambda x: (x / x.sum())[0], fused, [s, 2 * s, 5 * s], slopes, dtype)

    def test_a_variance(self, dtype, size, fused):
        s = SCALES[dtype][size]
        self.check(lambda x: x.var(), fused, [s, 3 * s], [-2 * s, 2 * s], dtype)

    def test_a_root_and_a_logarithm(self, dtype, size, fused):
        s = SCALES[dtype][size]
        self.check(lambda x: x.sqrt(), fused, [s], [0.5 * s**-0.5], dtype)
        self.check(lambda x: x**0.5, fused, [s], [0.5 * s**-0.5], dtype)
        self.check(lambda x: x.log(), fused, [s], [1 / s], dtype)

    def test_extremes(self, dtype, size, fused):
        s = SCALES[dtype][size]
        self.check(lambda x: x.max(), fused, [s, 2 * s, -s], [0, 1, 0], dtype)
        self.check(lambda x: mtlib.minimum(x, s), fused, [s, 2 * s, -s], [0.5, 0, 1], dtype)


@pytest.mark.usefixtures("plain")
@either
@pytest.mark.parametrize(
    ("values", "others"),
    [
        ([1e-23, 1e-23], [1e-23, 1e-23]),
        ([1e-30, 1e-30, 1e35], [1e5, 1e5, 0]),
        ([1e30, 1e30, 1e-35], [1e-5, 1e-5, np.inf]),
        ([1e30, 0, 1e-25], [0, 1e5, 0]),
    ],
)
def test_the_others_of_a_product(values, others, fused):
    """In float32; the product of all of them is 0, infinite or neither."""
    (found,) = gradients(lambda x: x.prod(), fused, np.array(values, np.float32))
    np.testing.assert_allclose(found, others, rtol=1e-6)


@pytest.mark.usefixtures("plain")
@either
@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda x: mtlib.maximum(x, 2), [0, np.inf, np.inf]),
        (lambda x: mtlib.minimum(x, 2), [np.inf, np.inf, 0]),
        (lambda x: x.max(0, keepdim=True), [0, 0, np.inf]),
        (lambda x: x.min(0, keepdim=True), [np.inf, 0, 0]),
        (lambda x: x.relu(), [np.inf] * 3),
        (lambda x: mtlib.where(x > 1, x, 5), [0, np.inf, np.inf]),
    ],
)
def test_an_infinite_gradient_is_none_of_those_that_get_none(fn, expected, fused):
    (found,) = gradients(fn, fused, np.array([1.0, 2.0, 3.0]), d=np.inf)
    assert found.tolist() == expected


NAN = np.nan


@pytest.mark.usefixtures("plain")
@either
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("fn", "values", "expected"),
    [
        (lambda x: x.relu(), [NAN, -1, 2], [1, 0, 1]),
        (lambda x: mtlib.maximum(x, 2), [NAN, 1, 2, 3], [1, 0, 0.5, 1]),
        (lambda x: mtlib.minimum(2, x), [NAN, 1, 2, 3], [1, 1, 0.5, 0]),
        (lambda x: x.max(0, keepdim=True), [1, NAN, 3], [0, 1, 0]),
        (lambda x: x.min(), [NAN, 2, NAN], [0.5, 0, 0.5]),
    ],
)
def test_a_gradient_flows_to_the_nan_that_was_returned(fn, values, expected, dtype, fused):
    """As PyTorch's relu, maximum and max along a dim have it."""
    (found,) = gradients(fn, fused, np.array(values, dtype))
    assert found.tolist() == expected


@either
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_slope_of_gelu_at_infinity(dtype, fused):
    x = np.array([np.inf, -np.inf], dtype)
    assert gradients(mtlib.gelu, fused, x)[0].tolist() == [1, 0]
    assert np.isnan(gradients(mtlib.gelu, fused, np.array([NAN], dtype))).all()


@either
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_slope_of_a_power_with_a_huge_exponent(dtype, fused):
    """y xʸ⁻¹ is 0 or infinite, however large y itself is."""
    x, y = np.array([0.5, 0.5, 2, 2], dtype), np.array([1e30, 3e38, 3e38, -3e38], dtype)
    found, _ = gradients(lambda x, y: x**y, fused, x, y)
    assert found.tolist() == [0, 0, np.inf, 0]


@pytest.mark.usefixtures("plain")
@either
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_quotient_by_less_than_any_inverse(dtype, fused):
    """1 / b is infinite, which would make nan of a 0."""
    tiny = np.finfo(dtype).smallest_subnormal
    for a, d, slope in ((0, 1, 0), (tiny, 0, 0), (tiny, tiny, -1)):
        a, b = np.array([a], dtype), np.array([tiny], dtype)
        assert gradients(lambda a, b: a / b, fused, a, b, d=d)[1].tolist() == [slope]


# A function of x (2, n), and its slopes in x.
SLOPES = {
    "div": (lambda x: x[0] / x[1], lambda a, b: (1 / b, -a / b**2)),
    "mul": (lambda x: x[0] * x[1], lambda a, b: (b, a)),
    "prod": (lambda x: x.prod(0), lambda a, b: (b, a)),
    "var": (lambda x: x.var(0), lambda a, b: (a - b, b - a)),
    "mean": (lambda x: x.mean(0), lambda a, b: (a * 0 + 0.5, a * 0 + 0.5)),
    "sqrt": (lambda x: x.sqrt().sum(0), lambda a, b: (0.5 * a**-0.5, 0.5 * b**-0.5)),
    "log": (lambda x: x.log().sum(0), lambda a, b: (1 / a, 1 / b)),
    "pow": (lambda x: (x**-0.5).sum(0), lambda a, b: (-0.5 * a**-1.5, -0.5 * b**-1.5)),
    "extremes": (lambda x: x.max(0), lambda a, b: _share(a, b)),
    "maximum": (lambda x: mtlib.maximum(x[0], x[1]), lambda a, b: _share(a, b)),
}
FUSED = {name: mtlib.fuse(fn) for name, (fn, _) in SLOPES.items()}


def _share(a, b):
    wins = (a > b) + (a == b) * 0.5
    return wins, 1 - wins


@either
@pytest.mark.parametrize("name", SLOPES)
@given(
    exponents=st.lists(st.tuples(*[st.floats(-25, 25)] * 2), min_size=7, max_size=7),
    signs=st.lists(st.sampled_from((-1, 1)), min_size=14, max_size=14),
)
@settings(max_examples=20)
def test_magnitudes_far_apart(name, fused, exponents, signs):
    """float32, against float64, wherever the true gradient is a float32 with all its digits."""
    fn, slopes = SLOPES[name]
    a = 10.0 ** np.array(exponents, dtype=np.float64).T
    if name not in ("sqrt", "log", "pow"):
        a *= np.array(signs).reshape(2, 7)
    a = a.astype(np.float32)
    x = mtlib.tensor(a, requires_grad=True)
    y = (FUSED[name] if fused else fn)(x)
    y.backward(mtlib.ones(y.shape, dtype="float32"))
    expected = np.array(slopes(*a.astype(np.float64)))
    # The difference of nearly equal numbers has few digits whatever is done.
    atol = 1e-6 * np.abs(a).max(0) if name == "var" else 0
    info = np.finfo(np.float32)
    there = (abs(expected) < info.max / 2) & ((abs(expected) > 2 * info.tiny) | (expected == 0))
    np.testing.assert_array_less(
        np.where(there, abs(x.grad.numpy() - expected), 0),
        np.where(there, 1e-5 * abs(expected) + atol, 0) + 1e-300,
    )

"""NumPy's functions on tensors: what they give, and that no gradient is lost in them."""

import numpy as np
import pytest

import mtlib

pytestmark = pytest.mark.nojit


@pytest.fixture
def x():
    return mtlib.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


@pytest.fixture
def w(x):
    return mtlib.tensor(x, requires_grad=True)


LOSING = {
    "exp": lambda x: np.exp(x),
    "sqrt": lambda x: np.sqrt(x),
    "maximum": lambda x: np.maximum(1.5, x),
    "multiply": lambda x: np.multiply(mtlib.ones(3), x),
    "concatenate": lambda x: np.concatenate([np.ones((1, 3)), x]),
    "where": lambda x: np.where([True, False, True], x, 0),
    "dot": lambda x: np.dot(x, np.ones(3)),
    "einsum": lambda x: np.einsum("ij->i", x),
    "std": lambda x: np.std(x, axis=0),
    "norm": lambda x: np.linalg.norm(x),
    "gradient": lambda x: np.gradient(x),  # a tuple of arrays
}


@pytest.mark.parametrize("name", LOSING)
def test_a_gradient_is_not_lost_without_a_word(name, x, w):
    with pytest.raises(RuntimeError, match=rf"^np\.{name}: an array carries no gradient, and"):
        LOSING[name](w)
    with mtlib.no_grad():
        without = LOSING[name](w)
    for found in (LOSING[name](x), LOSING[name](w.detach()), without):
        np.testing.assert_array_equal(found, LOSING[name](x.numpy()))
        assert not isinstance(found, mtlib.Tensor)


@pytest.mark.parametrize("call", [np.add.reduce, np.add.accumulate, lambda x: np.clip(x, 2, 3)])
def test_nor_by_what_numpy_does_not_name(call, x, w):
    with pytest.raises(RuntimeError, match=r"^NumPy: an array carries no gradient"):
        call(w)
    np.testing.assert_array_equal(call(x), call(x.numpy()))


def test_the_error_says_what_to_write(w):
    with pytest.raises(RuntimeError, match=r"; use x\.exp\(\), or x\.detach\(\) for the values"):
        np.exp(w)
    with pytest.raises(RuntimeError, match=r"; use operations of mtlib, or x\.detach\(\) for"):
        np.sin(w)


@pytest.mark.parametrize(
    "call",
    [
        np.asarray,
        np.isfinite,
        np.shape,
        np.argmax,
        np.array_str,
        np.ones_like,
        lambda x: np.full_like(x, 3),
        lambda x: np.allclose(x, 1),
        lambda x: np.array_equal(x, x),
        lambda x: np.greater(x, 2),
        lambda x: np.array([x, x]),
    ],
)
def test_what_has_no_gradient_goes_on(call, w):
    np.testing.assert_array_equal(call(w), call(w.numpy()))


@pytest.mark.parametrize(
    "check",
    [
        np.testing.assert_allclose,
        np.testing.assert_array_equal,
        np.testing.assert_equal,
        np.testing.assert_array_almost_equal,
        np.testing.assert_almost_equal,
        np.testing.assert_array_max_ulp,
    ],
)
def test_numpy_testing_goes_on(check, w):
    check(w, w.numpy())
    check(w.numpy(), w)
    with pytest.raises(AssertionError):
        check(w, w.numpy() + 1)


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "@": lambda a, b: a @ b.T,
}


@pytest.mark.parametrize("sign", OPERATORS)
def test_an_array_on_the_left_of_an_operator_gives_a_tensor(sign, w):
    array = np.full((2, 3), 2.0)
    result = OPERATORS[sign](array, w)
    assert isinstance(result, mtlib.Tensor)
    assert result.requires_grad
    np.testing.assert_allclose(result, OPERATORS[sign](array, w.numpy()))
    assert (np.float64(2) * w).requires_grad


FOLDS = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "var": np.var,
}


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_numpy_finds_the_folds_of_tensors(name, axis, keepdims, w):
    """As np.sum(x) calls x.sum(axis=None, out=None), the gradient flows."""
    fold = FOLDS[name]
    found = fold(w, axis=axis, keepdims=keepdims)
    assert isinstance(found, mtlib.Tensor)
    assert found.requires_grad
    np.testing.assert_allclose(found, fold(w.numpy(), axis=axis, keepdims=keepdims))
    own = getattr(w, name)(axis=axis, keepdims=keepdims, **{"ddof": 0} if name == "var" else {})
    np.testing.assert_array_equal(own, found)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused])
def test_softmax_along_an_axis(module, name, x):
    softmax = getattr(module, name)
    np.testing.assert_array_equal(softmax(x, axis=1), softmax(x, dim=1))


def test_names_that_do_not_go_together(x):
    for call, says in (
        (lambda: x.sum(dim=0, axis=0), "sum: dim and axis mean the same; give one of them"),
        (lambda: x.max(0, keepdim=True, keepdims=True), "max: keepdim and keepdims mean the same"),
        (lambda: np.sum(x, dtype="float32"), "sum: dtype is not taken, and must be None"),
        (lambda: np.mean(x, out=np.zeros(())), "mean: out is not taken, and must be None"),
    ):
        with pytest.raises(TypeError, match=f"^{says}"):
            call()
    with pytest.raises(ValueError, match=r"^sum: dim 2 is out of range"):
        x.sum(axis=2)

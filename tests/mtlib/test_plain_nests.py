"""The plain loop nests that the ledger counts compute what the fused operations compute."""

import numpy as np
import pytest

import mtlib

from . import plain_nests as nests

pytestmark = pytest.mark.nojit

N, C = 3, 5
X, D = (np.random.default_rng(seed).standard_normal((N, C)) for seed in (0, 1))
W, B = np.random.default_rng(2).standard_normal((2, C))


def by_fused(operation, *arrays, d=D) -> list[np.ndarray]:
    """The result of a fused operation, and the gradients of these arguments."""
    tensors = [mtlib.tensor(x, requires_grad=True) for x in arrays]
    y = operation(*tensors)
    y.backward(mtlib.tensor(d))
    return [y.detach().numpy(), *(t.grad.numpy() for t in tensors)]


def zeros(*shapes) -> list[np.ndarray]:
    return [np.zeros(shape) for shape in shapes]


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name):
    y, dx = zeros(X.shape, X.shape)
    nests.softmax(y, X, name == "log_softmax")
    getattr(nests, f"{name}_backward")(dx, y, D)
    assert_equal([y, dx], by_fused(lambda x: getattr(mtlib.fused, name)(x, 1), X))


def test_cross_entropy():
    labels, d = np.array([4, 0, 2]), D[:, 0].copy()
    losses, largest, totals, dx = zeros(N, N, N, X.shape)
    nests.cross_entropy(losses, largest, totals, X, labels)
    nests.cross_entropy_backward(dx, X, labels, largest, totals, d)
    expected = by_fused(lambda x: mtlib.fused.cross_entropy(x, labels, "none"), X, d=d)
    assert_equal([losses, dx], expected)


def test_layer_norm():
    y, dx, dw, db, *kept = zeros(X.shape, X.shape, C, C, N, N, N)
    nests.layer_norm(y, *kept, X, W, B)
    nests.layer_norm_backward(dx, dw, db, X, D, W, *kept)
    expected = by_fused(lambda x, w, b: mtlib.fused.layer_norm(x, C, w, b), X, W, B)
    assert_equal([y, dx, dw, db], expected)


def test_rms_norm():
    y, dx, dw, scales = zeros(X.shape, X.shape, C, N)
    nests.rms_norm(y, scales, X, W)
    nests.rms_norm_backward(dx, dw, X, D, W, scales)
    assert_equal([y, dx, dw], by_fused(lambda x, w: mtlib.fused.rms_norm(x, C, w), X, W))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention(masked, causal):
    draw = np.random.default_rng(3).standard_normal
    shapes = [(7, 3), (5, 3), (5, 2), *([(7, 5)] if masked else [])]
    q, k, v, *mask = arrays = [draw(shape) for shape in shapes]
    d, mask = draw((7, 2)), mask[0] if masked else None
    out, lse, s, *gradients = zeros((7, 2), 7, 5, *shapes)
    nests.attention(out, lse, s, q, k, v, mask, causal)
    nests.attention_backward(gradients, q, k, v, mask, out, lse, d, causal)
    expected = by_fused(lambda *x: mtlib.fused.attention(*x, causal=causal), *arrays, d=d)
    assert_equal([out, *gradients], expected)

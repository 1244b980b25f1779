"""The same program in mtlib and in PyTorch, where it is installed: values and gradients agree."""

import numpy as np
import pytest

import mtlib

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

PROGRAMS = {
    "maps": lambda x, y: x.exp() + y.tanh() * x.sigmoid() - (y * y + 1).log() + (x * x + 1).sqrt(),
    "division and powers": lambda x, y: x / (y * y + 1) + (x * x + 1) ** 1.5,
    "comparisons": lambda x, y: x * (x > y) + y * (x <= y),
    "relu": lambda x, y: (x - y).relu(),
    "mean": lambda x, y: (x * y).mean(1, keepdim=True) * x,
    "sum over two": lambda x, y: (x * y).sum((0, 2)),
    "variance": lambda x, y: x.var(1) + y.var((0, 2), correction=0).sum(),
    "product": lambda x, y: (x + 2).prod(1) * y.sum(1),
    "views": lambda x, y: x.permute(2, 0, 1).reshape(-1, 2)[::2] * y.transpose(0, 2)[0, :1, :1],
    "expand": lambda x, y: x[:, :1].expand(-1, 3, -1) + y,
    "matmul": lambda x, y: x @ y.transpose(-1, -2) @ x,
    "matmul of vectors": lambda x, y: (x[0, 0] @ y[1, 2]) * (x @ y[0, 0]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_values_and_gradients(name, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 3, 4)).astype(dtype) for _ in range(2)]
    ours = [mtlib.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    result, expected = PROGRAMS[name](*ours), PROGRAMS[name](*theirs)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-9}
    assert result.shape == tuple(expected.shape)
    np.testing.assert_allclose(result, expected.detach().numpy(), **tolerance)
    weights = rng.standard_normal(result.shape).astype(dtype)
    result.backward(mtlib.tensor(weights))
    expected.backward(torch.tensor(weights))
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, its.grad.numpy(), **tolerance)


def test_ties_share_their_gradient_as_amax_does():
    array = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    ours, theirs = mtlib.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    ours.max(1).sum().backward()
    torch.amax(theirs, 1).sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy())


@pytest.mark.parametrize("name", ["gelu", "maximum", "minimum"])
def test_functions(name):
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((3, 4)) for _ in range(1 if name == "gelu" else 2)]
    function = torch.nn.functional.gelu if name == "gelu" else getattr(torch, name)
    ours = [mtlib.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    result, expected = getattr(mtlib, name)(*ours), function(*theirs)
    np.testing.assert_allclose(result, expected.detach().numpy(), rtol=1e-9)
    result.sum().backward()
    expected.sum().backward()
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, its.grad.numpy(), rtol=1e-7)


both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])


def check_call(call, their_call, *arrays) -> None:
    """The result and the gradients of all operands."""
    ours = [mtlib.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    result, expected = call(*ours), their_call(*theirs)
    assert result.shape == tuple(expected.shape)
    np.testing.assert_allclose(result, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    weights = np.random.default_rng(2).standard_normal(result.shape)
    result.backward(mtlib.tensor(weights))
    expected.backward(torch.tensor(weights))
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, its.grad.numpy(), rtol=1e-7, atol=1e-12)


@both
@pytest.mark.parametrize("x", [(4,), (5, 4), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("weight", [(3, 4), (4,), (0, 4)])
@pytest.mark.parametrize("biased", [False, True])
def test_linear(module, x, weight, biased):
    rng = np.random.default_rng(0)
    shapes = [x, weight, *([weight[:-1]] if biased else [])]
    arrays = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    theirs = torch.nn.functional.linear
    if biased and weight == (4,):  # which PyTorch takes for some x only

        def theirs(x, weight, bias):
            return torch.nn.functional.linear(x, weight) + bias

    check_call(module.linear, theirs, *arrays)


@both
@pytest.mark.parametrize("mask", [None, "bools", "numbers", "of keys"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 7), (7, 3)])
def test_attention(module, mask, causal, scale, queries, keys):
    """Also for queries that see no key: 0, since PyTorch 2.5."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 3, *size)) for size in ((queries, 4), (keys, 4), (keys, 6))]
    sees = rng.random((2, 1, queries, keys)) < 0.5
    sees[0, :, 1], sees[1, :, 0] = False, False
    array = {
        None: None,
        "bools": sees,
        "numbers": np.where(sees, rng.standard_normal(sees.shape), -np.inf),
        "of keys": sees[:, :, :1],
    }[mask]
    theirs = None if array is None else torch.tensor(array)
    how = {"is_causal": causal}
    if causal and array is not None:  # which PyTorch wants in one mask
        below = np.tri(queries, keys, dtype=bool)
        one = array & below if array.dtype == bool else np.where(below, array, -np.inf)
        theirs, how = torch.tensor(one), {}
    check_call(
        lambda q, k, v: module.attention(q, k, v, array, causal, scale),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(
            q, k, v, theirs, scale=scale, **how
        ),
        *arrays,
    )


@both
def test_attention_to_its_mask(module):
    rng = np.random.default_rng(0)
    shapes = (2, 5, 4), (2, 3, 4), (2, 3, 6), (5, 3)
    check_call(
        module.attention,
        torch.nn.functional.scaled_dot_product_attention,
        *(rng.standard_normal(shape) for shape in shapes),
    )


@both
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (3, 0), (0, 3)])
def test_softmax(module, name, shape):
    array = np.random.default_rng(0).standard_normal(shape)
    for dim in range(-len(shape), len(shape)):
        check_call(
            lambda x, dim=dim: getattr(module, name)(x, dim),
            lambda x, dim=dim: getattr(torch.nn.functional, name)(x, dim),
            array,
        )


@both
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 4, 3), (2, 4, 3, 5)])
def test_cross_entropy(module, reduction, shape):
    rng, dim = np.random.default_rng(0), min(1, len(shape) - 1)
    array = rng.standard_normal(shape)
    labels = rng.integers(0, 4, (*shape[:dim], *shape[dim + 1 :]))
    check_call(
        lambda x: module.cross_entropy(x, labels, reduction),
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(labels), reduction=reduction),
        array,
    )


@both
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cross_entropy"])
def test_rows_with_infinity_and_nan(module, name):
    array = np.array([[np.inf, 0, 1], [np.nan, 0, 1], [-np.inf] * 3, [-np.inf, 0, 1]])
    labels = np.zeros(4, int)
    ours, theirs = mtlib.tensor(array), torch.tensor(array)
    if name == "cross_entropy":
        result = module.cross_entropy(ours, labels, "none")
        expected = torch.nn.functional.cross_entropy(theirs, torch.tensor(labels), reduction="none")
    else:
        result = getattr(module, name)(ours, 1)
        expected = getattr(torch.nn.functional, name)(theirs, 1)
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-12)


@both
@pytest.mark.parametrize(("shape", "normalized"), [((3, 4), 1), ((2, 3, 4), 2), ((2, 3, 4), 3)])
@pytest.mark.parametrize("affine", [(), ("weight",), ("weight", "bias"), ("bias",)])
def test_layer_norm(module, shape, normalized, affine):
    rng, last = np.random.default_rng(0), shape[-normalized:]
    arrays = [rng.standard_normal(s) for s in (shape, *(last for _ in affine))]

    def call(function, x, *rest):
        return function(x, last, **dict(zip(affine, rest, strict=True)), eps=0.01)

    check_call(
        lambda *operands: call(module.layer_norm, *operands),
        lambda *operands: call(torch.nn.functional.layer_norm, *operands),
        *arrays,
    )

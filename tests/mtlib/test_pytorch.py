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

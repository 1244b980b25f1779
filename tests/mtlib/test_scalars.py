"""Tensors without dimensions take dim 0 and -1, as PyTorch's do, and no other."""

import numpy as np
import pytest

import mtlib

from .operations import REDUCTIONS

pytestmark = pytest.mark.nojit

DIMS = (0, -1)

# What each gives of 3, and the slope of that.
REDUCED = {"var": (np.nan, np.nan), "var-correction": (0, 0)}
CALLS = {
    "softmax": (mtlib.fused.softmax, 1, 0),
    "log_softmax": (mtlib.fused.log_softmax, 0, 0),
    "naive.softmax": (mtlib.naive.softmax, 1, 0),
    "naive.log_softmax": (mtlib.naive.log_softmax, 0, 0),
    "squeeze": (mtlib.Tensor.squeeze, 3, 1),
    "transpose": (lambda x, dim: x.transpose(dim, 0), 3, 1),
    "transpose back": (lambda x, dim: x.transpose(-1, dim), 3, 1),
    **{
        op.id: (lambda x, dim, op=op: op.call(x, dim=dim), *REDUCED.get(op.id, (3, 1)))
        for op in REDUCTIONS
    },
}


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("name", CALLS)
def test_a_dim_of_a_scalar(name, dim, fused):
    call, value, slope = CALLS[name]
    x = mtlib.tensor(3.0, dtype="float32", requires_grad=True)
    call_ = mtlib.fuse(lambda x: call(x, dim)) if fused else lambda x: call(x, dim)
    y = call_(x)
    assert y.shape == ()
    assert y.dtype == x.dtype
    np.testing.assert_equal(y.item(), value)
    y.backward()
    assert x.grad.shape == ()
    np.testing.assert_equal(x.grad.item(), slope)


@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.id)
def test_several_dims_and_keepdim(op):
    x = mtlib.tensor(3.0)
    expected = op.call(x).item()
    for dim in ((), (0,), (-1,), [0]):
        result = op.call(x, dim=dim, keepdim=True)
        assert result.shape == ()
        np.testing.assert_equal(result.item(), expected)


def test_views():
    x = mtlib.tensor(3.0)
    for result in (x.permute(), x.permute(()), x.T, x.squeeze(), x.squeeze((0,))):
        assert result.shape == ()
        assert result.storage is x.storage
    assert x.unsqueeze(0).shape == x.unsqueeze(-1).shape == (1,)


REFUSED = {
    "sum": lambda x, dim: x.sum(dim),
    "mean": lambda x, dim: x.mean(dim),
    "var": lambda x, dim: x.var(dim),
    "max": lambda x, dim: x.max(dim),
    "softmax": lambda x, dim: mtlib.fused.softmax(x, dim),
    "log_softmax": lambda x, dim: mtlib.naive.log_softmax(x, dim),
    "squeeze": lambda x, dim: x.squeeze(dim),
    "transpose": lambda x, dim: x.transpose(0, dim),
}


@pytest.mark.parametrize("dim", [1, -2])
@pytest.mark.parametrize("name", REFUSED)
def test_no_other_dim(name, dim):
    x = mtlib.tensor(3.0)
    says = rf"^{name}: dim {dim} is out of range, .* is a scalar and has no dimensions$"
    with mtlib.trace() as t, pytest.raises(ValueError, match=says):
        REFUSED[name](x, dim)
    assert t.buffers == t.events == []


@pytest.mark.parametrize("dims", [(0,), (-1,), (0, 0)])
def test_no_dim_to_permute(dims):
    with pytest.raises(ValueError, match=r"^permute: .* does not name each of the 0 dimensions"):
        mtlib.tensor(3.0).permute(*dims)
    with pytest.raises(ValueError, match=r"^unsqueeze: dim 1 is out of range, the result has 1 d"):
        mtlib.tensor(3.0).unsqueeze(1)

"""Maps against NumPy, on every layout, and their derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .fused_programs import check
from .operations import MAPS
from .strategies import DTYPES, check_gradient, fill, operands, small_shapes

pytestmark = pytest.mark.nojit

every_map = pytest.mark.parametrize("op", MAPS, ids=lambda op: op.id)


def check_values(op, result: mtlib.Tensor, arrays) -> None:
    """Equal to NumPy's, computed in float64 and rounded, to the units in the last place allowed."""
    with np.errstate(all="ignore"):
        expected = op.reference(*(a.astype(np.float64) for a in arrays)).astype(result.dtype)
    limits = np.finfo(result.dtype)
    assert result.shape == expected.shape
    assert result.storage.size == result.size  # no gaps, and nothing stretched
    np.testing.assert_allclose(
        result.numpy(), expected, rtol=op.ulps * limits.eps, atol=op.ulps * limits.tiny
    )


@every_map
@given(data=st.data())
@settings(max_examples=25)
def test_forward(op, data):
    operand = data.draw(operands(domain=op.domains[0]))
    result = op.call(operand.tensor)
    assert result.dtype == operand.array.dtype
    if op.id == "gelu":  # (1 + erf) cancels for a negative argument: an absolute error
        np.testing.assert_allclose(
            result, op.reference(operand.array), atol=8 * np.finfo(result.dtype).eps
        )
    else:
        check_values(op, result, [operand.array])
    np.testing.assert_array_equal(operand.tensor, operand.array)  # the operand is left alone


@every_map
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_are_those_of_ieee(op, dtype):
    array = fill("special", (60,), dtype, seed=1)
    with np.errstate(all="ignore"):
        expected = op.reference(array)
    rtol = max(op.ulps, 1) * np.finfo(dtype).eps
    np.testing.assert_allclose(op.call(mtlib.tensor(array)), expected, rtol=rtol, atol=1e-38)


@every_map
@given(data=st.data())
@settings(max_examples=10)
def test_backward(op, data):
    shape = data.draw(small_shapes())
    part = data.draw(operands(shape, np.float64, op.domains[0]))
    check_gradient(op.call, part)


@every_map
@pytest.mark.parametrize("dtype", DTYPES)
def test_backward_is_the_derivative_by_hand(op, dtype):
    a, d = fill(op.domains[0], (4, 5), dtype, seed=2), fill("any", (4, 5), dtype, seed=3)
    x = mtlib.tensor(a, requires_grad=True)
    op.call(x).backward(mtlib.tensor(d))
    assert x.grad.dtype == dtype
    slopes = op.slopes(a.astype(np.float64))
    np.testing.assert_allclose(x.grad, d * slopes, rtol=64 * np.finfo(dtype).eps, atol=1e-6)


@every_map
@pytest.mark.usefixtures("plain")
def test_fuse_writes_what_it_does(op):
    check(op.call, [fill(op.domains[0], (4, 5), np.float64, seed=1)], rtol=1e-9, atol=1e-12)


def test_the_slope_of_relu_at_0_is_0():
    x = mtlib.tensor([-1.0, 0.0, -0.0, 2.0], requires_grad=True)
    x.relu().sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]


def test_a_slope_may_be_infinite():
    x = mtlib.tensor([0.0, 4.0], requires_grad=True)
    x.sqrt().sum().backward()
    assert x.grad.tolist() == [np.inf, 0.25]


@every_map
def test_a_number_is_taken_as_a_float64_tensor(op):
    result = op.call(mtlib.tensor(2.0)).item()
    if op.id != "neg":  # -2 is Python's
        assert op.call(2).item() == op.call(np.float64(2)).item() == result
        assert op.call(np.array(2)).item() == result
        assert op.call(2).dtype == np.float64


@every_map
@pytest.mark.parametrize("value", ["2", None, [1.0], 1j, np.array([1j]), np.complex128(1)])
def test_what_is_not_real_is_refused(op, value):
    if op.id != "neg":
        with (
            mtlib.trace() as t,
            pytest.raises(TypeError, match=f"^{op.id}: .*(str|None|list|compl)"),
        ):
            op.call(value)
        assert t.buffers == []


class TestTo:
    @given(operand=operands(), dtype=st.sampled_from(DTYPES))
    @settings(max_examples=25)
    def test_forward(self, operand, dtype):
        result = operand.tensor.to(dtype)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, operand.array.astype(dtype))
        assert (result is operand.tensor) == (operand.array.dtype == dtype)

    def test_backward_comes_back_in_the_dtype_of_the_operand(self):
        x = mtlib.tensor([1.0, 2.0], dtype="float32", requires_grad=True)
        x.to("float64").backward(mtlib.tensor([3.0, 4.0]))
        assert x.grad.dtype == np.float32
        assert x.grad.tolist() == [3, 4]

    def test_there_and_back_has_the_gradient_1(self):
        assert mtlib.gradcheck(
            lambda x: (x * x).to("float64"), mtlib.tensor([1.0, 2.0], requires_grad=True)
        )

    @pytest.mark.parametrize("dtype", ["complex64", "float16", "O", "U3", "nonsense", 3, [1]])
    def test_other_dtypes_are_refused(self, dtype):
        with pytest.raises(TypeError, match=r"^to: .*float32 or float64"):
            mtlib.ones(2).to(dtype)

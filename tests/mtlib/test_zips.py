"""Zips against NumPy, on every layout and broadcast, and their derivatives."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .fused_programs import check
from .operations import COMPARISONS, WHERE, ZIPS
from .strategies import DTYPES, check_gradient, fill, near, operands, shapes, small_shapes
from .test_maps import check_values

pytestmark = pytest.mark.nojit

every_zip = pytest.mark.parametrize("op", ZIPS, ids=lambda op: op.id)
every_comparison = pytest.mark.parametrize("op", COMPARISONS, ids=lambda op: op.id)


@st.composite
def pairs(draw, domains, whole=None, dtypes=DTYPES):
    """Operands whose shapes broadcast together."""
    whole = draw(shapes() if whole is None else whole)
    parts = [draw(near(whole)) for _ in domains]
    return [
        draw(operands(shape, draw(st.sampled_from(dtypes)), domain))
        for shape, domain in zip(parts, domains, strict=True)
    ]


@pytest.mark.parametrize("op", [*ZIPS, *COMPARISONS], ids=lambda op: op.id)
@given(data=st.data())
@settings(max_examples=25)
def test_forward(op, data):
    a, b = data.draw(pairs(op.domains))
    result = op.call(a.tensor, b.tensor)
    common = np.result_type(a.array.dtype, b.array.dtype)  # NumPy's promotion
    assert result.dtype == (bool if op in COMPARISONS else common)
    arrays = [x.array.astype(common) for x in (a, b)]
    if op in COMPARISONS or (op.ulps == 0 and common == np.float32):  # one rounding, not two
        np.testing.assert_array_equal(result, op.reference(*arrays))
    else:
        check_values(op, result, arrays)


@given(data=st.data())
@settings(max_examples=40)
def test_where_forward(data):
    c, a, b = data.draw(pairs(WHERE.domains))
    result = mtlib.where(c.tensor, a.tensor, b.tensor)
    assert result.dtype == np.result_type(a.array.dtype, b.array.dtype)
    np.testing.assert_array_equal(result, WHERE.reference(c.array, a.array, b.array))


@pytest.mark.parametrize("op", [*ZIPS, *COMPARISONS], ids=lambda op: op.id)
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_are_those_of_ieee(op, dtype):
    a, b = fill("special", (30, 1), dtype, seed=1), fill("special", (1, 30), dtype, seed=2)
    with np.errstate(all="ignore"):
        expected = op.reference(a, b)
    result = op.call(mtlib.tensor(a), mtlib.tensor(b))
    np.testing.assert_allclose(result, expected, rtol=op.ulps * np.finfo(dtype).eps)


@every_zip
@given(data=st.data())
@settings(max_examples=12)
def test_backward(op, data):
    # one value for all of a, so that a and b cannot tie where a kink would be
    a, b = data.draw(pairs(op.domains, small_shapes(), (np.float64,)))
    check_gradient(op.call, a, b)


@given(data=st.data())
@settings(max_examples=15)
def test_where_backward(data):
    c, a, b = data.draw(pairs(WHERE.domains, small_shapes(), (np.float64,)))
    check_gradient(lambda x, y: mtlib.where(c.tensor, x, y), a, b)


@every_zip
@pytest.mark.parametrize("dtype", DTYPES)
def test_backward_is_the_derivative_by_hand(op, dtype):
    """Summed over the dimensions along which an operand was stretched."""
    a, b = fill(op.domains[0], (4, 1), dtype, seed=1), fill(op.domains[1], (3, 1, 5), dtype, seed=2)
    d = fill("any", (3, 4, 5), dtype, seed=3)
    x, y = mtlib.tensor(a, requires_grad=True), mtlib.tensor(b, requires_grad=True)
    op.call(x, y).backward(mtlib.tensor(d))
    da, db = (d * slope for slope in op.slopes(a.astype(float), b.astype(float)))
    assert x.grad.dtype == y.grad.dtype == dtype
    rtol = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(x.grad, da.sum((0, 2))[:, None], rtol=rtol, atol=50 * rtol)
    np.testing.assert_allclose(y.grad, db.sum(1, keepdims=True), rtol=rtol, atol=50 * rtol)


@every_zip
@pytest.mark.usefixtures("plain")
def test_fuse_writes_what_it_does(op):
    arrays = [fill(domain, (4, 5), np.float64, seed) for seed, domain in enumerate(op.domains)]
    check(op.call, arrays, rtol=1e-9, atol=1e-12)


@every_zip
@pytest.mark.parametrize("side", [0, 1])
def test_only_the_gradient_that_is_asked_for_is_worked_out(op, side):
    values = [mtlib.tensor(fill(domain, (3,), float, 1)) for domain in op.domains]
    values[side].requires_grad = True
    op.call(*values).sum().backward()
    assert values[side].grad is not None
    assert values[1 - side].grad is None


@pytest.mark.parametrize("f", [mtlib.maximum, mtlib.minimum])
def test_operands_that_tie_share_the_gradient(f):
    x = mtlib.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = mtlib.tensor([1.0, 5.0, 3.0], requires_grad=True)
    f(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy() + y.grad.numpy(), 1)
    assert x.grad.tolist()[::2] == y.grad.tolist()[::2] == [0.5, 0.5]


def test_constant_powers_have_no_slope():
    """a⁰ is 1 whatever a is, and 0ᵇ is 0 for every b above 0."""
    a = mtlib.tensor([0.0, 2.0, 0.0, -3.0], requires_grad=True)
    b = mtlib.tensor([0.0, 0.0, 2.0, 2.0], requires_grad=True)
    (a**b).sum().backward()
    assert a.grad.tolist() == [0, 0, 0, -6]
    assert b.grad.tolist()[:3] == [0, np.log(2), 0]
    assert np.isnan(b.grad.tolist()[3])  # (-3)ᵇ is not real beside b = 2


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("n", [4095, 4096, 4097, 8193])
@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x,
        lambda x: x[:, ::-2],
        lambda x: x.T,
        lambda x: x[:, :1].expand(*x.shape),
        lambda x: x[:1].expand(*x.shape),
    ],
)
def test_more_than_one_block_on_more_than_one_thread(n, layout):
    a, b = layout(mtlib.rand(3, n, seed=0)), layout(mtlib.rand(3, n, seed=1))
    x, y = a.numpy(), b.numpy()
    np.testing.assert_array_equal(a + b, x + y)
    np.testing.assert_array_equal(a - 0.5, x - 0.5)
    np.testing.assert_array_equal(0.5 / b, 0.5 / y)
    np.testing.assert_array_equal(a.sqrt(), np.sqrt(x))
    np.testing.assert_array_equal(mtlib.where(a > b, a, b), np.maximum(x, y))


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("shape", [(63, 65), (64, 64), (130, 70), (2, 65, 129), (200, 1), (1, 200)])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_transposed_operands_are_walked_in_tiles(shape, step):
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape).swapaxes(-1, -2)[..., ::step]
    b, c = (rng.standard_normal(a.shape) for _ in range(2))
    x, y, z = map(mtlib.from_numpy, (a, b, c))
    np.testing.assert_array_equal(x.contiguous(), a)
    np.testing.assert_array_equal(-x, -a)
    np.testing.assert_array_equal(y + x, b + a)
    np.testing.assert_array_equal(mtlib.where(y, x, z), a)
    np.testing.assert_array_equal(mtlib.where(y > 0, x, z), np.where(b > 0, a, c))


def test_where_keeps_nan_out_of_the_branch_not_taken():
    x = mtlib.tensor([0.0, 4.0], requires_grad=True)
    mtlib.where(x > 0, x, np.nan).sum().backward()
    assert x.grad.tolist() == [0, 1]


@pytest.mark.parametrize("mask", [np.array([True, False]), mtlib.tensor([1.0, 0.0])])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_condition_has_no_say_in_the_dtype(mask, dtype):
    x = mtlib.ones(2, dtype=dtype)
    result = mtlib.where(mask, x, 0)
    assert result.dtype == dtype
    assert result.tolist() == [1, 0]


def test_a_condition_is_not_rounded_to_the_dtype_of_the_rest():
    tiny = mtlib.tensor([1e-300, 0.0, np.nan])
    assert mtlib.where(tiny, mtlib.ones(3, dtype="float32"), 0).tolist() == [1, 0, 1]


class TestComparisons:
    @every_comparison
    def test_no_gradient_flows(self, op):
        x = mtlib.tensor([1.0, 2.0], requires_grad=True)
        result = op.call(x, 1.5)
        assert not result.requires_grad
        assert result.grad_fn is None
        (x * op.call(x, 1.5)).sum().backward()
        assert x.grad.tolist() == result.tolist()

    @every_comparison
    def test_numbers_and_arrays_on_either_side(self, op):
        a = np.array([1.0, 2.0, 3.0])
        expected = op.reference(a, 2.0)
        mirrored = op.reference(2.0, a)
        np.testing.assert_array_equal(op.call(mtlib.tensor(a), 2), expected)
        np.testing.assert_array_equal(op.call(2, mtlib.tensor(a)), mirrored)
        result = op.call(np.full(3, 2.0), mtlib.tensor(a))
        assert isinstance(result, mtlib.Tensor)
        np.testing.assert_array_equal(result, mirrored)

    def test_nothing_else_is_equal_to_a_tensor(self):
        t = mtlib.ones(2)
        assert (t == None) is False  # noqa: E711 what == says is the question
        assert (t != "a") is True
        assert len({t, t, mtlib.ones(2)}) == 2  # hashed by identity
        with pytest.raises(TypeError, match="'<' not supported"):
            t < "a"  # noqa: B015


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("f", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
class TestScalars:
    @pytest.mark.parametrize("number", [2, 0.5, True, np.float64(3), np.float32(3), np.int64(2)])
    def test_a_number_on_either_side_keeps_the_dtype(self, f, dtype, number):
        a = np.array([1.0, 2.0, 3.0], dtype)
        plain = dtype(number)
        for result, expected in (
            (f(mtlib.tensor(a), number), f(a, plain)),
            (f(number, mtlib.tensor(a)), f(plain, a)),
        ):
            assert isinstance(result, mtlib.Tensor)
            assert result.dtype == dtype
            np.testing.assert_allclose(result, expected, rtol=2 * np.finfo(dtype).eps)

    def test_a_bool_of_numpy_is_a_number_too(self, f, dtype):
        a = mtlib.tensor([1.0, 2.0], dtype=dtype)
        assert f(a, np.True_).tolist() == f(a, 1).tolist()
        assert f(np.True_, a).tolist() == f(1, a).tolist()
        assert f(np.True_, a).dtype == dtype

    def test_an_array_on_either_side_gives_a_tensor(self, f, dtype):
        a, b = np.array([[1.0], [2.0]], dtype), np.array([3, 4])
        for result, expected in (
            (f(mtlib.tensor(a), b), f(a.astype(float), b)),
            (f(b, mtlib.tensor(a)), f(b, a.astype(float))),
        ):
            assert isinstance(result, mtlib.Tensor)
            assert result.dtype == np.float64  # integers count as float64
            np.testing.assert_allclose(result, expected, rtol=1e-15)

    def test_a_gradient_flows_past_a_number(self, f, dtype):
        assert mtlib.gradcheck(
            lambda x: f(x, 2) + f(2, x), mtlib.tensor([1.5, 2.5], requires_grad=True)
        )


class TestErrors:
    @pytest.mark.parametrize("op", [*ZIPS, *COMPARISONS], ids=lambda op: op.id)
    @pytest.mark.parametrize("other", [mtlib.ones(4, 3), np.ones((4, 3), int)])
    def test_shapes_that_do_not_broadcast(self, op, other):
        a = mtlib.ones(2, 3, dtype="float32")
        name = op.id[9:11] if op in COMPARISONS else op.id
        says = rf"^{name}: shapes \(2, 3\) and \(4, 3\) do not broadcast: sizes 2 and 4 in dim.* -2"
        with mtlib.trace() as t, pytest.raises(ValueError, match=says):
            op.call(a, other)
        assert t.buffers == t.events == []

    def test_where_names_all_three(self):
        with pytest.raises(ValueError, match=r"^where: shapes \(2,\) and \(3,\) and \(\) do not"):
            mtlib.where(mtlib.ones(2), mtlib.ones(3), 0)

    @pytest.mark.parametrize("f", OPERATORS, ids=lambda f: f.__name__)
    @pytest.mark.parametrize("other", ["2", None, [1.0, 2.0], 2j])
    def test_what_is_no_operand_is_left_to_python(self, f, other):
        with pytest.raises(TypeError, match=r"unsupported operand|multiply sequence"):
            f(mtlib.ones(2), other)
        with pytest.raises(TypeError, match=r"unsupported operand|multiply sequence|concatenate"):
            f(other, mtlib.ones(2))

    @pytest.mark.parametrize("f", OPERATORS, ids=lambda f: f.__name__)
    @pytest.mark.parametrize("other", [np.array([1j]), np.complex64(1), np.array(["a"])])
    def test_what_numpy_holds_but_is_not_real_is_refused(self, f, other):
        for pair in ((mtlib.ones(2), other), (other, mtlib.ones(2))):
            with pytest.raises(TypeError, match=r"dtype (complex|<U1).* is not supported"):
                f(*pair)

    @pytest.mark.parametrize("f", [mtlib.maximum, mtlib.minimum])
    @pytest.mark.parametrize("other", ["2", None, [1.0]])
    def test_functions_name_what_they_cannot_take(self, f, other):
        with pytest.raises(
            TypeError, match=rf"^{f.__name__}: an operand must be .* got (str|None|l)"
        ):
            f(mtlib.ones(2), other)

    def test_an_array_is_not_edited_in_place_by_a_tensor(self):
        array = before = np.ones(2)
        array += mtlib.tensor([1.0, 2.0])
        assert isinstance(array, mtlib.Tensor)
        assert array.tolist() == [2, 3]
        assert before.tolist() == [1, 1]

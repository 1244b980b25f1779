"""x Wᵀ + b, naive and fused: held together, and against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .operations import COMPOSITES
from .strategies import DTYPES, assert_agree, check_gradient, fill, operands, shapes

pytestmark = pytest.mark.nojit

both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
reference = COMPOSITES["linear"]


@st.composite
def layers(draw, dtypes=DTYPES, largest=5):
    """x (…, in), weight (out, in) or (in,) and often a bias, in any layout."""
    features = draw(st.integers(0, largest))
    out = draw(st.one_of(st.just(()), st.integers(0, largest).map(lambda n: (n,))))
    x = (*draw(shapes(max_rank=3, max_size=largest - 2)), features)
    several = [x, (*out, features), out][: draw(st.sampled_from((2, 3, 3)))]
    return [draw(operands(shape, draw(st.sampled_from(dtypes)))) for shape in several]


def check_result(result, x, weight, bias=None) -> None:
    """Within (k + 2) · eps of the sizes of what is added up (Higham, 3.5)."""
    arrays = [a.astype(np.float64) for a in (x, weight, *(() if bias is None else (bias,)))]
    expected, sizes = reference(*arrays), reference(*map(abs, arrays))
    assert result.shape == np.shape(expected)
    bound = (x.shape[-1] + 2) * np.finfo(result.dtype).eps * sizes
    assert (np.abs(result.numpy() - expected) <= bound).all()


@both
@given(layer=layers())
@settings(max_examples=60)
def test_forward(module, layer):
    result = module.linear(*(part.tensor for part in layer))
    assert result.dtype == np.result_type(*(part.array for part in layer))
    check_result(result, *(part.array for part in layer))


@both
@given(layer=layers((np.float64,), largest=3))
@settings(max_examples=25)
def test_backward(module, layer):
    check_gradient(module.linear, *layer)


@given(layer=layers())
@settings(max_examples=40)
def test_naive_and_fused_agree(layer):
    results = []
    for module in (mtlib.naive, mtlib.fused):
        leaves = [mtlib.tensor(part.array, requires_grad=True) for part in layer]
        y = module.linear(*leaves)
        y.backward(mtlib.tensor(fill("any", y.shape, y.dtype, 1)))
        results.append((y, *(leaf.grad for leaf in leaves)))
    assert_agree(*results, units=200)  # of the few, moderate values drawn


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "sizes", [(3, 4, 2), (24, 32, 64), (65, 70, 67), (2, 600, 500), (500, 9, 1)]
)
@pytest.mark.usefixtures("eager_threads")
def test_large(dtype, sizes):
    """Each way through the kernel: tiny, in tiles as they are, packed, over several blocks."""
    rows, features, out = sizes
    arrays = [
        fill("any", shape, dtype, seed)
        for seed, shape in enumerate([(3, rows, features), (out, features), (out,)])
    ]
    x, weight, bias = (mtlib.tensor(array, requires_grad=True) for array in arrays)
    y = mtlib.fused.linear(x, weight, bias)
    check_result(y, *arrays)
    d = fill("any", y.shape, dtype, 3)
    y.backward(mtlib.tensor(d))
    flat = d.reshape(-1, out)
    check_result(x.grad, d, arrays[1].T)
    check_result(weight.grad, flat.T, arrays[0].reshape(-1, features).T)
    check_result(bias.grad, flat.T, np.ones(len(flat), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_stack_that_is_no_matrix(dtype):
    """Rows that no one stride walks: each matrix of the stack meets the weight where it lies."""
    base, weight = fill("any", (4, 3, 5, 6), dtype, 1), fill("any", (7, 6), dtype, 2)
    x = mtlib.from_numpy(base).transpose(1, 2)[::2]
    bias = mtlib.from_numpy(fill("any", (14,), dtype, 3))[::-2]
    with mtlib.trace() as t:
        y = mtlib.fused.linear(x, mtlib.from_numpy(weight), bias)
    check_result(y, x.numpy(), weight, bias.numpy())
    assert not any(b.nbytes == x.nbytes for b in t.buffers)


@both
def test_nan_and_infinity_pass_through(module):
    x, weight = np.array([[np.inf, 1.0], [np.nan, 1.0], [0.0, 2.0]]), np.array([[1.0, 0.5]])
    for bias in (np.array([1.0]), np.array([-np.inf])):
        with np.errstate(invalid="ignore"):
            expected = reference(x, weight, bias)
        np.testing.assert_array_equal(
            module.linear(*map(mtlib.tensor, (x, weight, bias))), expected
        )


class TestWhatRuns:
    @pytest.mark.parametrize("sizes", [(5, 4, 3), (50, 40, 30)])
    @pytest.mark.parametrize("biased", [False, True])
    def test_fused_makes_nothing_but_the_result(self, biased, sizes):
        rows, features, out = sizes
        x, weight = mtlib.rand(2, rows, features), mtlib.rand(out, features)
        with mtlib.trace() as t:
            y = mtlib.fused.linear(x, weight, mtlib.rand(out) if biased else None)
        event = t.events[-2]
        assert (event.name, event.kind, event.input_shapes[0]) == (
            *("linear", "fused"),
            (2 * rows, features),  # a view
        )
        assert event.reads == 2 * (2 * rows * features * out) + biased * y.size
        assert event.writes == y.size
        assert [b.nbytes for b in t.buffers if b.role == "result" and b.name == "linear"] == [
            y.nbytes
        ]

    def test_backward_is_two_products_and_a_sum(self):
        x, weight = mtlib.rand(5, 4, requires_grad=True), mtlib.rand(3, 4, requires_grad=True)
        bias = mtlib.rand(3, requires_grad=True)
        y, d = mtlib.fused.linear(x, weight, bias), mtlib.ones(5, 3)
        with mtlib.trace() as t:
            y.backward(d)
        assert [e.name for e in t.events if e.kind != "view"] == ["matmul", "matmul", "sum"]
        assert t.peak_bytes == x.nbytes + weight.nbytes + bias.nbytes  # the gradients

    @both
    def test_only_gradients_that_are_wanted(self, module):
        parts = [(5, 4), (3, 4), (3,)]
        for wanted in range(3):
            leaves = [
                mtlib.rand(*shape, requires_grad=i == wanted) for i, shape in enumerate(parts)
            ]
            module.linear(*leaves).sum().backward()
            assert [leaf.grad is not None for leaf in leaves] == [i == wanted for i in range(3)]

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused])
    def test_what_is_saved(self, module):
        """x and the weight; naive also all of the products."""
        x, weight = mtlib.rand(5, 4, requires_grad=True), mtlib.rand(3, 4, requires_grad=True)
        bias = mtlib.rand(3, requires_grad=True)
        with mtlib.trace() as t:
            y = module.linear(x, weight, bias)
        products = 5 * 4 * 3 if module is mtlib.naive else 0
        assert t.saved_bytes == 8 * (x.size + weight.size + products)
        del y


class TestErrors:
    @both
    @pytest.mark.parametrize(
        ("x", "weight", "bias", "says"),
        [
            (
                (),
                (3, 4),
                None,
                "x (), weight (3, 4): x is a scalar; it needs a dimension of features",
            ),
            ((2, 4), (), None, "x (2, 4), weight (): weight must be (out, in) or (in,)"),
            ((4,), (2, 3, 4), None, "x (4,), weight (2, 3, 4): weight must be (out, in) or (in,)"),
            (
                (2, 4),
                (4, 3),
                None,
                "x (2, 4), weight (4, 3): 4 features of x and 3 of weight differ",
            ),
            (
                (2, 4),
                (5,),
                (),
                "x (2, 4), weight (5,), bias (): 4 features of x and 5 of weight differ",
            ),
            (
                (2, 4),
                (3, 4),
                (4,),
                "x (2, 4), weight (3, 4), bias (4,): bias must have the shape (3,)",
            ),
            (
                (2, 4),
                (3, 4),
                (),
                "x (2, 4), weight (3, 4), bias (): bias must have the shape (3,)",
            ),
            ((2, 4), (4,), (1,), "x (2, 4), weight (4,), bias (1,): bias must have the shape ()"),
        ],
    )
    def test_shapes(self, module, x, weight, bias, says):
        x, weight = mtlib.zeros(x), mtlib.zeros(weight, dtype="float32")
        bias = None if bias is None else mtlib.zeros(bias)
        with mtlib.trace() as t, pytest.raises(ValueError, match=r"^linear: ") as caught:
            module.linear(x, weight, bias)
        assert str(caught.value) == f"linear: {says}"
        assert t.buffers == t.events == []

    @both
    def test_types(self, module):
        right = {"x": mtlib.ones(2, 4, dtype="float32"), "weight": np.ones((3, 4)), "bias": None}
        wrong = [
            ({"x": [1.0]}, "x must be a tensor, got list"),
            ({"weight": 2}, "weight must be a tensor, got int"),
            ({"bias": 1.0}, "bias must be a tensor, got float"),
            ({"weight": np.ones((3, 4)) * 1j}, "dtype complex128 is not supported"),
        ]
        for arguments, says in wrong:
            with mtlib.trace() as t, pytest.raises(TypeError) as caught:
                module.linear(**right | arguments)
            assert str(caught.value).startswith(f"linear: {says}")
            assert t.buffers == t.events == []
        assert module.linear(**right).dtype == np.float64

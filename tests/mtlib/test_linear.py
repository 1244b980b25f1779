"""What is particular to x Wᵀ + b: see test_composites for the rest."""

import numpy as np
import pytest

import mtlib

from .composites import REFERENCES
from .strategies import DTYPES, fill

pytestmark = pytest.mark.nojit

both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
reference = REFERENCES["linear"]


def check_result(result, x, weight, bias=None) -> None:
    """Within (k + 2) · eps of the sizes of what is added up (Higham, 3.5)."""
    arrays = [a.astype(np.float64) for a in (x, weight, *(() if bias is None else (bias,)))]
    expected, sizes = reference(*arrays), reference(*map(abs, arrays))
    assert result.shape == np.shape(expected)
    bound = (x.shape[-1] + 2) * np.finfo(result.dtype).eps * sizes
    assert (np.abs(result.numpy() - expected) <= bound).all()


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

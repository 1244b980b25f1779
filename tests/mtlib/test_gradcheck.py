"""The check itself: right gradients pass, and every way of being wrong is caught."""

import numpy as np
import pytest

import mtlib


def square(slope):
    """x², with the derivative that ``slope(d, x)`` says it has."""

    class Square(mtlib.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_tensors
            return slope(d, x)

    return Square.apply


def product(da, db):
    """a @ b, with the gradients that ``da`` and ``db`` say, of d, a and b."""

    class Product(mtlib.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        def backward(ctx, d):
            a, b = ctx.saved_tensors
            return da(d, a, b), db(d, a, b)

    return Product.apply


@pytest.fixture
def x():
    return mtlib.tensor([[0.5, -1.0], [2.0, 3.0]], requires_grad=True)


def test_a_right_gradient_passes(x):
    assert mtlib.gradcheck(square(lambda d, x: d * 2 * x), [x]) is True
    assert mtlib.gradcheck(square(lambda d, x: d * 2 * x), x)  # one input needs no list
    assert mtlib.gradcheck(lambda x, n: x**n, (x, 3))  # others are passed on


def test_a_wrong_gradient_is_shown(x):
    with pytest.raises(
        AssertionError,
        match=r"^gradcheck: input 0 at \(1, 1\): backward says [\d.]+, the measured slope is [\d.]",
    ):
        mtlib.gradcheck(square(lambda d, x: d * 3 * x), [x])


def test_both_numbers_are_right(x):
    with pytest.raises(AssertionError) as caught:
        mtlib.gradcheck(
            lambda x, y: square(lambda d, x: d * 5)(y[:1]),
            [x, mtlib.tensor([4.0], requires_grad=True)],
        )
    weight = np.random.default_rng(0).uniform(0.5, 1.5, 1)[0]
    said, slope = 5 * weight, 2 * 4 * weight
    assert str(caught.value) == (
        f"gradcheck: input 1 at (0,): backward says {said:.6g}, the measured slope is {slope:.6g}"
    )


@pytest.mark.parametrize("at", [(0, 0), (1, 0)])
def test_one_wrong_entry_is_found(x, at):
    def slope(d, x):
        right = d * 2 * x
        right.numpy()[at] *= 1.01
        return right

    with pytest.raises(AssertionError, match=rf"input 0 at \({at[0]}, {at[1]}\): "):
        mtlib.gradcheck(square(slope), [x])


def test_errors_that_cancel_in_a_sum_are_found():
    x = mtlib.ones(2, requires_grad=True)

    def slope(d, x):
        right = d * 2 * x
        right.numpy()[...] += [0.1, -0.1]
        return right

    with pytest.raises(AssertionError, match=r"input 0 at \([01],\)"):
        mtlib.gradcheck(square(slope), [x])


def right_a(d, a, b):
    return d @ b.T


def right_b(d, a, b):
    return a.T @ d


@pytest.mark.parametrize(
    ("da", "db", "culprit"),
    [
        (lambda d, a, b: d @ b, right_b, "input 0"),  # not transposed
        (lambda d, a, b: (d @ b.T).T, right_b, "input 0"),
        (right_a, lambda d, a, b: d @ a, "input 1"),  # in the wrong order
        (right_a, lambda d, a, b: b, "input 1"),
        (right_a, lambda d, a, b: None, "input 1"),  # forgotten
    ],
)
def test_the_usual_mistakes_with_matmul(da, db, culprit):
    a = mtlib.rand(3, 3, requires_grad=True, seed=0)
    b = mtlib.rand(3, 3, requires_grad=True, seed=1)
    assert mtlib.gradcheck(product(right_a, right_b), [a, b])
    with pytest.raises(AssertionError, match=culprit):
        mtlib.gradcheck(product(da, db), [a, b])


def test_a_gradient_that_is_missing_counts_as_0(x):
    with pytest.raises(AssertionError, match=r"backward says 0, the measured slope is"):
        mtlib.gradcheck(lambda x: x.detach() * 2, [x])
    assert mtlib.gradcheck(lambda x: x > 10, [x])  # constant around x


@pytest.mark.parametrize("eps", [1e-18, 10.0])
def test_a_bad_step_fails(x, eps):
    """A negative control: too small is lost in rounding, too large cuts the corner."""
    with pytest.raises(AssertionError, match=r"^gradcheck: input 0 at"):
        mtlib.gradcheck(lambda x: x * x * x, [x], eps=eps)


@pytest.mark.parametrize("eps", [0, -1e-6, np.nan, np.inf])
def test_an_impossible_step_is_refused(x, eps):
    with pytest.raises(ValueError, match=r"^gradcheck: eps must be positive and finite, got"):
        mtlib.gradcheck(lambda x: x * x, [x], eps=eps)


def test_tolerances(x):
    slightly_off = square(lambda d, x: d * 2.002 * x)
    with pytest.raises(AssertionError):
        mtlib.gradcheck(slightly_off, [x], rtol=1e-4)
    assert mtlib.gradcheck(slightly_off, [x], rtol=1e-2)
    assert mtlib.gradcheck(slightly_off, [x], rtol=0, atol=1.0)


def test_nan_fails_at_the_entry_that_has_it(x):
    def slope(d, x):
        right = d * 2 * x
        right.numpy()[0, 1] = np.nan
        return right

    with pytest.raises(AssertionError, match=r"input 0 at \(0, 1\): backward says nan"):
        mtlib.gradcheck(square(slope), [x])
    with pytest.raises(AssertionError, match=r"the measured slope is nan"):
        mtlib.gradcheck(lambda x: (x - 10).log(), [x])


class TestLargeInputs:
    """Moved along random directions, so that the check does not take one run for each entry."""

    def test_the_number_of_runs(self):
        runs = []

        def f(x):
            runs.append(1)
            return x * x

        assert mtlib.gradcheck(f, mtlib.rand(50, 50, requires_grad=True, seed=0))
        assert len(runs) == 21

    def test_one_wrong_entry_among_many_is_found(self):
        def slope(d, x):
            right = d * 2 * x
            right.numpy()[7, 40] += 0.1
            return right

        x = mtlib.rand(50, 50, requires_grad=True, seed=0)
        assert mtlib.gradcheck(square(lambda d, x: d * 2 * x), [x])
        with pytest.raises(AssertionError, match=r"input 0 along a random direction: backward"):
            mtlib.gradcheck(square(slope), [x], rtol=0, atol=1e-3)


def test_the_inputs_are_left_alone(x):
    before = x.tolist()
    mtlib.gradcheck(lambda x: x * x, [x])
    assert x.tolist() == before
    assert x.grad is None


def test_the_same_input_twice(x):
    assert mtlib.gradcheck(lambda a, b: a * b, [x, x])


def test_nothing_to_check():
    assert mtlib.gradcheck(lambda x: x * 2, mtlib.zeros(0, requires_grad=True))
    with pytest.raises(ValueError, match=r"^gradcheck: none of the inputs requires a gradient$"):
        mtlib.gradcheck(lambda x: x * 2, [mtlib.ones(2), 3])


def test_float32_is_refused():
    x = mtlib.ones(2, dtype="float32", requires_grad=True)
    with pytest.raises(TypeError, match=r"^gradcheck: input 1 is float32; the check needs float64"):
        mtlib.gradcheck(lambda n, x: x * n, [2, x])


@pytest.mark.parametrize("result", [3.0, None, np.ones(2)])
def test_a_function_that_returns_no_tensor(x, result):
    with pytest.raises(TypeError, match=r"^gradcheck: the result must be a tensor, got \w+$"):
        mtlib.gradcheck(lambda x: result, [x])

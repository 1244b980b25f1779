"""Rows brought close in strips, and the numbers that are worked out of them there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.kernels.jit import compiled_fma
from mtlib.kernels.plans import rows as plans
from mtlib.kernels.plans.rows import arrange, per_row
from mtlib.kernels.rows.lanes import dots, largest, sums
from mtlib.kernels.rows.strips import (
    RowKernel,
    fetch,
    in_place,
    keep,
    row,
    send,
    strips_of,
)
from mtlib.layout import contiguous

from .strategies import DTYPES, operands, shapes
from .strips import small_strips

nojit = pytest.mark.nojit


def _make_copy(each):
    def loop(out, x, rows, space, lanes):
        for part in each(len(space)):
            for t in strips_of(part, len(space), rows):
                near = out[row(t, rows, 1)] if in_place(rows, 1) else space[part][0]
                fetch(near, x, t, rows, 2)
                send(out, near, t, rows, 1)

    return loop


@compiled_fma
def _three(near, most, totals, squares, lost, along):
    largest(most, near, along)
    sums(totals, lost, near, along)
    dots(squares, lost, near, near, along)


def _make_numbers(each):
    def loop(x, largests, totals, squares, rows, space, lanes):
        for part in each(len(space)):
            near, most, total = space[part][0], lanes[part][0], lanes[part][1]
            square, lost = lanes[part][2], lanes[part][3]
            for t in strips_of(part, len(space), rows):
                fetch(near, x, t, rows, 1)
                _three(near, most, total, square, lost, rows.along)
                keep(largests, most, t, rows, 2)
                keep(totals, total, t, rows, 2)
                keep(squares, square, t, rows, 2)

    return loop


copy = RowKernel(_make_copy, strips=1, lanes=1)
numbers = RowKernel(_make_numbers, strips=1, lanes=4)


def numbers_of(x: mtlib.Tensor, dims: tuple[int, ...]) -> list[np.ndarray]:
    """The largest, the sum and the sum of squares of each row."""
    kept = tuple(n for d, n in enumerate(x.shape) if d not in dims)
    results = [np.full(kept, np.nan, x.dtype) for _ in range(3)]
    layouts = (x.layout, per_row(contiguous(kept), x.shape, dims))
    numbers("numbers", dims, layouts, x.storage, *(r.reshape(-1) for r in results))
    return results


def some_dims(rank: int):
    """One dimension or several."""
    one = st.integers(0, rank - 1)
    return st.lists(one, min_size=1, max_size=rank, unique=True).map(sorted).map(tuple)


@nojit
@given(data=st.data(), small=st.booleans())
@settings(max_examples=100)
def test_what_is_brought_close_is_what_lies_there(data, small):
    """Whatever the strides are, and whichever dimensions make up a row."""
    x = data.draw(operands(data.draw(shapes(min_rank=1))))
    dims = data.draw(some_dims(x.array.ndim))
    order = data.draw(st.permutations(range(x.array.ndim)))
    out = mtlib.zeros(*(x.array.shape[d] for d in order), dtype=x.array.dtype)
    target = out.permute(*np.argsort(order).tolist())
    with small_strips(small):
        copy("copy", dims, (target.layout, x.tensor.layout), out.storage, x.tensor.storage)
    np.testing.assert_array_equal(target, x.array)


@nojit
@given(data=st.data(), small=st.booleans())
@settings(max_examples=100)
def test_numbers_of_rows(data, small):
    x = data.draw(operands(data.draw(shapes(min_rank=1, min_size=1))))
    dims = data.draw(some_dims(x.array.ndim))
    with small_strips(small):
        most, total, square = numbers_of(x.tensor, dims)
    a = x.array.astype(np.float64)
    eps = (8 + a.size) * np.finfo(x.array.dtype).eps  # as Python, one after the other
    np.testing.assert_array_equal(most, a.max(dims))
    assert (np.abs(total - a.sum(dims)) <= eps * np.abs(a).sum(dims)).all()
    np.testing.assert_allclose(square, (a * a).sum(dims), rtol=eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 200), (7, 300), (300, 7), (300, 700), (5, 20, 64)])
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.usefixtures("eager_threads")
def test_strips_of_the_usual_size(dtype, shape, dim):
    """Full and not full, along and across, on all threads."""
    x = mtlib.randn(*shape, dtype=dtype, seed=0)
    a, dim = x.numpy().astype(np.float64), dim % len(shape)
    for result, expected in zip(
        numbers_of(x, (dim,)), (a.max(dim), a.sum(dim), (a * a).sum(dim)), strict=True
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * shape[dim] ** 0.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "dim"), [((10**6,), 0), ((2, 10**6), 1), ((10**6, 2), 0)])
def test_the_error_of_a_sum_does_not_grow_with_its_length(dtype, shape, dim):
    """One number after the other, 0.1 added a million times is off by 1 % in float32."""
    x = mtlib.full(shape, 0.1, dtype=dtype)
    with small_strips(shape[-1] == 2):  # across
        _, total, square = numbers_of(x, (dim,))
    one, eps = float(x.numpy().flat[0]), np.finfo(dtype).eps
    np.testing.assert_allclose(total, 1e6 * one, rtol=40 * eps)
    np.testing.assert_allclose(square, 1e6 * one * one, rtol=40 * eps)


@nojit
@pytest.mark.parametrize("small", [False, True])
def test_infinity_and_nan_pass_through(small):
    """Rounding is taken back only where there is any: infinity less infinity would be nan."""
    rows_ = np.array([[np.inf, 1, 2], [-np.inf, 1, 2], [np.inf, -np.inf, 0], [np.nan, 1, 2]])
    for x, dim in ((rows_, 1), (rows_.T.copy(), 0)):
        with small_strips(small), np.errstate(invalid="ignore"):
            _, total, square = numbers_of(mtlib.from_numpy(x), (dim,))
        np.testing.assert_array_equal(total, [np.inf, -np.inf, np.nan, np.nan])
        np.testing.assert_array_equal(square, [np.inf, np.inf, np.inf, np.nan])


@nojit
class TestHowRowsAreTaken:
    """Along if their elements lie side by side, across if the rows do or are short and many."""

    @pytest.mark.parametrize(
        ("shape", "dim", "across"),
        [
            ((300, 400), 1, False),
            ((300, 400), 0, True),
            ((400,), 0, False),
            ((1, 400), 0, True),
            ((3000, 10), 1, True),
            ((3, 10), 1, False),
            ((8, 100, 50), 1, True),
            ((8, 1000, 4), 1, False),  # too few side by side
            ((8, 2, 4), 1, True),
        ],
    )
    def test_choice(self, shape, dim, across):
        strips, runs, along = arrange((contiguous(shape),), (dim,), 1)
        assert along == (0 if across else shape[dim])
        reach = strips[0, 0] * runs[0, -1]
        assert reach >= np.prod(shape) / (shape[dim] if across else 1)

    @pytest.mark.parametrize("threads", [1, 2, 4, 8])
    def test_no_thread_is_left_without_work(self, threads):
        for shape, dim in (((1000, 64), 0), ((64, 1000), 1), ((2, 50, 32), 1)):
            strips, _, _ = arrange((contiguous(shape),), (dim,), threads)
            assert strips[0, 0] >= min(threads, 4)

    def test_of_long_rows_fewer_are_taken_at_once(self):
        taken = [arrange((contiguous((n, 512)),), (0,), 1)[1][0, -1] for n in (10, 4096, 10**7)]
        assert taken == [plans.MOST, plans.CLOSE // 4096, plans.FEWEST]

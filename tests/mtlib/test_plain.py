"""The loop nests that a student would write, beside the kernels that mtlib runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlib.exercises.counting import Counting
from mtlib.kernels import plain
from mtlib.kernels.functions import scalars
from mtlib.kernels.plans.strided import iteration
from mtlib.kernels.strided import reduce
from mtlib.layout import Layout, contiguous
from mtlib.ops import maps, zips

from .strategies import operands, shapes

pytestmark = pytest.mark.nojit


def ranked(layout: Layout) -> Layout:
    """A layout of rank 1 or more: a tensor without dimensions is a row of one element."""
    return layout if layout.shape else Layout((1,), (1,), layout.offset)


def part(layout: Layout, dims, offset: int) -> Layout:
    """The layout of some of the dimensions."""
    shape = tuple(layout.shape[d] for d in dims)
    return ranked(Layout(shape, tuple(layout.strides[d] for d in dims), offset))


def both(data, shape, dtype, count: int):
    """Operands of one shape, two outputs, and the layout of an output."""
    parts = [data.draw(operands(shape, dtype)).tensor for _ in range(count)]
    layout = ranked(contiguous(shape))
    return parts, np.full(layout.size, np.nan, dtype), np.full(layout.size, np.nan, dtype), layout


MAPS = [plain.map_loops(scalars.relu), plain.map_loops(scalars.neg)]
ZIPS = [plain.zip_loops(scalars.sub), plain.zip_loops(scalars.maximum)]
FOLDS = {
    "add": (plain.reduce_loops(scalars.add, 0.0), reduce.total),
    "max": (plain.reduce_loops(scalars.maximum, -np.inf), reduce.largest),
}


@given(data=st.data(), dtype=st.sampled_from(["float32", "float64"]))
def test_map_is_the_fast_map(data, dtype):
    (a,), out, expected, layout = both(data, data.draw(shapes(max_rank=3)), dtype, 1)
    for loops, kernel in zip(MAPS, [maps.ReLU.kernel, maps.Neg.kernel], strict=True):
        loops(out, layout, a.storage, ranked(a.layout))
        kernel(expected, a.storage, iteration(layout, ranked(a.layout)), work=1)
        np.testing.assert_array_equal(out, expected)


@given(data=st.data(), dtype=st.sampled_from(["float32", "float64"]))
def test_zip_is_the_fast_zip(data, dtype):
    (a, b), out, expected, layout = both(data, data.draw(shapes(max_rank=3)), dtype, 2)
    left, right = ranked(a.layout), ranked(b.layout)
    for loops, kernel in zip(ZIPS, [zips.Sub.kernel, zips.Maximum.kernel], strict=True):
        loops(out, layout, a.storage, left, b.storage, right)
        kernel(expected, a.storage, b.storage, iteration(layout, left, right), work=1)
        np.testing.assert_array_equal(out, expected)


@given(data=st.data(), dtype=st.sampled_from(["float32", "float64"]))
@pytest.mark.parametrize("name", FOLDS)
def test_reduce_is_the_fast_reduce(data, dtype, name):
    loops, kernel = FOLDS[name]
    shape = data.draw(shapes(max_rank=3, min_size=1))
    a = data.draw(operands(shape, dtype)).tensor
    dims = data.draw(st.sets(st.sampled_from(range(len(shape))))) if shape else set()
    others = [d for d in range(len(shape)) if d not in dims]
    kept, folded = part(a.layout, others, a.layout.offset), part(a.layout, sorted(dims), 0)
    out, expected = np.full((2, kept.size), np.nan, dtype)
    loops(out, contiguous(kept.shape), a.storage, kept, folded)
    kernel(expected, a.storage, a.layout, tuple(sorted(dims)))
    # Added up in another order, so rounded otherwise.
    slack = 8 * np.finfo(dtype).eps * np.abs(a.numpy()).sum() if name == "add" else 0
    np.testing.assert_allclose(out, expected, rtol=0, atol=slack)


def test_folding_nothing_gives_the_start():
    out, nothing = np.full(2, np.nan), Layout((0,), (1,), 0)
    FOLDS["max"][0](out, contiguous((2,)), np.empty(0), contiguous((2,)), nothing)
    np.testing.assert_array_equal(out, [-np.inf, -np.inf])


def as_python(loops):
    return getattr(loops, "py_func", loops)


def test_each_loads_and_stores_what_it_says():
    """The Python under each, run on arrays that count."""
    a, b, out = (Counting.over(np.ones(6)) for _ in range(3))
    layout = contiguous((2, 3))
    as_python(ZIPS[0])(out, layout, a, layout, b, layout)
    assert (a.loads.sum(), b.loads.sum(), out.stores.sum()) == (6, 6, 6)

    as_python(MAPS[0])(out, layout, a, layout)
    assert (a.loads.sum(), out.stores.sum()) == (12, 12)

    totals = Counting.over(np.ones(2))
    kept, folded = Layout((2,), (3,), 0), Layout((3,), (1,), 0)
    as_python(FOLDS["add"][0])(totals, contiguous((2,)), a, kept, folded)
    assert (a.loads == 3).all()
    assert (totals.stores == 1).all()

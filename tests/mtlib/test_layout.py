"""Shape and stride arithmetic, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib import layout as layouts
from mtlib.layout import Layout

from .strategies import operands, recipes, shapes


def positions(layout: Layout) -> list[int]:
    """Where each element lies, in order."""
    return [layout.position(at) for at in np.ndindex(layout.shape)]


@given(shape=shapes())
def test_contiguous_counts_up(shape):
    layout = layouts.contiguous(shape)
    assert positions(layout) == list(range(layout.size))
    assert layout.is_contiguous()


@given(operand=operands())
@settings(max_examples=60)
def test_is_contiguous_is_numpys(operand):
    array = operand.array
    t = operand.tensor
    assert t.is_contiguous() == t.layout.is_contiguous() == array.flags.c_contiguous
    if array.size:
        assert [t.strides[d] for d, n in enumerate(t.shape) if n > 1] == [
            s // array.itemsize for s, n in zip(array.strides, t.shape, strict=True) if n > 1
        ]


@given(data=st.data())
@settings(max_examples=60)
def test_collapse_walks_the_same_elements_in_the_same_order(data):
    shape = data.draw(shapes(min_size=1))
    parts = [data.draw(operands(shape)).tensor.layout for _ in "ab"]
    lengths, strides = layouts.collapse(shape, *(x.strides for x in parts))
    for layout, steps in zip(parts, strides, strict=True):
        assert positions(Layout(lengths, steps, layout.offset)) == positions(layout)
    assert len(lengths) <= max(len(shape), 1)
    for d in range(len(lengths) - 1):  # nothing is left to merge
        assert any(steps[d] != steps[d + 1] * lengths[d + 1] for steps in strides)
    assert 1 not in lengths or lengths == (1,)


@given(shape=shapes(), data=st.data())
def test_recipes_reach_every_kind_of_layout(shape, data):
    """The strategy itself: what it says is what it gives."""
    recipe = data.draw(recipes(shape))
    assert recipe.of(np.zeros(recipe.stored)).shape == shape


@given(data=st.data())
def test_broadcast_shapes_is_numpys(data):
    several = data.draw(st.lists(shapes(max_size=2), max_size=3))
    try:
        expected = np.broadcast_shapes(*several)
    except ValueError:
        with pytest.raises(ValueError, match=r"^zip: shapes .* do not broadcast: sizes"):
            layouts.broadcast_shapes(*several, name="zip")
    else:
        assert layouts.broadcast_shapes(*several) == expected


def test_broadcast_names_sizes_and_dimension():
    with pytest.raises(
        ValueError,
        match=r"^f: shapes \(2, 3\) and \(2, 1\) and \(2,\) do not broadcast: "
        r"sizes 3 and 1 and 2 in dimension -1 differ$",
    ):
        layouts.broadcast_shapes((2, 3), (2, 1), (2,), name="f")


@pytest.mark.parametrize(
    ("shape", "strides", "new", "expected"),
    [
        ((2, 3), (3, 1), (6,), (1,)),
        ((2, 3), (1, 2), (6,), None),
        ((2, 3), (1, 2), (2, 1, 3), (1, 6, 2)),
        ((4, 3), (1, 4), (2, 2, 3), (2, 1, 4)),
        ((3,), (0,), (1, 3), (0, 0)),
        ((4,), (0,), (2, 2), (0, 0)),
        ((6,), (-1,), (2, 3), (-3, -1)),
        ((4, 3), (6, 1), (12,), None),
        ((4, 3), (6, 2), (12,), (2,)),
        ((4, 3), (1, 4), (6, 2), None),
        ((1, 1), (5, 7), (), ()),
        ((0, 3), (1, 7), (3, 0), (1, 1)),
    ],
)
def test_view(shape, strides, new, expected):
    found = layouts.view(Layout(shape, strides, 20), new)
    if expected is None:
        assert found is None
        return
    assert found.shape == new
    if found.size > 1:
        moving = [d for d, n in enumerate(new) if n > 1]
        assert [found.strides[d] for d in moving] == [expected[d] for d in moving]
    assert positions(found) == positions(Layout(shape, strides, 20))


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_a_slice_is_pythons(size):
    numbers = list(range(size))
    layout = layouts.contiguous((size,))
    bounds = [None, *range(-size - 1, size + 2)]
    for start in bounds:
        for stop in bounds:
            for step in (None, 1, 2, -1, -3):
                key = slice(start, stop, step)
                assert positions(layouts.index(layout, key)) == numbers[key]


@pytest.mark.parametrize("maker", [mtlib.zeros, mtlib.ones, mtlib.rand])
class TestShapesThatPeopleWrite:
    def test_numbers_or_a_sequence(self, maker):
        assert maker(2, 3).shape == maker((2, 3)).shape == maker([2, 3]).shape == (2, 3)
        assert maker(2).shape == maker((2,)).shape == (2,)
        assert maker().shape == maker(()).shape == ()

    @pytest.mark.parametrize("shape", [(2, -1), (-3,)])
    def test_negative_sizes(self, maker, shape):
        with pytest.raises(ValueError, match=rf"^{maker.__name__}: .* has the negative size -"):
            maker(*shape)

    @pytest.mark.parametrize("shape", [(2.0, 3), ("a",), (None,), ((2, 3), 4), (2j,)])
    def test_what_is_no_integer(self, maker, shape):
        says = rf"^{maker.__name__}: a shape is made of integers, got"
        with mtlib.trace() as t, pytest.raises(TypeError, match=says):
            maker(*shape)
        assert t.buffers == []

"""image_storage: which cell of the storage each index reads."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import image_storage
from mt_diagrams.pieces.strided import strided_of

from .svg_reading import Svg


def base(shape):
    return np.arange(float(np.prod(shape, dtype=int))).reshape(shape)


@st.composite
def views(draw):
    """An array whose every element holds its own place in the storage, seen in some way."""
    shape = draw(st.lists(st.integers(1, 6), min_size=0, max_size=3))
    array = base(shape)
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    slices = [st.sampled_from([slice(None), slice(None, None, -1), slice(None, None, 2)])]
    array = array[tuple(draw(one) for one in slices * array.ndim)]
    if array.ndim < 3 and draw(st.booleans()):
        array = np.broadcast_to(array[None], (draw(st.integers(1, 4)), *array.shape))
    return array


@settings(max_examples=60)
@given(views())
def test_positions_are_those_of_the_array_itself(array):
    view = strided_of("f", array)
    for index in np.ndindex(array.shape):
        assert view.position(index) == array[index]


@settings(max_examples=25)
@given(views())
def test_every_view_is_drawn_soundly(array):
    figure = image_storage(array)
    svg = Svg(figure.svg)
    svg.assert_inside()
    svg.assert_plain()
    assert str(array.shape) in svg.title
    assert len(figure.svg) < 40_000
    strides = tuple(s // array.itemsize for s in array.strides)
    words = svg.words()
    assert any(f"shape {array.shape} · strides {strides} · offset" in w for w in words)
    if all(n <= 3 for n in array.shape):
        assert [w for w in words if w == str(int(array.flat[0]))]


def test_the_numbers_in_the_cells_are_the_cells_they_read():
    words = Svg(image_storage(np.zeros((2, 3)).T).svg).words()
    assert {"one step of i: 1 further", "one step of j: 3 further", "storage: 6 cells"} <= {*words}
    first = words.index("0")
    assert words[first : first + 6] == ["0", "3", "1", "4", "2", "5"]


def test_dimensions_can_be_given_other_letters():
    wide = np.broadcast_to(np.zeros((2, 4, 1)), (2, 4, 3))
    svg = Svg(image_storage(wide, names="ikj").svg)
    formula = "index [i, k, j] reads cell 4·i + 1·k + 0·j"
    steps = {"one step of k: 1 further", "one step of j: the same cell (stride 0)"}
    assert {formula, "i = 1", *steps} <= {*svg.words()}
    with pytest.raises(ValueError, match="3 dimensions need as many names; got 'ik'"):
        image_storage(wide, names="ik")


def test_shared_cells_are_counted():
    stretched = image_storage(np.broadcast_to(np.zeros((2, 1)), (2, 4)))
    svg = Svg(stretched.svg)
    assert svg.words().count("×4") == 2
    assert "one step of j: the same cell (stride 0)" in svg.words()
    assert "4 indices share each" in svg.desc
    assert not [w for w in Svg(image_storage((2, 4)).svg).words() if w.startswith("×")]
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(4.0), 2)
    assert Svg(image_storage(windows).svg).words().count("×2") == 2  # of four, the inner ones


def test_what_runs_backwards_says_so():
    words = Svg(image_storage(base((4, 6))[::-2, 1::2]).svg).words()
    assert {"one step of i: 12 back", "one step of j: 2 further", "storage: 24 cells"} <= {*words}
    assert "index [i, j] reads cell 19 − 12·i + 2·j" in words


def test_large_ones_are_elided_with_true_numbers():
    figure = image_storage(np.broadcast_to(np.float32(0), (1,)).repeat(1)[:1])
    assert "storage: 1 cell" in Svg(figure.svg).words()
    shape = (4096, 4096)
    words = Svg(image_storage(shape).svg).words()
    assert {"storage: 16,777,216 cells", "16777215", "4097", "one step of i: 4,096 further"} <= {
        *words
    }
    assert len(image_storage(shape).svg) < 10_000


def test_tensors_of_other_libraries_are_read_by_their_own_names():
    layout = SimpleNamespace(shape=(2, 2), strides=(1, 5), offset=3)
    storage = SimpleNamespace(size=12)
    ours = SimpleNamespace(shape=(2, 2), layout=layout, storage=storage)
    theirs = SimpleNamespace(
        shape=(2, 2),
        layout="torch.strided",
        stride=lambda: (1, 5),
        storage_offset=lambda: 3,
        element_size=lambda: 4,
        untyped_storage=lambda: SimpleNamespace(nbytes=lambda: 48),
    )
    assert strided_of("f", ours) == strided_of("f", theirs)
    assert image_storage(ours).svg == image_storage(theirs).svg


def test_a_tensor_of_mtlib_and_its_array_are_drawn_alike():
    mtlib = pytest.importorskip("mtlib")
    tensor = mtlib.arange(12).reshape(3, 4)[1:, ::2]
    assert image_storage(tensor).svg == image_storage(tensor.numpy()).svg


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3), ()])
def test_empty_and_scalar_tensors(shape):
    svg = Svg(image_storage(np.zeros(shape)).svg)
    svg.assert_inside()
    assert any(str(shape) in word for word in svg.words())


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"image_storage: \(1, 2, 3, 4\) has 4 dimensions"):
        image_storage((1, 2, 3, 4))
    field = np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])["b"]
    with pytest.raises(ValueError, match=r"strides of \(12,\) bytes are no whole elements of 8"):
        image_storage(field)

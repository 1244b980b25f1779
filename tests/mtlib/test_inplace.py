"""In place: the memory that is written, the ledger, training, and what is refused."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.layout import overlaps
from mtlib.runtime.memory import flattened

from .operations import IN_PLACE
from .strategies import DTYPES, fill, near, operands, recipes, shapes

pytestmark = pytest.mark.nojit

# Name, operator, and the values that the operands may have; those of bools are in test_bools.
OPERATIONS = {op.id: (op.call, *op.domains) for op in IN_PLACE if op.function.takes != "bools"}
OPERATORS = [operation for operation, *_ in OPERATIONS.values()]
every_operation = pytest.mark.parametrize("name", OPERATIONS)
every_operator = pytest.mark.parametrize("change", OPERATORS, ids=lambda f: f.__name__)


class TestMemory:
    @every_operation
    @given(data=st.data())
    @settings(max_examples=25)
    def test_is_written_as_numpy_writes_it(self, name, data):
        """Through a view of any layout, and nothing beside the view."""
        change, left, right = OPERATIONS[name]
        shape = data.draw(shapes(min_rank=1, max_rank=4))
        recipe = data.draw(recipes(shape))
        dtype = data.draw(st.sampled_from(DTYPES))
        base = fill(left, recipe.stored, dtype, data.draw(st.integers(0, 99)))
        b = data.draw(operands(data.draw(near(shape)), domain=right))
        whole = mtlib.tensor(base)
        x = before = recipe.of(whole)
        if overlaps(x.layout):  # stretched
            with pytest.raises(ValueError, match=f"{name}: elements of this tensor"):
                change(x, b.tensor)
        else:
            with np.errstate(all="ignore"):
                change(recipe.of(base), b.array)
            x = change(x, b.tensor)
        assert x is before
        assert x.dtype == dtype
        tolerance = 4 * np.finfo(dtype).eps if name == "pow_" else 0
        np.testing.assert_allclose(whole, base, rtol=tolerance)

    @every_operator
    @pytest.mark.parametrize("b", [2, 0.5, np.float32(3), np.array([1.0, 2.0, 4.0])], ids=repr)
    def test_numbers_and_arrays(self, change, b):
        for dtype in DTYPES:
            array = np.array([[1, 2, 3], [4, 5, 6]], dtype)
            x = mtlib.tensor(array)
            change(x, b)
            change(array, b)
            assert x.dtype == dtype
            np.testing.assert_allclose(x, array, rtol=1e-6)

    @every_operator
    def test_the_methods_do_what_the_operators_do(self, change):
        x, y = mtlib.full((3,), 2.0), mtlib.full((3,), 2.0)
        (name,) = [name for name, (f, *_) in OPERATIONS.items() if f is change]
        assert getattr(x, name)(3) is x
        change(y, 3)
        assert x.tolist() == y.tolist()

    @pytest.mark.parametrize(
        "of",
        [
            lambda x: (x, x.T),
            lambda x: (x, x),
            lambda x: (x, x[::-1]),
            lambda x: (x, x[0]),
            lambda x: (x[1:], x[:-1]),
            lambda x: (x[:-1], x[1:]),
            lambda x: (x[:, ::2], x[:, 1::2]),
        ],
        ids=["transposed", "itself", "reversed", "row", "down", "up", "beside"],
    )
    @every_operator
    def test_right_side_over_the_left(self, change, of):
        array = fill("positive", (4, 4), np.float64, 1)
        a, b = of(array)
        b = b.copy()
        whole = mtlib.tensor(array)
        change(a, b)  # `array` is now what is right
        change(*of(whole))
        np.testing.assert_allclose(whole, array, rtol=1e-15)

    def test_right_side_over_the_left_in_one_array(self):
        array = np.arange(4.0)
        x, y = mtlib.from_numpy(array), mtlib.from_numpy(array[::-1])
        x += y
        assert array.tolist() == [3, 3, 3, 3]

    def test_a_number_of_the_tensor_itself(self):
        x = mtlib.tensor([2.0, 4.0, 6.0])
        x /= x[0]
        assert x.tolist() == [1, 2, 3]

    def test_copy_fill_and_zero(self):
        x = mtlib.zeros(2, 3)
        assert x.T.copy_(mtlib.arange(2, dtype="float32")).shape == (3, 2)
        assert x.tolist() == [[0, 0, 0], [1, 1, 1]]
        assert x[1].fill_(mtlib.tensor(7.0)).tolist() == [7, 7, 7]
        assert x.zero_() is x
        assert x.tolist() == [[0, 0, 0], [0, 0, 0]]


class TestItems:
    @given(data=st.data())
    @settings(max_examples=25)
    def test_as_numpy_sets_them(self, data):
        shape = data.draw(shapes(min_rank=1, max_rank=3, min_size=1))
        slices = st.builds(
            slice, *[st.none() | st.integers(-3, 3)] * 2, st.sampled_from((1, 2, -1))
        )
        key = tuple(data.draw(st.integers(-n, n - 1) | slices) for n in shape)
        array = fill("any", shape, np.float64, 0)
        value = fill("any", data.draw(near(array[key].shape)), np.float64, 1)
        x = mtlib.tensor(array)
        x[key] = data.draw(st.sampled_from((mtlib.tensor, np.asarray)))(value)
        array[key] = value
        np.testing.assert_array_equal(x, array)

    @every_operator
    def test_changed_in_place(self, change):
        array = fill("positive", (3, 4), np.float64, 0)
        x = mtlib.tensor(array)
        x[1:, ::2] = change(x[1:, ::2], 2)  # what x[1:, ::2] += 2 does
        array[1:, ::2] = change(array[1:, ::2], 2)
        np.testing.assert_allclose(x, array, rtol=1e-15)

    def test_rows_onto_their_neighbours(self):
        x = mtlib.arange(4)
        x[1:] = x[:-1]
        assert x.tolist() == [0, 0, 1, 2]

    def test_under_no_grad(self):
        w = mtlib.ones(3, requires_grad=True)
        with mtlib.no_grad():
            w[0] = 5
            w[1:] *= 2
        assert w.is_leaf
        assert w.tolist() == [5, 2, 2]

    def test_a_gradient_is_not_lost(self):
        w, x = mtlib.ones(3, requires_grad=True), mtlib.zeros(3)
        with pytest.raises(RuntimeError, match=r"^setitem: a leaf that requires a gradient"):
            w[0] = 1
        for a, b in ((w * 1, 1), (w * 1, w[0]), (x, w[0])):
            with pytest.raises(RuntimeError, match=r"^setitem: a change of part of a tensor"):
                a[0] = b
        with pytest.raises(RuntimeError, match=r"^add_: the memory of this tensor"):
            x[:2] += w[:2]
        assert x.tolist() == [0, 0, 0]
        assert not x.requires_grad


class TestRefusals:
    @every_operation
    def test_a_left_side_is_never_stretched(self, name):
        change, *_ = OPERATIONS[name]
        x = mtlib.ones(3)
        with pytest.raises(
            ValueError, match=rf"^{name}: shape \(2, 3\) does not stretch to \(3,\)"
        ):
            change(x, mtlib.ones(2, 3))
        stretched = mtlib.ones(3, 1).expand(3, 2)
        windows = mtlib.from_numpy(np.lib.stride_tricks.as_strided(np.ones(4), (3, 2), (8, 8)))
        for y in (stretched, windows):
            with pytest.raises(ValueError, match=f"^{name}: elements of this tensor of shape"):
                change(y, 1)
        array = np.ones(2)
        array.flags.writeable = False
        with pytest.raises(ValueError, match=f"^{name}: the array under this tensor .* is read-on"):
            change(mtlib.from_numpy(array), 1)
        assert x.tolist() == [1, 1, 1]
        assert array.tolist() == [1, 1]
        assert windows.tolist()[0] == [1, 1]

    @every_operation
    def test_bools_hold_no_numbers(self, name):
        x = mtlib.Tensor(*flattened(np.ones(2, bool)))
        with pytest.raises(
            TypeError, match=rf"^{name}: a tensor of dtype bool cannot hold numbers"
        ):
            getattr(x, name)(mtlib.ones(2))
        x[0] = mtlib.tensor(0.0)
        assert x.tolist() == [False, True]

    @every_operator
    def test_what_is_no_number(self, change):
        for b in (None, "1", [1.0], 1j):
            with pytest.raises(TypeError, match=r"unsupported operand type"):
                change(mtlib.ones(1), b)

    def test_one_line_for_each(self):
        x = mtlib.zeros(2)
        for call, error, says in (
            (
                lambda: x.fill_(mtlib.ones(2)),
                ValueError,
                r"fill_: .* single number, got shape \(2,\)",
            ),
            (lambda: x.copy_("a"), TypeError, "copy_: an operand must be a tensor or a number"),
            (lambda: operator.setitem(x, 2, 0), IndexError, "index: 2 is out of range"),
            (lambda: operator.setitem(x, slice(1), mtlib.ones(2)), ValueError, "setitem: shape"),
        ):
            with pytest.raises(error, match=f"^{says}"):
                call()
        assert x.tolist() == [0, 0]

    @pytest.mark.parametrize(
        "change",
        [
            *OPERATORS,
            lambda x, y: x.copy_(y),
            lambda x, y: x.fill_(1),
            lambda x, y: x.zero_(),
            lambda x, y: operator.setitem(x, 0, y[0]),
        ],
    )
    def test_inside_fuse(self, change):
        def program(x, y, which):
            a = {"argument": x, "result": x + 1, "constant": mtlib.zeros(2)}[which]
            change(a, y)
            return a * y

        x = mtlib.ones(2)
        for which in ("argument", "result", "constant"):
            with pytest.raises(
                TypeError, match=r"^fuse: \w+ changes a tensor of shape \(2,\) in pl"
            ):
                mtlib.fuse(program)(x, mtlib.ones(2), which)
        assert x.tolist() == [1, 1]


class TestLedger:
    @every_operation
    def test_one_event_and_no_result(self, name):
        x, y = mtlib.ones(2, 3), mtlib.ones(2, 3)
        with mtlib.trace() as t:
            OPERATIONS[name][0](x, y)
        (event,) = t.events
        assert (event.name, event.kind) == (name, "zip")
        assert (event.bytes_allocated, t.peak_bytes) == (0, 0)
        assert (event.reads, event.writes) == (12, 6)
        assert event.input_shapes == ((2, 3), (2, 3))
        assert event.output_shapes == ((2, 3),)

    def test_copies_of_what_overlaps_and_of_what_is_saved(self):
        x = mtlib.ones(3, 3)
        w = mtlib.ones(3, 3, requires_grad=True) * 2
        with mtlib.trace() as t:
            x += x.T
            w += x
            w *= x
            x.copy_(x.T)
        found = [(e.name, e.bytes_allocated, e.bytes_saved) for e in t.events if e.kind != "view"]
        assert found == [("add_", 72, 0), ("add_", 0, 0), ("mul_", 72, 144), ("copy_", 72, 0)]
        assert [b.role for b in t.buffers] == ["workspace", "result", "workspace"]


class TestTraining:
    @pytest.mark.parametrize("how", ["operator", "items", "methods", "zeroed"])
    def test_a_regression_learns(self, how):
        x, truth = mtlib.randn(40, 3, seed=0), mtlib.tensor([[1.0], [-2.0], [0.5]])
        y = x @ truth + 0.25
        w, b = mtlib.zeros(3, 1, requires_grad=True), mtlib.zeros(1, requires_grad=True)
        losses = []
        for _ in range(200):
            loss = ((x @ w + b - y) ** 2).mean()
            loss.backward()
            losses.append(loss.item())
            with mtlib.no_grad():
                for p in (w, b):
                    if how == "operator":
                        p -= 0.1 * p.grad
                    elif how == "items":
                        p[...] = p - 0.1 * p.grad
                    else:
                        p.sub_(0.1 * p.grad)
                    if how == "zeroed":
                        p.grad.zero_()
                    else:
                        p.grad = None
        assert losses[0] > 1
        assert losses[-1] < 1e-6
        assert w.is_leaf
        assert b.is_leaf
        np.testing.assert_allclose(w, truth, atol=1e-3)

"""What a tensor is: its numbers, how it is shown, and how it gets on with Python and NumPy."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings

import mtlib
from mtlib.layout import Layout

from .strategies import operands


class TestNumbers:
    def test_what_it_says_of_itself(self):
        t = mtlib.zeros(2, 4, 3, dtype="float32").permute(2, 0, 1)
        assert t.shape == (3, 2, 4)
        assert t.strides == (1, 12, 3)
        assert t.dtype == np.float32
        assert (t.ndim, t.size, t.nbytes) == (3, 24, 96)
        assert t.layout == Layout((3, 2, 4), (1, 12, 3), 0)
        assert t.storage.shape == (24,)
        assert t.expand(5, 3, 2, 4).nbytes == 480  # as if each had its own place

    def test_made_by_hand(self):
        storage = np.arange(6.0)
        t = mtlib.Tensor(storage, Layout((2, 2), (3, -1), 1))
        assert t.tolist() == [[1, 0], [4, 3]]
        assert mtlib.Tensor.empty((2, 2), np.float32, "name", zero=True).tolist() == [
            [0, 0],
            [0, 0],
        ]

    @given(operand=operands())
    @settings(max_examples=30)
    def test_numpy_shares_memory(self, operand):
        array = operand.tensor.numpy()
        np.testing.assert_array_equal(array, operand.array)
        assert array.dtype == operand.array.dtype
        if array.size:
            array[...] = 7
            assert (operand.tensor.numpy() == 7).all()

    def test_item_and_tolist(self):
        assert mtlib.tensor([[2.5]]).item() == 2.5
        assert isinstance(mtlib.ones(1, dtype="float32").item(), float)
        assert mtlib.tensor(2.0).tolist() == 2.0
        assert mtlib.arange(4).view(2, 2).T.tolist() == [[0, 2], [1, 3]]
        for shape in ((2,), (0,), (2, 3)):
            with pytest.raises(ValueError, match=r"^item: a tensor of shape .* has \d elements$"):
                mtlib.zeros(shape).item()

    def test_owned_copies_only_if_it_must(self):
        t = mtlib.ones(2, 3)
        assert t.owned().storage is t.storage
        for x in (t.T, t[:1], t.expand(2, 2, 3), t.detach()):
            own = x.owned(copy=x.is_contiguous() and x.storage.size == x.size)
            assert own.storage is not t.storage
            assert own.storage.size == own.size
            np.testing.assert_array_equal(own, x)

    def test_is_shared(self):
        t = mtlib.ones(2)
        assert not t.is_shared()
        view = t.view(2, 1)
        assert t.is_shared()
        del view
        assert not t.is_shared()
        array = t.numpy()
        assert t.is_shared()
        del array
        assert not t.is_shared()
        assert mtlib.from_numpy(np.ones(2)).is_shared()


class TestPython:
    def test_len(self):
        assert len(mtlib.zeros(3, 2)) == 3
        assert len(mtlib.zeros(0, 2)) == 0
        with pytest.raises(TypeError, match=r"^len: a scalar tensor has no length$"):
            len(mtlib.tensor(1.0))

    def test_iteration(self):
        t = mtlib.arange(6, requires_grad=True).view(3, 2)
        rows = [row for row in t]  # noqa: C416 iteration is what is tested
        assert [row.tolist() for row in rows] == [[0, 1], [2, 3], [4, 5]]
        assert all(row.storage is t.storage for row in rows)
        assert rows[0].requires_grad
        first, *_ = t[0]
        assert first.item() == 0
        assert list(mtlib.zeros(0, 3)) == []
        assert 3.0 in mtlib.arange(4)
        with pytest.raises(TypeError, match=r"^iteration: a scalar tensor has no dimension"):
            iter(mtlib.tensor(1.0))
        for a, b in zip(t, t.numpy(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_bool(self):
        assert bool(mtlib.tensor(2.0)) is True
        assert bool(mtlib.tensor([[0.0]])) is False
        assert mtlib.tensor(1.0) > 0
        for shape in ((2,), (0,)):
            with pytest.raises(
                ValueError, match=r"^bool: a tensor of shape .* is neither true nor"
            ):
                bool(mtlib.ones(shape))

    def test_float_int_and_format(self):
        t = mtlib.tensor([2.75])
        assert float(t) == 2.75
        assert int(t) == 2
        assert f"{t:.2f}" == "2.75"
        assert f"{t}" == str(t) == "tensor([2.75])"
        for convert in (float, int, "{:.2f}".format):
            with pytest.raises(ValueError, match=r"^item: a tensor of shape \(2,\) has 2 elements"):
                convert(mtlib.ones(2))
        with pytest.raises(TypeError):
            [1, 2, 3][mtlib.tensor(1.0)]  # a float is no index

    @pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
    @pytest.mark.parametrize("requires_grad", [False, True])
    def test_pickle_and_copy(self, way, requires_grad):
        ways = {
            "pickle": lambda t: pickle.loads(pickle.dumps(t)),
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
        }
        t = mtlib.rand(4, 6, dtype="float32", requires_grad=requires_grad)
        t.grad = mtlib.ones(4, 6, dtype="float32")
        again = ways[way](t)
        assert type(again) is mtlib.Tensor
        assert (again.shape, again.strides, again.dtype) == (t.shape, t.strides, t.dtype)
        assert again.requires_grad == requires_grad
        np.testing.assert_array_equal(again, t)
        np.testing.assert_array_equal(again.grad, t.grad)
        assert np.shares_memory(again.numpy(), t.numpy()) == (way == "copy")

    @pytest.mark.parametrize(
        "way", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
    )
    def test_a_copy_has_no_history(self, way):
        x = mtlib.ones(2, 3, requires_grad=True)
        y = way((x * 2).T)
        assert y.is_leaf
        assert y.requires_grad
        (y * 3).sum().backward()
        assert y.grad.tolist() == [[3, 3]] * 3
        assert x.grad is None

    def test_views_pickled_together_stay_together(self):
        t = mtlib.zeros(3)
        one, two = pickle.loads(pickle.dumps((t, t[1:])))
        one.numpy()[1] = 5
        assert two.tolist() == [5, 0]

    def test_no_other_attributes(self):
        with pytest.raises(AttributeError):
            mtlib.ones(2).gradient = 1


class TestNumpy:
    def test_asarray_shares_and_array_copies(self):
        t = mtlib.arange(4).view(2, 2).T
        assert np.shares_memory(np.asarray(t), t.numpy())
        assert not np.shares_memory(np.array(t), t.numpy())
        np.testing.assert_array_equal(np.array(t), [[0, 2], [1, 3]])
        assert np.shares_memory(np.array(t, copy=False), t.numpy())
        assert np.asarray(t, np.float32).dtype == np.float32
        with pytest.raises(ValueError, match="copy"):
            np.array(t, dtype=np.float32, copy=False)

    def test_an_ndarray_leaves_operators_to_the_tensor(self):
        array, t = np.ones((2, 2)), mtlib.ones(2, 2, requires_grad=True)
        for result in (array * t, array + t, array - t, array / t, array**t, array @ t):
            assert isinstance(result, mtlib.Tensor)
            assert result.requires_grad
        for result in (array == t, array < t, np.float64(2) * t, np.float32(2) ** t):
            assert isinstance(result, mtlib.Tensor)

    def test_testing_functions(self):
        t, array = mtlib.tensor([1.0, np.nan, np.inf]), np.array([1.0, np.nan, np.inf])
        np.testing.assert_array_equal(t, array)
        np.testing.assert_array_equal(t, t)
        np.testing.assert_allclose(t, array)
        np.testing.assert_allclose(array, t + 0)
        np.testing.assert_equal(t, array)
        np.testing.assert_array_almost_equal(t, t * 1)
        np.testing.assert_array_less(t[:1], t[:1] + 1)
        for compare in (np.testing.assert_array_equal, np.testing.assert_allclose):
            with pytest.raises(AssertionError):
                compare(t, array + 1)

    def test_functions(self):
        t = mtlib.tensor([[3.0, 1.0], [2.0, 5.0]])
        assert np.allclose(t, t.numpy())
        assert np.array_equal(t, t.numpy())
        assert np.shape(t) == (2, 2)
        assert np.isfinite(t).all()
        assert isinstance(np.exp(t), np.ndarray)
        np.testing.assert_array_equal(np.sort(np.asarray(t), axis=1), [[1, 3], [2, 5]])
        array = np.zeros((2, 2))
        array[...] = t
        assert array.tolist() == t.tolist()


class TestRepr:
    @pytest.mark.parametrize(
        ("t", "says"),
        [
            (mtlib.tensor([1.0, 2.0]), "tensor([1., 2.])"),
            (mtlib.tensor(2.5), "tensor(2.5)"),
            (mtlib.ones(2, dtype="float32"), "tensor([1., 1.], dtype=float32)"),
            (mtlib.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
            (mtlib.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<Mul>)"),
            (mtlib.zeros(0, 3), "tensor([], shape=(0, 3))"),
            (mtlib.tensor([1 / 3, 2e6 / 3]), "tensor([     0.3333, 666666.6667])"),
            (mtlib.tensor([np.nan, -np.inf, 1.0]), "tensor([ nan, -inf,   1.])"),
            (mtlib.arange(4).view(2, 2).T, "tensor([[0., 2.],\n        [1., 3.]])"),
        ],
    )
    def test_what_is_shown(self, t, says):
        assert repr(t) == str(t) == says

    def test_rounding_errors_do_not_show(self):
        """0.1 + 0.2 - 0.3 is 5.6e-17, or -2.8e-17, or 0, by the order of the additions."""
        for error in (5.6e-17, -2.8e-17, 0.0, -0.0):
            assert repr(mtlib.tensor([1.0, error])) == "tensor([1., 0.])"
            assert repr(mtlib.tensor(error)) == "tensor(0.)"
            assert repr(mtlib.tensor([1.0 + error, 0.25])) == "tensor([1.  , 0.25])"

    def test_it_is_short(self):
        t = mtlib.rand(1000, 1000, seed=0)
        assert len(repr(t)) < 700
        assert "..." in repr(t)
        assert max(map(len, repr(mtlib.rand(100, seed=0)).splitlines())) <= 88

    def test_it_does_not_depend_on_how_numpy_prints(self):
        t = mtlib.tensor([1 / 3, -1e-20, 1e6])
        before = repr(t)
        with np.printoptions(precision=10, threshold=2, suppress=False, sign="+", linewidth=20):
            assert repr(t) == before
        with np.printoptions(floatmode="fixed", formatter={"float_kind": lambda x: "x"}):
            assert repr(t) == before

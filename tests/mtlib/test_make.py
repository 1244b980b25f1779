"""Making tensors: from data, from a shape, from chance."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

import mtlib

from .strategies import DTYPES, operands


class TestTensor:
    @pytest.mark.parametrize(
        "data",
        [
            3,
            2.5,
            [],
            [1, 2],
            [[1, 2], [3.5, 4]],
            ((1,), (2,)),
            range(3),
            np.arange(6).reshape(2, 3),
            np.arange(3, dtype=np.uint8),
            np.float64(2),
            np.zeros((0, 3)),
        ],
    )
    def test_numbers_lists_and_arrays_become_float64(self, data):
        t = mtlib.tensor(data)
        assert t.dtype == np.float64
        assert t.is_contiguous()
        np.testing.assert_array_equal(t, np.asarray(data, float))
        assert t.tolist() == np.asarray(data, float).tolist()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_float_arrays_keep_their_dtype(self, dtype):
        assert mtlib.tensor(np.ones(2, dtype)).dtype == dtype
        assert mtlib.tensor(dtype(1)).dtype == dtype
        assert mtlib.tensor([1, 2], dtype=dtype).dtype == dtype
        assert mtlib.tensor(np.ones(2), dtype=np.dtype(dtype).name).dtype == dtype

    def test_integer_dtypes_become_float64(self):
        assert mtlib.tensor([1, 2], dtype=int).dtype == np.float64
        assert mtlib.rand(2, dtype=bool).dtype == mtlib.arange(2, dtype=bool).dtype == np.float64

    def test_other_byte_orders_are_turned_round(self):
        t = mtlib.tensor(np.array([1.0, 2.0], ">f4"))
        assert t.dtype == np.float32
        assert t.dtype.isnative
        assert t.tolist() == [1, 2]

    @given(operand=operands())
    @settings(max_examples=25)
    def test_it_copies(self, operand):
        for source in (operand.tensor, operand.array):
            t = mtlib.tensor(source)
            assert t.is_contiguous()
            assert t.strides == mtlib.zeros(t.shape).strides
            np.testing.assert_array_equal(t, operand.array)
            assert not np.shares_memory(t.numpy(), operand.tensor.numpy())

    def test_requires_grad(self):
        assert mtlib.tensor([1.0], requires_grad=True).requires_grad
        assert not mtlib.tensor([1.0]).requires_grad
        x = mtlib.tensor([1.0], requires_grad=True)
        assert mtlib.tensor(x * 2).is_leaf

    def test_a_list_of_tensors(self):
        row = mtlib.tensor([1.0, 2.0])
        assert mtlib.tensor([row, row * 2]).tolist() == [[1, 2], [2, 4]]
        assert mtlib.tensor(list(row)).tolist() == [1, 2]

    @pytest.mark.parametrize(
        "data", [[[1, 2], [3]], [1, [2]], [[1], [[2]]], [np.ones(2), np.ones(3)]]
    )
    def test_ragged_lists(self, data):
        with pytest.raises(ValueError, match=r"^tensor: the nested lists are ragged"):
            mtlib.tensor(data)

    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            ("abc", "<U3"),
            (["a", "b"], "<U1"),
            (b"a", "S1"),
            (None, "object"),
            ([1, None], "object"),
            ({}, "object"),
            ({1, 2}, "object"),
            (object(), "object"),
            (1j, "complex128"),
            ([1, 2j], "complex128"),
            (np.ones(2, np.complex64), "complex64"),
            (np.ones(2, np.float16), "float16"),
            (np.ones(2, np.longdouble), "float128|longdouble"),
            (np.array(["2020-01-01"], "M8[D]"), "datetime64"),
            ([Fraction(1, 2)], "object"),
            (10**400, "object"),
        ],
    )
    def test_what_is_not_made_of_real_numbers(self, data, dtype):
        with (
            mtlib.trace() as t,
            pytest.raises(
                TypeError,
                match=rf"^tensor: dtype \|?({dtype}).* is not supported; use float32 or float64",
            ),
        ):
            mtlib.tensor(data)
        assert t.buffers == []

    @pytest.mark.parametrize("dtype", ["complex64", "float16", object, "U3", "int128", 3.5])
    @pytest.mark.parametrize(
        "make", [mtlib.tensor, mtlib.zeros, mtlib.ones, mtlib.rand, mtlib.randn]
    )
    def test_dtypes_that_there_are_not(self, make, dtype):
        with (
            mtlib.trace() as t,
            pytest.raises(TypeError, match=rf"^{make.__name__}: .*; use float32 or float64$"),
        ):
            make(2, dtype=dtype)
        assert t.buffers == []

    def test_nan_and_infinity_pass(self):
        assert mtlib.tensor([np.inf, -np.inf]).tolist() == [np.inf, -np.inf]
        assert np.isnan(mtlib.tensor(float("nan")).item())
        with np.errstate(over="ignore"):
            assert mtlib.tensor([1e300], dtype="float32").tolist() == [np.inf]


class TestFromNumpy:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        "view",
        [
            lambda a: a,
            lambda a: a.T,
            lambda a: a[1:, ::2],
            lambda a: a[::-1],
            lambda a: a[::-2, ::-1],
            lambda a: a[1:2, 3:],
            lambda a: a[0, 0, ...],
            lambda a: a[:, :0],
            lambda a: a[None, :, None],
        ],
    )
    def test_memory_and_strides_are_shared(self, view, dtype):
        base = np.arange(20, dtype=dtype).reshape(4, 5)
        array = view(base)
        t = mtlib.from_numpy(array)
        assert t.dtype == dtype
        assert t.shape == array.shape
        np.testing.assert_array_equal(t, array)
        if array.size:
            assert np.shares_memory(t.numpy(), base)
            assert t.strides == tuple(s // array.itemsize for s in array.strides)
            array[...] = 7
            assert (t.numpy() == 7).all()
            t.numpy()[...] = 8
            assert (array == 8).all()

    def test_the_memory_outlives_the_array(self):
        array = np.arange(1000.0)
        t = mtlib.from_numpy(array[10:20])
        del array
        assert t.tolist() == list(range(10, 20))

    def test_stretched_arrays(self):
        t = mtlib.from_numpy(np.broadcast_to(np.arange(3.0), (2, 3)))
        assert t.strides == (0, 1)
        assert (t + 1).tolist() == [[1, 2, 3], [1, 2, 3]]

    @pytest.mark.parametrize("data", [[1.0], 3.0, None, mtlib.ones(2), np.float64(1)])
    def test_only_arrays(self, data):
        with pytest.raises(TypeError, match=r"^from_numpy: expected a NumPy array, got \w+$"):
            mtlib.from_numpy(data)

    @pytest.mark.parametrize("dtype", [int, "i1", complex, "f2", object, "U3", ">f8"])
    def test_only_what_can_be_shared(self, dtype):
        says = (
            r"^from_numpy: dtype .* cannot be shared, only float32, float64 and bool; tensor\(\) m"
        )
        with pytest.raises(TypeError, match=says):
            mtlib.from_numpy(np.zeros(2, dtype))

    def test_strides_that_are_not_whole_elements(self):
        packed = np.zeros(3, dtype=[("flag", "i1"), ("value", "f8")])["value"]
        with pytest.raises(ValueError, match=r"^from_numpy: strides of \(9,\) bytes are not whole"):
            mtlib.from_numpy(packed)
        unaligned = np.zeros(17, np.int8)[1:].view(np.float64)
        with pytest.raises(ValueError, match=r"are not whole float64 elements; tensor\(\) makes a"):
            mtlib.from_numpy(unaligned)
        assert mtlib.tensor(packed).tolist() == [0, 0, 0]


MAKERS = [mtlib.zeros, mtlib.ones, mtlib.rand, mtlib.randn]


@pytest.mark.parametrize("maker", MAKERS, ids=lambda f: f.__name__)
class TestFromAShape:
    @pytest.mark.parametrize("dtype", [None, "float32", "float64", np.float32, np.dtype("f4"), int])
    def test_dtype(self, maker, dtype):
        expected = np.float32 if "4" in np.dtype(dtype or float).str else np.float64
        assert maker(2, 3, dtype=dtype).dtype == expected

    def test_it_is_a_contiguous_leaf(self, maker):
        t = maker(2, 0, 3, requires_grad=True)
        assert (t.shape, t.size, t.is_leaf, t.requires_grad) == ((2, 0, 3), 0, True, True)
        assert maker(2, 4, 3).strides == (12, 3, 1)
        assert not maker(2).requires_grad


def test_zeros_ones_and_full():
    assert mtlib.zeros(2).tolist() == [0, 0]
    assert mtlib.ones(2, dtype="float32").tolist() == [1, 1]
    assert mtlib.full((2, 1), 0.5).tolist() == [[0.5], [0.5]]
    assert mtlib.full(2, np.inf).tolist() == [np.inf, np.inf]
    assert mtlib.full((), 3).item() == 3
    assert mtlib.full([2], True, dtype="float32", requires_grad=True).requires_grad


@pytest.mark.parametrize("value", ["a", None, 1j, [1.0], np.ones(1)])
def test_what_cannot_fill(value):
    with pytest.raises(TypeError, match=r"^full: the value to fill with must be a real number"):
        mtlib.full((2,), value)


class TestChance:
    @pytest.mark.parametrize("maker", [mtlib.rand, mtlib.randn])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_seed_gives_the_same_numbers(self, maker, dtype):
        one, two = (maker(4, 5, seed=7, dtype=dtype).tolist() for _ in "ab")
        assert one == two
        assert one != maker(4, 5, seed=8, dtype=dtype).tolist()
        assert maker(100).tolist() != maker(100).tolist()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_the_distributions(self, dtype):
        uniform = mtlib.rand(10_000, seed=0, dtype=dtype).numpy()
        assert 0 <= uniform.min() < 0.01
        assert 0.99 < uniform.max() < 1
        assert abs(uniform.mean() - 0.5) < 0.02
        normal = mtlib.randn(10_000, seed=0, dtype=dtype).numpy()
        assert abs(normal.mean()) < 0.05
        assert abs(normal.std() - 1) < 0.05


class TestArange:
    @pytest.mark.parametrize(
        "bounds",
        [
            (5,),
            (0,),
            (-3,),
            (2, 6),
            (6, 2),
            (0, 1, 0.1),
            (5, 0, -2),
            (0, 5, -1),
            (1.5,),
            (-1.5, 2),
            (np.int64(3),),
            (Fraction(0), Fraction(1), Fraction(1, 3)),
            (0, 200_000, 1.5),
        ],
    )
    def test_it_is_numpys(self, bounds):
        t = mtlib.arange(*bounds)
        expected = np.arange(*map(float, bounds))
        assert t.dtype == np.float64
        np.testing.assert_allclose(t, expected, rtol=1e-15)

    def test_options(self):
        t = mtlib.arange(3, dtype="float32", requires_grad=True)
        assert (t.dtype, t.requires_grad) == (np.float32, True)

    @pytest.mark.parametrize("bounds", [(), (1, 2, 3, 4), ("a",), (None,), (1j,), ([3],)])
    def test_other_bounds(self, bounds):
        with pytest.raises(
            TypeError, match=r"^arange: expected \(start,\) stop \(, step\) as real"
        ):
            mtlib.arange(*bounds)

    def test_a_step_of_0(self):
        with pytest.raises(ValueError, match=r"^arange: the step is 0$"):
            mtlib.arange(0, 3, 0)

    @pytest.mark.parametrize("bounds", [(np.inf,), (np.nan,), (0, 1, np.nan), (-np.inf, 0)])
    def test_no_end(self, bounds):
        with pytest.raises(ValueError, match=r"^arange: .* has no finite number of steps$"):
            mtlib.arange(*bounds)

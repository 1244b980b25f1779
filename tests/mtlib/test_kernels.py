"""How a loop nest becomes a kernel, and every rung of the ladder of matrix multiplications."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.kernels import jit
from mtlib.kernels.plans.products import VECTOR_BYTES
from mtlib.kernels.products.matmul import LADDER

from .strategies import DTYPES, fill, operands
from .test_matmul import check_product


def make_double(each):
    def double(out, a):
        for i in each(len(out)):
            out[i] = 2 * a[i]

    return double


class TestKernel:
    @pytest.fixture
    def calls(self, monkeypatch):
        """A kernel of which only the choice between its two forms is real."""
        kernel, called = jit.Kernel(make_double), []
        kernel.serial = lambda *arrays: called.append("serial")
        kernel.threaded = lambda *arrays: called.append("threaded")
        monkeypatch.setattr(jit.numba, "get_num_threads", lambda: 4)
        return kernel, called

    def test_both_forms_give_the_same(self):
        kernel, a = jit.Kernel(make_double), np.arange(5.0)
        for form in (kernel.serial, kernel.threaded):
            out = np.empty(5)
            form(out, a)
            np.testing.assert_array_equal(out, 2 * a)

    def test_small_work_is_done_by_one_thread(self, calls):
        kernel, called = calls
        kernel(work=jit.SMALL - 1)
        kernel(work=jit.SMALL)
        assert called == ["serial", "threaded"]

    def test_a_forked_child_has_one_thread(self, calls, monkeypatch):
        kernel, called = calls
        monkeypatch.setattr(jit, "_forked", True)
        kernel(work=jit.SMALL)
        assert called == ["serial"]

    def test_without_a_file_of_its_own_it_is_compiled_but_not_kept(self):
        names = {}
        exec("def three(): return 3", names)
        assert jit.compiled(names["three"])() == 3


@pytest.mark.skipif(VECTOR_BYTES < 64, reason="no wider vectors on this processor")
@pytest.mark.parametrize("each", [range, numba.prange], ids=["serial", "threaded"])
def test_vectors_are_as_narrow_as_the_loop_nest_says(each):
    def registers(vectors):
        def double(out, a):
            for part in each(2):
                vectors()
                for i in range(np.uint64(len(out))):
                    out[i] = 2 * a[i] + part

        kernel = numba.njit(double, parallel=each is not range)
        kernel(np.empty(5), np.arange(5.0))
        (text,) = kernel.inspect_asm().values()
        return {name for name in ("%xmm", "%ymm", "%zmm") if name in text}

    # Also on a processor that is said to be quickest with narrower ones.
    assert "%zmm" in registers(jit.full_vectors)
    narrow = registers(jit.narrow_vectors)
    assert "%ymm" in narrow
    assert "%zmm" not in narrow


LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: np.asfortranarray(x),
    "neither": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::-2, ::-2],
}


@pytest.mark.nojit
@pytest.mark.parametrize("rung", LADDER, ids=lambda f: f.__name__)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_rung_multiplies(rung, layout):
    """One below, at and above every size of tile."""
    for m, k, n in [(1, 1, 1), (2, 4, 3), (13, 9, 8), (12, 11, 16), (7, 13, 25), (25, 3, 17)]:
        a, b = layout(fill("any", (m, k), float, 1)), layout(fill("any", (k, n), float, 2))
        out = np.full((m, n), np.nan)
        rung(out, a, b)
        check_product(_Result(out), a, b)


class _Result:
    """An array, asked as a tensor is."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def numpy(self):
        return self.array


@given(data=st.data(), m=st.integers(1, 40), k=st.integers(1, 40), n=st.integers(1, 40))
@settings(max_examples=60)
def test_tiles_of_every_size_and_layout(data, m, k, n):
    dtype = data.draw(st.sampled_from(DTYPES))
    a, b = data.draw(operands((m, k), dtype)), data.draw(operands((k, n), dtype))
    check_product(a.tensor @ b.tensor, a.array, b.array)


@pytest.mark.parametrize(("m", "k", "n"), [(3, 600, 5), (210, 5, 3), (3, 5, 1100), (200, 260, 30)])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("small", [1, jit.SMALL])
def test_more_than_one_block(monkeypatch, m, k, n, layout, small):
    """In each of the three dimensions that the fast kernels cut into blocks."""
    monkeypatch.setattr(jit, "SMALL", small)
    a, b = layout(fill("any", (m, k), float, 1)), layout(fill("any", (k, n), float, 2))
    check_product(mtlib.from_numpy(a) @ mtlib.from_numpy(b), a, b)

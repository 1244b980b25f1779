"""fuse: the same results and gradients as the function that is fused, from fewer kernels."""

import re
from unittest import mock

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.fusion.primitives import namespace
from mtlib.kernels import jit

from .fused_programs import GRADIENTS, PLAIN, PROGRAMS, check, operands, programs, softmax
from .strategies import DTYPES, fill

pytestmark = pytest.mark.nojit
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="too long for plain Python")

LAYOUTS = {
    "contiguous": lambda a: a,
    "by columns": np.asfortranarray,
    "gapped": lambda a: gapped(a),
}


def gapped(a):
    """The same values with other strides: every second column of a wider array, backwards."""
    wide = np.zeros((a.shape[0] + 1, 2 * a.shape[1]), a.dtype)
    part = wide[1:, ::-2]
    part[...] = a
    return part


def test_whatever_a_kernel_can_name_is_there_in_plain_python():
    assert PLAIN.keys() == namespace(range).keys()


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_and_gradients(name, layout):
    check(PROGRAMS[name], operands(layout=layout), rtol=1e-9, atol=1e-12)


# Enough to compile whatever a kernel can name and every kind of loop, where all take minutes.
COMPILED = (
    *("maps", "relu and gelu", "powers", "extremes", "masks", "bools counted", "product"),
    *("largest and smallest", "sliced", "softmax", "softmax over the first", "layer norm"),
    *("casts", "constants", "a call between", "zip and reduce of maps", "reshaped with a copy"),
)


@pytest.mark.parametrize("name", PROGRAMS if numba.config.DISABLE_JIT else COMPILED)
def test_with_the_functions_of_kernels(name):
    """Compiled, or by NUMBA_DISABLE_JIT=1 as Python."""
    check(PROGRAMS[name], operands(), rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("plain")
def test_whatever_a_kernel_can_name_is_compiled():
    texts = [check(PROGRAMS[name], operands(), rtol=1e-9).source for name in COMPILED]
    named = set(re.findall(r"\w+", "\n".join(texts)))
    of_long_sums = {"zeros", "blocks", "block", "add_block"}  # test_on_several_threads
    assert namespace(range).keys() - named == of_long_sums | {"nan"}


@pytest.mark.parametrize("name", ["maps", "relu and gelu", "where", "softmax", "zip and reduce"])
def test_single_precision(name):
    check(PROGRAMS[name], operands(np.float32), rtol=1e-5, atol=1e-5)


@compiled
@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fn",
    [
        lambda x, y: ((x - y) ** 2).mean(),
        lambda x, y: softmax(x) * y,
        lambda x, y: softmax(x, 0) + y,
        lambda x, y: ((x + y).max() - x.min(), x.exp() * y),
    ],
)
def test_on_several_threads(fn, dtype):
    arrays = [fill("distinct", (301, 503), dtype, i) / 1e5 for i in (1, 2)]
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    check(fn, [np.asarray(a, dtype) for a in arrays], rtol=tolerance, atol=tolerance)


# --- Programs by chance ---------------------------------------------------------------------------


def dealt_out(size: int):
    """Folds of more than ``size`` elements are dealt out to three threads."""
    return mock.patch.multiple(jit, SMALL=size, threads_for=lambda work: 3)


@pytest.mark.usefixtures("plain")
@given(
    program=programs(),
    seed=st.integers(0, 2**16),
    columns=st.booleans(),
    lying=st.sampled_from(list(GRADIENTS)),
    small=st.sampled_from((jit.SMALL, 4)),
)
@settings(max_examples=200)
def test_programs_by_chance(program, seed, columns, lying, small):
    fn, both = program
    arrays = [np.asarray(fill("any", shape, np.float64, seed + i)) for i, shape in enumerate(both)]
    if columns:
        arrays = [np.asfortranarray(a) for a in arrays]
    with dealt_out(small):
        check(fn, arrays, lying, rtol=1e-7, atol=1e-7)


@pytest.mark.usefixtures("plain")
def test_loops_after_a_fold_of_everything_go_all_the_way():
    """Threads share out the fold; the loop after it has the same length and is not shared."""
    x = fill("any", (3, 8), np.float64, 1)[:, :7]
    with dealt_out(4):
        check(lambda x, y: y / x.sum(), [x, fill("any", (3,), np.float64, 2)], rtol=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize(
    ("fn", "dtype"),
    [
        (lambda x, s: ((x * s).max() - x * s).max(), np.float64),
        (lambda x, s: (x * s - (x * s).mean()).sum(), np.float32),
    ],
    ids=["max", "sum"],
)
def test_folds_of_everything_one_after_the_other(fn, dtype):
    """Threads share out each of them, and what is named inside one is not known after it."""
    arrays = [fill("distinct", (1001,), dtype, 1) / 1e3, fill("positive", (1,), dtype, 2)]
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    check(fn, [np.asarray(a, dtype) for a in arrays], rtol=tolerance, atol=tolerance)


@compiled
@pytest.mark.parametrize("shape", [(10**6,), (2, 10**6)])
def test_the_error_of_a_sum_does_not_grow_with_its_length(shape):
    """One after the other, 0.1 added a million times is off by 1 % in float32."""
    x = mtlib.full(shape, 0.1, dtype="float32")
    one = float(x.numpy().flat[0])
    result = mtlib.fuse(lambda x: (x * 1.5).sum(-1))(x)
    np.testing.assert_allclose(result, 1.5 * one * 1e6, rtol=4 * np.finfo(np.float32).eps)


def test_a_fold_too_short_to_share_out_is_not_compiled_for_threads(recwarn):
    """Numba would warn that it found no loop for them."""
    x = mtlib.rand(100_000, seed=0)
    with mock.patch.object(jit, "threads_for", return_value=2):
        result = mtlib.fuse(lambda x: x.exp().sum())(x)
    np.testing.assert_allclose(result, np.exp(x.numpy()).sum())
    assert recwarn.list == []

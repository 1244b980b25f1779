"""The rungs of the ladder, and the kernel behind ``@`` on sizes that leave every remainder."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlib.kernels.jit import compiled
from mtlib.kernels.plans.products import DEPTH, STEP, TALL, VECTOR_BYTES, wide
from mtlib.kernels.products import matmul as kernels
from mtlib.kernels.products import transpose as square
from mtlib.layout import contiguous

RUNGS = [pytest.param(rung, id=rung.__name__) for rung in kernels.LADDER]
DTYPES = ["float32", "float64"]
PRIMES = [(7, 11, 13), (17, 5, 3), (1, 1, 1), (1, 19, 1), (23, 1, 29), (31, 37, 41)]


def assert_product(out, a, b):
    """Within the forward error bound k·eps·|a||b| (Higham 2002, section 3.5)."""
    k = a.shape[-1]
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    magnitude = np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble)
    bound = (k + 2) * np.finfo(out.dtype).eps * magnitude
    assert np.all(np.abs(out - exact) <= bound)


def operands(shape, dtype, layout="C", seed=0):
    m, k, n = shape
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    a, b = a.astype(dtype), b.astype(dtype)
    if layout == "transposed":
        a, b = np.asfortranarray(a), np.asfortranarray(b)
    elif layout == "stepped":
        a, b = np.repeat(a, 2, 1)[:, ::2], np.repeat(b, 3, 1)[:, ::3]
    elif layout == "reversed":
        a, b = a[::-1, ::-1], b[::-1, ::-1]
    elif layout == "broadcast":
        a, b = np.broadcast_to(a[:1], a.shape), np.broadcast_to(b[:, :1], b.shape)
    return a, b, np.full((m, n), np.nan, dtype)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", PRIMES)
def test_every_rung_multiplies(rung, dtype, shape):
    a, b, out = operands(shape, dtype)
    rung(out, a, b)
    assert_product(out, a, b)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("layout", ["transposed", "stepped", "reversed", "broadcast"])
def test_every_rung_reads_any_strides(rung, layout):
    a, b, out = operands((13, 18, 21), "float64", layout)
    rung(out, a, b)
    assert_product(out, a, b)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("shape", [(3, 0, 2), (0, 3, 2), (3, 2, 0), (0, 0, 0)])
def test_every_rung_bears_nothing_at_all(rung, shape):
    a, b, out = operands(shape, "float64")
    rung(out, a, b)
    assert not out.any()


@pytest.mark.parametrize("shape", [(3, 0, 2), (0, 3, 2), (2, 4, 3)])
def test_more_threads_than_there_is_work_for(shape):
    a, b, out = operands(shape, "float64")
    kernels._multiply(out, a, b, threads=2)
    assert_product(out, a, b)


@given(
    m=st.integers(1, 3 * TALL),
    k=st.sampled_from([1, 2, 7, DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 3]),
    n=st.integers(1, 3 * wide(8)),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(["C", "transposed", "stepped", "reversed", "broadcast"]),
    threads=st.integers(1, 3),
)
def test_tiles_of_every_remainder(m, k, n, dtype, layout, threads):
    a, b, out = operands((m, k, n), dtype, layout)
    kernels._multiply(out, a, b, threads=threads)
    assert_product(out, a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["copy_square", "turn_square"])
def test_squares(name, dtype):
    """Each of the two moves one square of a larger array to one of another, and nothing else."""
    side = VECTOR_BYTES // np.dtype(dtype).itemsize
    x = np.arange(3.0 * side * side, dtype=dtype).reshape(side, -1)
    y = np.zeros((2 * side, side + 2), dtype)
    moved = x[:, side + 1 : 2 * side + 1]
    expected = y.copy()
    expected[3 : side + 3, 1 : side + 1] = moved.T if name == "turn_square" else moved
    move = getattr(square, name)
    compiled(lambda x, y, first: move(x, (0, first), y, (3, 1)))(x, y, side + 1)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["C", "transposed"])
def test_more_than_one_block_in_each_direction(dtype, layout):
    a, b, out = operands((16 * TALL + STEP + 1, DEPTH + 5, 1024 + 7), dtype, layout)
    kernels._multiply(out, a, b, threads=2)
    assert_product(out, a, b)


def test_a_stack_is_shared_out_whole_or_in_parts():
    m, k, n = 9, 17, 20
    for stack in (1, 2, 3, 5):
        rng = np.random.default_rng(stack)
        a, b = rng.standard_normal((stack, m, k)), rng.standard_normal((stack, k, n))
        out = np.full((stack, m, n), np.nan)
        how = kernels.plans.product(contiguous(a.shape), contiguous(b.shape), out.itemsize)
        kernels.matmul(*(x.reshape(-1) for x in (out, a, b)), how, threads=3)
        assert_product(out, a, b)


OTHER_PROCESSOR = """
import llvmlite.binding as llvm
host = llvm.get_host_cpu_features()
fewer = type(host)(host | dict.fromkeys({missing}, False))
llvm.get_host_cpu_features = lambda: fewer
from mtlib.kernels.plans import products
from mtlib.kernels.products import matmul
assert (products.VECTOR_BYTES, products.TALL) == {expected}
import numpy as np
rng = np.random.default_rng(0)
for dtype in ("float32", "float64"):
    for m, k, n in [(5, 7, 3), (14, 300, 35), (24, 16, 64)]:
        a, b = rng.random((m, k)).astype(dtype), rng.random((k, n)).astype(dtype)
        out = np.empty((m, n), dtype)
        matmul.register_tiled(out, a, b)
        np.testing.assert_allclose(out, a @ b, rtol=1e-4)
        a, b = np.asfortranarray(a), np.asfortranarray(b)
        matmul.register_tiled(out, a, b)
        np.testing.assert_allclose(out, a @ b, rtol=1e-4)
"""


@pytest.mark.parametrize(
    ("missing", "expected"), [(["avx512f"], (32, 6)), (["avx512f", "avx2"], (16, 12))]
)
def test_a_processor_with_narrower_vectors(missing, expected, tmp_path):
    if not llvm.get_host_cpu_features().get("avx2"):
        pytest.skip("this processor has no wider vectors to take away")
    script = OTHER_PROCESSOR.format(missing=missing, expected=expected)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=root)

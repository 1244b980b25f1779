"""With the kernels as plain Python, so that a reader can step through one in a debugger."""

import re
from pathlib import Path

import numba
import pytest

from .processes import python

HERE = Path(__file__).parent


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="this is that run")
def test_the_small_tests_pass_without_compiling():
    options = ["-q", "-m", "nojit", "-p", "no:cacheprovider", "-p", "no:randomly", "-x"]
    done = python("-m", "pytest", *options, str(HERE), NUMBA_DISABLE_JIT=1)
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert int(re.search(r"(\d+) passed", last)[1]) > 700


def test_a_kernel_is_the_python_function():
    script = """
import mtlib, types
from mtlib.ops import zips
assert isinstance(zips.Add.kernel.serial, types.FunctionType)
assert isinstance(zips.Add.kernel.threaded, types.FunctionType)
print((mtlib.ones(300, 300) + 1).sum().item())
"""
    done = python("-c", script, NUMBA_DISABLE_JIT=1)
    assert done.stdout == "180000.0\n", done.stderr

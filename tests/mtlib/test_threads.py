"""Many Python threads at once, under each of Numba's threading layers, and forked children."""

import importlib

import pytest

from .processes import run


def installed(module: str) -> bool:
    """Whether a threading layer and what it stands on can be loaded."""
    try:
        importlib.import_module(f"numba.np.ufunc.{module}")
    except ImportError:
        return False
    return True


LAYERS = ["workqueue"]  # part of Numba
LAYERS += [name for name, module in [("omp", "omppool"), ("tbb", "tbbpool")] if installed(module)]

PREPARE = """
import threading

import numba
import numpy as np

import mtlib
from mtlib.kernels import jit

jit.SMALL = 1 << 14  # so that threads are woken for the work below
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(150, 160)), rng.normal(size=(160, 140))


def check(scale):
    a = mtlib.tensor(X * scale, requires_grad=True)
    b = mtlib.tensor(Y, requires_grad=True)
    c = a @ b
    np.testing.assert_allclose(c, scale * (X @ Y), atol=1e-9 * scale)
    big = a.expand(4, 150, 160)
    np.testing.assert_allclose(big.sum((0, 1)), 4 * scale * X.sum(0), atol=1e-9 * scale)
    np.testing.assert_allclose(big.exp().log().max(), scale * X.max())
    (c * c).sum().backward()
    np.testing.assert_allclose(a.grad, 2 * (scale * X @ Y) @ Y.T, atol=1e-6 * scale)
    np.testing.assert_allclose(b.grad, 2 * scale * X.T @ (scale * X @ Y), atol=1e-6 * scale**2)
"""

EIGHT = """
wrong, started = [], threading.Barrier(8)


def work(number):
    try:
        started.wait()
        for _ in range(5):
            check(number + 1.0)
    except BaseException as error:
        wrong.append(error)


threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, wrong[0]
print(numba.threading_layer())
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_eight_threads_at_once(layer):
    printed = run(PREPARE + EIGHT, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=4)
    assert printed.split() == [layer]


FORK = """
import os

check(2.0)
assert numba.threading_layer()  # threads of the parent are running now
child = os.fork()
if child == 0:
    status = 1
    try:
        check(3.0)
        status = 0
    finally:
        os._exit(status)
_, status = os.waitpid(child, 0)
assert status == 0, status
check(4.0)
print("both")
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_a_forked_child(layer):
    assert run(PREPARE + FORK, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=4) == "both\n"


POOL = """
import multiprocessing


def task(scale):
    check(scale)
    return scale


check(1.0)
assert numba.threading_layer()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(task, [1.0, 2.0, 3.0]))
"""


def test_a_pool_of_forked_children():
    assert run(PREPARE + POOL, NUMBA_NUM_THREADS=4) == "[1.0, 2.0, 3.0]\n"


WHILE_BUSY = """
import os

check(1.0)
with jit._one_at_a_time:  # as if another thread were in the middle of a kernel
    child = os.fork()
    if child == 0:
        check(2.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
print("no deadlock")
"""


def test_a_child_forked_while_a_kernel_runs():
    assert run(PREPARE + WHILE_BUSY, NUMBA_NUM_THREADS=4) == "no deadlock\n"


WHILE_COMPILING = """
import os
import signal
import threading
import time

import mtlib
from numba.core.compiler_lock import global_compiler_lock

locked = threading.Event()


def compile_():  # for as long as it takes to fork, were nobody to wait
    with global_compiler_lock:
        locked.set()
        time.sleep(1)


threading.Thread(target=compile_).start()
locked.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that hangs is ended
    print((mtlib.arange(3) + mtlib.arange(3)).tolist(), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


def test_a_child_forked_while_another_thread_compiles(tmp_path):
    printed = run(WHILE_COMPILING, NUMBA_CACHE_DIR=tmp_path)  # where nothing is compiled yet
    assert printed == "[0.0, 2.0, 4.0]\n0\n"


def test_one_thread_is_enough():
    assert run(PREPARE + "check(1.0); print(numba.get_num_threads())", NUMBA_NUM_THREADS=1) == "1\n"

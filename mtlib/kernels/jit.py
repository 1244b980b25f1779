"""How a loop nest becomes a kernel.

Each loop nest in this folder is written once, as a function of ``each``: with ``range`` in its
place Numba compiles it for one thread, with ``numba.prange`` for all of them.  Waking threads costs
more than a small operation does, so a :class:`Kernel` holds both and picks by the size of the work.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numba import types
from numba.core.caching import IndexDataCacheFile
from numba.extending import lower_builtin, register_jitable, type_callable

from mtlib.mode import thread

# At the end of a loop the threads wait for the last, and GNU OpenMP waits by spinning, for
# milliseconds.  Where other libraries have threads too, as NumPy's BLAS has, that can keep the very
# thread that is waited for off its core.  A short spin and then sleep costs less, on the whole: a
# loop of tens of microseconds can wait a little longer for a thread that has to be woken.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

SMALL = 1 << 17  # scalar operations that one thread does before a second is awake

_one_at_a_time = threading.Lock()
_forked = False


def _in_child() -> None:
    """A forked child inherits no worker threads, and OpenMP would abort it for trying."""
    global _forked, _one_at_a_time
    _forked, _one_at_a_time = True, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class Kernel:
    """A loop nest compiled twice, for one thread and for all.

    ``make(each)`` returns the loop nest.  Compilation happens at the first call for a dtype and is
    cached on disk.  Under ``NUMBA_DISABLE_JIT=1`` both are the plain Python function, which a
    debugger can step through.  ``fuse_add`` is that of :func:`compiled`.
    """

    def __init__(self, make: Callable, *, fuse_add: bool = False) -> None:
        self.serial = compiled(make(range), fuse_add=fuse_add)
        self.threaded = compiled(make(numba.prange), parallel=True, fuse_add=fuse_add)

    def __call__(self, *arguments, work: int) -> None:
        """Run, unless in rehearsal; ``work`` is the number of scalar operations that this takes."""
        if not thread.mode.rehearsing:
            self.run(threads_for(work), *arguments)

    def run(self, threads: int, *arguments):
        """Run on one thread if ``threads`` is 1, else on all; what the loop nest returns."""
        if threads == 1:
            return self.serial(*arguments)
        # Not every threading layer bears two callers at once (workqueue aborts the process).  They
        # would share the same cores anyway, so they take turns.
        with _one_at_a_time:
            return self.threaded(*arguments)


def threads_for(work: int) -> int:
    """How many threads to use for ``work`` scalar operations: one, or as many as Numba may."""
    return 1 if work < SMALL or _forked else numba.get_num_threads()


def compiled(function: Callable, *, parallel: bool = False, fuse_add: bool = False) -> Callable:
    """``function`` as machine code.

    Division by zero follows IEEE (``error_model``); other Python threads may run (``nogil``).
    ``fuse_add`` lets x · y + z be one instruction, which rounds once instead of twice.
    """
    options = {"parallel": parallel, "nogil": True, "error_model": "numpy"}
    if fuse_add:
        options["fastmath"] = {"contract"}
    if numba.config.DISABLE_JIT:  # Python itself would warn of infinities and nan
        return np.errstate(all="ignore")(function)
    try:
        kernel = numba.njit(function, cache=True, **options)
    except RuntimeError:  # nowhere to write a cache: compile anew in each process
        return numba.njit(function, **options)
    cache = kernel._cache
    name = cache._cache_file._index_name.removesuffix(".nbi")
    cache._cache_file = _CacheFile(cache._cache_path, name, _sources())
    return kernel


compiled_fma = functools.partial(compiled, fuse_add=True)

# For small functions that kernels are made of: a call left standing stops the compiler from seeing
# through it, and from using vectors around it.
inlined = register_jitable(forceinline=True)


def full_vectors() -> None:
    """In a loop nest: vectors of 64 bytes, where the processor has them.

    For loops that compute more than they move.  By itself the compiler takes 32 bytes on many of
    Intel's processors, where wide vectors once slowed down the clock; there exp, tanh and sigmoid
    take up to a third less time with 64.
    """


def narrow_vectors() -> None:
    """In a loop nest: vectors of at most 32 bytes, for loops that move more than they compute.

    They win nothing by wider ones, and can lose: on AMD's Zen 5, where arrays of 16 MB half fit the
    cache, the sum of two takes an eighth longer with 64 bytes, and layer_norm three quarters.

    It holds for the function that it stands in, where the body of a ``prange`` loop is a function
    too.  What is inlined there is compiled before, and then once more with it; so both say it.
    """


def _prefer(marker: Callable, bits: int) -> None:
    @type_callable(marker)
    def _(context):
        return lambda: types.none

    @lower_builtin(marker)
    def _(context, builder, signature, arguments):
        # Past llvmlite's own add, which only knows attributes that are one word.
        set.add(builder.function.attributes, f'"prefer-vector-width"="{bits}"')
        return context.get_dummy_value()


_prefer(full_vectors, 512)
_prefer(narrow_vectors, 256)


class _CacheFile(IndexDataCacheFile):
    """Numba's record of what is compiled, made safe for kernels that are made by one function.

    Numba compiles anew when the file that holds a kernel changes, not when a function that it calls
    does; but a reader who edits ``add`` should see the sum change, so the stamp is that of all the
    files.  And Numba numbers the files of machine code as it makes them, so that two processes that
    compile at once can give one number to two kernels; here the number is made from the key.
    """

    def load(self, key):
        data = super().load(key)
        if data is None:
            _say_that_it_compiles()
        return data

    def save(self, key, data) -> None:
        digest = hashlib.sha256(self._dump((self._source_stamp, key))).hexdigest()
        name = self._data_name(int(digest[:15], 16))
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


@functools.cache  # once in a process
def _say_that_it_compiles() -> None:
    """Tell who sits at a terminal why it takes so long.

    Nobody else: a notebook would keep the line as output of the cell that happened to be first, and
    what is stored there must not depend on what had been compiled before.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        print("mtlib: compiling kernels, once per installation (seconds each) …", file=sys.stderr)


@functools.cache
def _sources() -> tuple[float, int]:
    """Last change and total size of the files in this folder."""
    files = [file.stat() for file in Path(__file__).parent.glob("*.py")]
    return max(f.st_mtime for f in files), sum(f.st_size for f in files)

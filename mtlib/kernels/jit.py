"""How a loop nest becomes a kernel.

Each loop nest in these folders is written once, as a function of ``each``: with ``range`` in its
place Numba compiles it for one thread, with ``numba.prange`` for all of them.  Waking threads costs
more than a small operation does, so a :class:`Kernel` holds both and picks by the size of the work.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.resources
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numba
import numpy as np
from numba import types
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    InTreeCacheLocator,
)
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import lower_builtin, register_jitable, type_callable

from mtlib.runtime.mode import thread

# At the end of a loop the threads wait for the last, and GNU OpenMP waits by spinning, for
# milliseconds.  Where other libraries have threads too, as NumPy's BLAS has, that can keep the very
# thread that is waited for off its core.  A short spin and then sleep costs less, on the whole: a
# loop of tens of microseconds can wait a little longer for a thread that has to be woken.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

SMALL = 1 << 17  # scalar operations that one thread does before a second is awake

_DIGEST = hashlib.sha256().digest_size  # bytes

_one_at_a_time = threading.Lock()
_forked = False


def _in_child() -> None:
    """A forked child inherits no worker threads, and OpenMP would abort it for trying."""
    global _forked, _one_at_a_time
    _forked, _one_at_a_time = True, threading.Lock()
    global_compiler_lock.release()


# Of the threads only the one that forks lives on in the child.  If another were compiling, its lock
# would stay locked there for good; so a fork waits until what is being compiled is done.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=_in_child,
    )


class Kernel:
    """A loop nest compiled twice, for one thread and for all.

    ``make(each)`` returns the loop nest.  Compilation happens at the first call for a dtype and is
    cached on disk.  Under ``NUMBA_DISABLE_JIT=1`` both are the plain Python function, which a
    debugger can step through.  Options are those of :func:`compiled`.
    """

    def __init__(self, make: Callable, **options) -> None:
        self.serial = compiled(make(range), **options)
        self.threaded = compiled(make(numba.prange), parallel=True, **options)

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


def compiled(
    function: Callable,
    *,
    parallel: bool = False,
    fuse_add: bool = False,
    owners: bool = True,
) -> Callable:
    """``function`` as machine code.

    Division by zero follows IEEE (``error_model``); other Python threads may run (``nogil``).
    ``fuse_add`` lets x · y + z be one instruction, which rounds once instead of twice.  Without
    ``owners`` nobody counts who holds an array: it makes none, and what it slices outlives it.
    """
    options = {"parallel": parallel, "nogil": True, "error_model": "numpy"}
    if fuse_add:
        options["fastmath"] = {"contract"}
    if not owners:
        options["_nrt"] = False
    if numba.config.DISABLE_JIT:  # Python itself would warn of infinities and nan
        return np.errstate(all="ignore")(function)
    kernel = numba.njit(function, **options)
    kernel.compile = functools.partial(_to_its_end, kernel.compile)
    # Where there is nowhere to write (in an archive that is no .zip a ValueError says so), a kernel
    # is compiled anew in each process.
    with contextlib.suppress(RuntimeError, ValueError):
        kernel._cache = _Cache(function)
    return kernel


compiled_fma = functools.partial(compiled, fuse_add=True)
compiled_step = functools.partial(compiled, fuse_add=True, owners=False)  # of work on a row

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


def _to_its_end(compile_: Callable, signature):
    """Compile in a thread of its own, which no interrupt reaches.

    An interrupt in the middle would leave Numba with half a kernel, and the next call with an error
    that tells nothing.  Who interrupts stops waiting at once; the kernel is there when it is done.
    """
    if global_compiler_lock.is_locked():  # by this thread: a part of what it compiles
        return compile_(signature)
    done = Future()

    def work() -> None:
        try:
            done.set_result(compile_(signature))
        except BaseException as error:
            done.set_exception(error)

    try:
        threading.Thread(target=work).start()
    except RuntimeError:  # none can be started, as when the interpreter shuts down
        work()
    return done.result()


class _Place(CompileResultCacheImpl):
    """Where kernels are kept: beside their source, or with the user's own files.

    With those if pip has installed the source: it removes only what it has put there, and a folder
    that is left over can still be imported.
    """

    if any(Path(__file__).parents[2].glob("fusing_operations-*.dist-info")):
        _locator_classes = [
            place
            for place in CompileResultCacheImpl._locator_classes
            if place is not InTreeCacheLocator
        ]


class _Cache(FunctionCache):
    """Numba's kernels on disk; where the disk is full or read-only, this process has its own."""

    _impl_class = _Place

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = _CacheFile(self._cache_path, self._impl.filename_base, _sources())

    def save_overload(self, signature, result) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(signature, result)


class _CacheFile(IndexDataCacheFile):
    """One file for each kernel, named after what it is of and led by a digest of what it holds.

    Numba compiles anew when the file that holds a kernel changes, not when a function that it calls
    does; but a reader who edits ``add`` should see the sum change, so the stamp is that of all the
    files.  Numba numbers the files of machine code as it makes them and keeps the numbers in an
    index: two processes that compile at once can give one number to two kernels.  And a file that
    was cut short, as by a full disk, it takes for whole.  Such a file is compiled and written anew.
    """

    def _path(self, key) -> str:
        what = repr((self._version, self._source_stamp, key))
        number = int(hashlib.sha256(what.encode()).hexdigest()[:15], 16)
        return self._data_path(self._data_name(number))

    def load(self, key):
        with contextlib.suppress(OSError), open(self._path(key), "rb") as file:
            digest, content = file.read(_DIGEST), file.read()
            if hashlib.sha256(content).digest() == digest:
                of, data = pickle.loads(content)
                if of == key:
                    return data
        _say_that_it_compiles()
        return None

    def save(self, key, data) -> None:
        content = self._dump((key, data))
        with self._open_for_write(self._path(key)) as file:
            file.write(hashlib.sha256(content).digest() + content)


@functools.cache  # once in a process
def _say_that_it_compiles() -> None:
    """Tell who sits at a terminal why it takes so long.

    Nobody else: a notebook would keep the line as output of the cell that happened to be first, and
    what is stored there must not depend on what had been compiled before.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        print("mtlib: compiling kernels, once per installation (seconds each) …", file=sys.stderr)


@functools.cache
def _sources() -> str:
    """A digest of the files in this folder, which may lie in an archive."""
    found = sorted(_files(importlib.resources.files(__package__)))
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _files(folder, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Each Python file in ``folder`` and the folders in it: where it is, and what it says."""
    for file in folder.iterdir():
        if file.is_dir():
            yield from _files(file, f"{path}{file.name}/")
        elif file.name.endswith(".py"):
            yield path + file.name, file.read_bytes()

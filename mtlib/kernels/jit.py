"""How a loop nest becomes a kernel.

Each loop nest in this folder is written once, as a function of ``each``: with ``range`` in its
place Numba compiles it for one thread, with ``numba.prange`` for all of them.  Waking threads costs
more than a small operation does, so a :class:`Kernel` holds both and picks by the size of the work.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numba

SMALL = 1 << 15  # scalar operations below which one thread is faster than two

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
    debugger can step through.
    """

    def __init__(self, make: Callable) -> None:
        self.__doc__ = make.__doc__
        self.serial = compiled(make(range))
        self.threaded = compiled(make(numba.prange), parallel=True)

    def __call__(self, *arguments, work: int) -> None:
        """Run; ``work`` is the number of scalar operations that this takes."""
        self.run(threads_for(work), *arguments)

    def run(self, threads: int, *arguments) -> None:
        """Run on one thread if ``threads`` is 1, else on all."""
        if threads == 1:
            self.serial(*arguments)
            return
        # Not every threading layer bears two callers at once (workqueue aborts the process).  They
        # would share the same cores anyway, so they take turns.
        with _one_at_a_time:
            self.threaded(*arguments)


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
    try:
        kernel = numba.njit(function, cache=True, **options)
    except RuntimeError:  # nowhere to write a cache: compile anew in each process
        return numba.njit(function, **options)
    if not numba.config.DISABLE_JIT:
        # Numba compiles anew when the file that holds a kernel changes, not when a function that it
        # calls does.  A reader who edits `add` should see the sum change: stamp with all the files.
        kernel._cache._cache_file._source_stamp = _sources()
    return kernel


@functools.cache
def _sources() -> tuple[float, int]:
    """Last change and total size of the files in this folder."""
    files = [file.stat() for file in Path(__file__).parent.glob("*.py")]
    return max(f.st_mtime for f in files), sum(f.st_size for f in files)

"""The one place where arrays are made.

:func:`allocate` refuses what cannot fit before anything is reserved, and enters what it made in
the ledger.  An operating system promises memory that it does not have, so without the first a huge
intermediate would not fail with an error; it would take the machine down with it.
"""

from __future__ import annotations

import functools
import os
from math import prod
from pathlib import Path

import numpy as np

from mtlib.layout import Layout, contiguous
from mtlib.runtime.ledger import record_allocation
from mtlib.runtime.mode import thread

Shape = tuple[int, ...]

_ALWAYS_FITS = 1 << 23  # elements, of at most 8 bytes: not worth asking the operating system about


def allocate(shape: Shape, dtype, name: str, role: str = "result", zero: bool = False):
    """A new flat array with room for ``shape``, entered in the ledger under ``name``.

    ``role`` is ``"workspace"`` for a kernel's scratch space.  The elements are undefined unless
    ``zero``.  Raises ``MemoryError`` if it cannot fit.

    >>> allocate((2, 3), "float64", "example", zero=True)
    array([0., 0., 0., 0., 0., 0.])
    """
    mode = thread.mode
    if mode.rehearsing:
        return np.empty(0, dtype)
    size = prod(shape)
    if size > _ALWAYS_FITS:
        _refuse_unless_free(shape, dtype, name, "an array")
    array = np.zeros(size, dtype) if zero else np.empty(size, dtype)
    if mode.traces:
        record_allocation(array, name, shape, role)
    return array


def flattened(array: np.ndarray) -> tuple[np.ndarray, Layout]:
    """The memory from the lowest element of ``array`` to the highest, and how the array lies there.

    Nothing is copied.

    >>> flattened(np.arange(6.0).reshape(2, 3)[:, ::-1])
    (array([0., 1., 2., 3., 4., 5.]), Layout(shape=(2, 3), strides=(3, -1), offset=2))
    """
    array = np.asarray(array)  # of a subclass, such as a matrix, the plain array
    if array.size == 0:
        return np.empty(0, array.dtype), contiguous(array.shape)
    strides = tuple([s // array.itemsize for s in array.strides])
    if array.flags.c_contiguous:
        return array.reshape(-1), Layout(array.shape, strides, 0)
    reach = [(n - 1) * s for n, s in zip(array.shape, strides, strict=True)]
    offset = -sum(r for r in reach if r < 0)
    forwards = array[(..., *(slice(None, None, -1 if r < 0 else 1) for r in reach))]
    extent = 1 + sum(map(abs, reach))
    storage = np.lib.stride_tricks.as_strided(forwards, (extent,), (array.itemsize,))
    return storage, Layout(array.shape, strides, offset)


def check_fits(shape: Shape, dtype, name: str, what: str = "an array") -> None:
    """Raise ``MemoryError``, naming the size, if ``what`` of ``shape`` is more than is free.

    Not while a program is read: what this announces is then not made.
    """
    if not thread.mode.reading:
        _refuse_unless_free(shape, dtype, name, what)


def _refuse_unless_free(shape: Shape, dtype, name: str, what: str) -> None:
    size = prod(shape)
    nbytes = size * np.dtype(dtype).itemsize
    if size > _ALWAYS_FITS and nbytes > (free := available_bytes()):
        raise MemoryError(
            f"{name}: {what} of shape {shape} would take {human(nbytes)}, "
            f"and {human(free)} are available"
        )


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that can still be had, in bytes, as far as the operating system tells.

    That is the least of what the machine has left and what is left to each control group that this
    process is in: a container's, a service's, a batch job's.  ``root`` is where the files are in
    which Linux tells it.
    """
    limits = [_physical_bytes()]
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            limits.append(int(line.split()[1]) * 1024)
    limits += [_left(*group) for group in _groups(root)]
    return max(0, min(limits))


_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_UNKNOWN = 1 << 62  # bytes: leave the refusal to NumPy


@functools.cache  # a process stays in its groups
def _groups(root: Path) -> list[tuple[Path, str, str, str]]:
    """The control groups that this process is in, of either version, and the names that they use.

    A group is in all those above it.  In a container the path that Linux tells can be that on the
    host, of which nothing is there but the mount itself.
    """
    found = []
    for line in _lines(root / "proc/self/cgroup") or ["0::/"]:  # number:controllers:path
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, names = root / "sys/fs/cgroup", _VERSION_2
        elif "memory" in controllers.split(","):
            mount, names = root / "sys/fs/cgroup/memory", _VERSION_1
        else:
            continue
        group = mount / path.lstrip("/")
        found += [(above, *names) for above in (group, *group.parents)]
    return [(group, *names) for group, *names in found if (group / names[0]).is_file()]


def _left(group: Path, limit: str, usage: str, cache: str) -> int:
    """What a control group may still take; copies of files can be given up and are not counted."""
    try:
        most = int("".join(_lines(group / limit)))
        if most >= _UNKNOWN:
            return _UNKNOWN
        used = int("".join(_lines(group / usage)))
    except ValueError:  # "max", or not to be read
        return _UNKNOWN
    statistics = dict(line.split() for line in _lines(group / "memory.stat"))
    return most - used + int(statistics.get(cache, 0))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN


def human(nbytes: int) -> str:
    """A byte count for people.

    >>> human(134_217_728), human(48)
    ('134.2 MB', '48 bytes')
    """
    if nbytes < 1000:
        return f"{nbytes} bytes"
    units = ("kB", "MB", "GB", "TB", "PB", "EB")
    power = min(len(units), (len(str(nbytes)) - 1) // 3)
    return f"{nbytes / 1000**power:,.1f} {units[power - 1]}"

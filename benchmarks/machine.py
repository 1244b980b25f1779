"""What the numbers were measured on, and how many threads there are to measure with."""

from __future__ import annotations

import ctypes
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

LIBRARIES = ("numpy", "numba", "torch", "numexpr")
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# These choose OpenBLAS's kernels by hand.  Left over from something else, they make NumPy slow.
OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """The environment for a child that measures with so many threads, NumPy at its best."""
    kept = {name: value for name, value in os.environ.items() if name not in OVERRIDES}
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads))


def describe() -> dict:
    """The processor, the system, and the versions of what is compared."""
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "blas": blas(),
        "versions": versions,
    }


def processor() -> str:
    """The processor's name, as far as it is known."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def blas() -> str:
    """The BLAS that NumPy brings, and which of its kernels runs here, as far as it tells."""
    named = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    text = f"{named['name']} {named['version']}"
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs")
    for path in (file for folder in folders for file in folder.glob("*openblas*")):
        for ending in ("64_", ""):
            try:
                name = getattr(ctypes.CDLL(str(path)), f"scipy_openblas_get_corename{ending}")
            except (OSError, AttributeError):
                continue
            name.restype = ctypes.c_char_p
            return f"{text}, {name().decode()} kernels"
    return text


def load() -> float | None:
    """How many programs wanted a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None

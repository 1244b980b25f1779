"""The rules of the house: imports run downwards, figures do not know mtlib, rooms stay small."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MTLIB = ROOT / "mtlib"

# From the ground up.  A room may import those on lower floors, and those beside it in its folder.
FLOORS = [
    ["layout", "mode", "versions"],
    ["trace"],
    ["memory"],
    ["kernels"],
    ["autograd"],
    ["tensor"],
    ["make", "ops"],
    ["operands"],
    ["naive", "fused"],
    ["methods", "fusion"],
    ["gradcheck"],
    ["exercises"],
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, by their full names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(path: Path) -> str:
    return path.relative_to(MTLIB).with_suffix("").parts[0]


FILES = sorted(path for path in MTLIB.rglob("*.py") if path != MTLIB / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MTLIB)))
def test_imports_run_downwards(path):
    here = FLOOR[room(path)]
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "mtlib" or len(parts) == 1 or parts[1] not in FLOOR:
            continue
        same_folder = parts[1] == room(path)
        assert FLOOR[parts[1]] < here or same_folder, f"{room(path)} imports {name}, from above"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MTLIB)))
def test_mtlib_needs_only_numpy_and_numba(path):
    standard = {"mtlib", "numpy", "numba", "llvmlite"}  # llvmlite is the half of Numba that emits
    for name in imported(path):
        top = name.split(".")[0]
        assert top in standard or top in sys.stdlib_module_names, name


def test_figures_know_nothing_of_mtlib():
    importers = {
        path.name
        for path in (ROOT / "diagrams" / "mt_diagrams").glob("*.py")
        if any(name.split(".")[0] == "mtlib" for name in imported(path))
    }
    assert importers <= {"live.py", "__main__.py"}  # the command line


def test_rooms_stay_small():
    folders = [MTLIB, ROOT / "diagrams" / "mt_diagrams", ROOT / "benchmarks", ROOT / "tests"]
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        lines = len(path.read_text().splitlines())
        assert lines <= 420, f"{path.name} has {lines} lines: it is two rooms"

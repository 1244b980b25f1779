"""The rules of the house: imports run downwards, figures do not know mtlib, files stay small."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MTLIB = ROOT / "mtlib"
FIGURES = ROOT / "diagrams" / "mt_diagrams"

# From the ground up.  A file may import those on lower floors, and those beside it in its folder.
FLOORS = [
    ["layout"],
    ["runtime"],
    ["kernels"],
    ["autograd"],
    ["tensor"],
    ["make", "ops"],
    ["checks"],
    ["naive"],
    ["fused"],
    ["methods", "fusion"],
    ["gradcheck"],
    ["exercises"],
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, by their full names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    return path.relative_to(MTLIB).with_suffix("").parts[0]


# In its folder, a folder of kernels may import those before it.
KERNEL_FLOORS = ["jit", "functions", "plain", "plans", "strided", "products", "rows", "attention"]
KERNEL_FILES = sorted((MTLIB / "kernels").rglob("*.py"))

FILES = sorted(path for path in MTLIB.rglob("*.py") if path != MTLIB / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MTLIB)))
def test_imports_run_downwards(path):
    here = FLOOR[part(path)]
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "mtlib" or len(parts) == 1 or parts[1] not in FLOOR:
            continue
        same_folder = parts[1] == part(path)
        assert FLOOR[parts[1]] < here or same_folder, f"{part(path)} imports {name}, from above"


@pytest.mark.parametrize("path", KERNEL_FILES, ids=lambda path: str(path.relative_to(MTLIB)))
def test_kernels_stand_on_what_they_are_made_of(path):
    here = path.relative_to(MTLIB / "kernels").with_suffix("").parts[0]
    if here == "__init__":
        assert not imported(path)
        return
    allowed = KERNEL_FLOORS[: KERNEL_FLOORS.index(here)]
    allowed += [here] if path.parent.name != "kernels" else []
    for name in imported(path):
        parts = name.split(".")
        if parts[:2] == ["mtlib", "kernels"] and len(parts) > 2:
            assert parts[2] in allowed, f"{here} imports {name}, from above"


# In the order in which a program goes through them; a stage may import those before it.
FUSION_STAGES = [
    *("arguments", "guards", "primitives"),
    *("graph", "simplify", "capture", "statements", "grouping", "schedule"),
    *("loops", "codegen", "compile", "execute", "frontend", "__init__"),
]


@pytest.mark.parametrize("stage", FUSION_STAGES)
def test_a_program_is_fused_in_one_direction(stage):
    assert {path.stem for path in (MTLIB / "fusion").glob("*.py")} == set(FUSION_STAGES)
    earlier = FUSION_STAGES[: FUSION_STAGES.index(stage)]
    for name in imported(MTLIB / "fusion" / f"{stage}.py"):
        parts = name.split(".")
        if parts[:2] == ["mtlib", "fusion"] and len(parts) > 2:
            assert parts[2] in earlier, f"{stage} imports {name}, from a later stage"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MTLIB)))
def test_mtlib_needs_only_numpy_and_numba(path):
    standard = {"mtlib", "numpy", "numba", "llvmlite"}  # llvmlite is the half of Numba that emits
    for name in imported(path):
        top = name.split(".")[0]
        assert top in standard or top in sys.stdlib_module_names, name


# A folder of figures may import those before it, and what lies beside it in its own.
FIGURE_FLOORS = ["svg", "pieces", "figures", "cli"]
FIGURE_FILES = sorted(path for floor in FIGURE_FLOORS for path in (FIGURES / floor).glob("*.py"))


@pytest.mark.parametrize("path", FIGURE_FILES, ids=lambda path: str(path.relative_to(FIGURES)))
def test_figures_stand_on_what_they_are_made_of(path):
    allowed = FIGURE_FLOORS[: FIGURE_FLOORS.index(path.parent.name) + 1]
    allowed += ["drawing"] if path.parent.name in ("figures", "cli") else []  # for its ``connect``
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "mt_diagrams" and len(parts) > 1:
            assert parts[1] in allowed, f"{path.parent.name} imports {name}, from above"


def test_figures_know_nothing_of_mtlib():
    importers = {
        str(path.relative_to(FIGURES))
        for path in FIGURES.rglob("*.py")
        if any(name.split(".")[0] == "mtlib" for name in imported(path))
    }
    assert importers == {"cli/live.py"}


MOST_FILES = 16  # in a folder


def modules(package: Path) -> dict[str, Path]:
    """The modules of a package by their full names."""
    parent = package.parent
    names = {
        ".".join(p.relative_to(parent).with_suffix("").parts): p for p in package.rglob("*.py")
    }
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


@pytest.mark.parametrize("package", [MTLIB, FIGURES], ids=lambda path: path.name)
def test_nothing_is_imported_in_a_circle(package):
    """Inside of folders too; what a function imports when it is called counts as well."""
    known = modules(package)
    graph = {
        name: {n for n in imported(path) if n in known and not name.startswith(n)}
        for name, path in known.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("imported in a circle: " + " -> ".join(error.args[1]))


def test_a_circle_would_be_found():
    with pytest.raises(CycleError):
        list(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())


def test_folders_stay_small():
    """So small that a newcomer can know the neighbours."""
    for folder in {path.parent for package in (MTLIB, FIGURES) for path in package.rglob("*.py")}:
        found = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(found) <= MOST_FILES, f"{folder.name}: {len(found)} files"


def test_files_stay_small():
    folders = [MTLIB, FIGURES, ROOT / "benchmarks", ROOT / "tests"]
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        lines = len(path.read_text().splitlines())
        assert lines <= 420, f"{path.name} has {lines} lines: it is two files"

"""All cases, in groups, with what they must reach."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from benchmarks import automatic, composites, costs, elements, products
from benchmarks.kinds import Comparison, Group, Reading

GROUPS = (
    Group("ladder", "The ladder of matrix products, float64", products.ladder),
    Group("matmul", "A @ B, square", products.square, mean=0.9, floor=0.6),
    Group("transposed", "A @ B, one operand transposed", products.transposed, 0.9, 0.6),
    Group("rectangular", "A @ B, rectangular", products.rectangular, mean=0.9),
    Group("batched", "A @ B, batches", products.batched, mean=0.9),
    Group("tiny", "A @ B, tiny", products.tiny),
    Group("backward", "A @ B, forward and backward", products.backward),
    Group("map", "Map: 4096×1024 float32", elements.maps, floor=1.0),
    Group("zip", "Zip: 4096×1024 float32", elements.zips, floor=1.0),
    Group("reduce", "Reduce: 4096×1024 float32", elements.reductions, floor=1.0),
    Group("composites", "Fused operations, float32", composites.composites),
    Group("fuse", "Fused by fuse, and step by step", automatic.automatic),
    Group("fusion", "Naive over fused, time", costs.fusion, floor=100),
    Group("memory", "Memory", costs.memory),
    Group("startup", "Starting a process", costs.startup),
    Group("figures", "Drawing a figure", costs.figures),
)
NAMES = tuple(group.name for group in GROUPS)


def check_names(names: Sequence[str]) -> None:
    """ValueError for a group that there is not."""
    for name in names:
        if name not in NAMES:
            near = get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
            raise ValueError(f"no group is named {name!r}; {hint}")


def chosen(
    names: Sequence[str], quick: bool, threads: int, most: int
) -> list[tuple[Group, Comparison | Reading]]:
    """The cases to run with ``threads`` out of ``most``: of the groups in ``names``, or of all."""
    check_names(names)
    here = {None, threads, "all" if threads == most else None}
    return [
        (group, case)
        for group in GROUPS
        if not names or group.name in names
        for case in group.cases()
        if case.threads in here and (case.quick or not quick)
    ]

"""From the tasks of a kernel to loops: which there are, in which order, and what each one walks.

Dims are collapsed as for every kernel of the library (:func:`mtlib.layout.collapse`).  Which loop
is innermost is decided by the strides: neighbouring turns should read neighbours in memory.  Mostly
that is the last dim that is folded, and a total stays in a register.  If it is a dim of the result,
then a whole row of totals is added to at once, and the loops over what is folded go around it, as
in the second rung of the ladder.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from mtlib.fusion.expressions import Load, loads
from mtlib.fusion.graph import Node
from mtlib.fusion.schedule import Kernel, Task
from mtlib.layout import Layout, collapse


@dataclass(frozen=True)
class Loop:
    """One loop: the variable that counts it, and how often it turns."""

    variable: str
    size: int


@dataclass(frozen=True)
class Access:
    """Where in the memory of ``node`` the loops of a nest are: a stride for each of them."""

    node: Node
    offset: int
    strides: dict[Loop, int]

    def walked(self) -> list[tuple[Loop, int]]:
        """The loops that move it, with their strides, the longest first."""
        moving = [(loop, s) for loop, s in self.strides.items() if s != 0]
        return sorted(moving, key=lambda pair: -abs(pair[1]))


@dataclass(eq=False)
class Nest:
    """The loops that some tasks of a kernel share, inside the outer ones."""

    level: int
    tasks: list[Task]
    inner: list[Loop]
    accesses: dict[object, Access]  # of each load, and of each task for what it stores


@dataclass(eq=False)
class LoopNest:
    """The loops of a kernel: ``outer`` around all of its ``nests``, one after the other.

    ``lane`` is the loop of the result that runs innermost instead, if there is one.
    """

    outer: list[Loop]
    lane: Loop | None
    nests: list[Nest]


def loop_nest(kernel: Kernel) -> LoopNest:
    """The loops of ``kernel``."""
    variables = _variables({node.label for node in kernel.needed | kernel.made})
    order = _outer_order(kernel)
    groups = _grouped(kernel)
    every = [
        [layout.strides[task.outer[o]] for o in order]
        for task in kernel.tasks
        for _, _, layout in _touched(task)
    ]
    sizes, outer_steps = _collapsed([kernel.outer_sizes[o] for o in order], every)
    outer = [Loop(next(variables), size) for size in sizes]
    steps = iter(outer_steps)
    by_task = {
        task: [(*touched, next(steps)) for touched in _touched(task)] for task in kernel.tasks
    }
    nests: list[Nest] = []
    known: list[Loop] = []  # inside: loops of one size can have the same variable in every nest
    for level, tasks in groups:
        found = [(task, *touched) for task in tasks for touched in by_task[task]]
        dims = _inner_order(tasks[0], [layout for t, _, _, layout, _ in found if t is tasks[0]])
        inner_steps = [
            [layout.strides[task.inner[d]] for d in dims] for task, _, _, layout, _ in found
        ]
        sizes = [tasks[0].inner_sizes[d] for d in dims]
        sizes, collapsed = _collapsed(sizes, inner_steps)
        inner: list[Loop] = []
        for size in sizes:
            same = [loop for loop in known if loop.size == size and loop not in inner]
            inner.append(same[0] if same else Loop(next(variables), size))
        known = list(dict.fromkeys([*known, *inner]))
        accesses = {
            what: Access(
                node,
                layout.offset,
                dict(zip(outer, around, strict=True)) | dict(zip(inner, within, strict=True)),
            )
            for (_, what, node, layout, around), within in zip(found, collapsed, strict=True)
        }
        nests.append(Nest(level, tasks, inner, accesses))
    lane = _lane(outer, nests)
    if lane is not None:
        outer = [loop for loop in outer if loop != lane]
    return LoopNest(outer, lane, nests)


def _touched(task: Task) -> list[tuple[object, Node, Layout]]:
    """What a task loads and stores: (the load or the task, whose memory, where)."""
    loaded = [(x, x.node, x.layout) for x in loads(task.expression)]
    return [*loaded, (task, task.node, task.target())]


def _outer_order(kernel: Kernel) -> list[int]:
    """The outer loops in the order in which what is stored last lies in memory."""
    last = kernel.tasks[-1]
    strides = [last.target().strides[d] for d in last.outer]
    return sorted(range(len(strides)), key=lambda o: -abs(strides[o]))


def _inner_order(task: Task, layouts: list[Layout]) -> list[int]:
    """The inner loops in the order in which what moves most lies in memory."""
    strides = [[layout.strides[d] for d in task.inner] for layout in layouts]
    lead = max(strides, key=lambda s: sum(x != 0 for x in s))
    return sorted(range(len(lead)), key=lambda d: -abs(lead[d]))


def _grouped(kernel: Kernel) -> list[tuple[int, list[Task]]]:
    """Tasks that can share a nest: those of one level that walk in the same way.

    A task's level is above that of every total it uses.
    """
    levels: dict[Node, int] = {}
    groups: dict[tuple, list[Task]] = {}
    for task in kernel.tasks:
        used = [levels[x.node] for x in loads(task.expression) if x.node in levels]
        levels[task.node] = level = 1 + max(used, default=-1)
        groups.setdefault((level, task.loops), []).append(task)
    return sorted(((key[0], tasks) for key, tasks in groups.items()), key=lambda pair: pair[0])


def _collapsed(sizes: list[int], strides: list[list[int]]) -> tuple[list[int], list]:
    """As few sizes as the strides allow, and the strides of each access in them."""
    if prod(sizes) == 1:
        return [], [() for _ in strides]
    lengths, steps = collapse(tuple(sizes), *map(tuple, strides))
    return list(lengths), list(steps)


def _variables(taken: set[str]) -> Iterator[str]:
    """Names for variables: i, j, k and so on."""
    letters = "ijklmnpqrstuvwxyzabcdefgh"
    rounds = itertools.chain([""], map(str, itertools.count(2)))
    names = (c + n for n in rounds for c in letters)
    return (v for v in names if taken.isdisjoint({v, f"n{v}", f"{v}0", f"{v}1"}))


def _lane(outer: list[Loop], nests: list[Nest]) -> Loop | None:
    """The loop of the result to run innermost; None if what is folded lies side by side."""
    folding = [nest for nest in nests if nest.inner]
    if all(_side_by_side(nest, nest.inner[-1]) for nest in folding):
        return None
    for loop in reversed(outer):
        if all(_side_by_side(nest, loop) for nest in folding):
            return loop
    return None


def _side_by_side(nest: Nest, loop: Loop) -> bool:
    """Whether turns of the loop load neighbours, or the same element."""
    strides = {access.strides[loop] for x, access in nest.accesses.items() if isinstance(x, Load)}
    return strides <= {0, 1} and 1 in strides

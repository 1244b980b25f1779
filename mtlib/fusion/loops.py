"""From the tasks of a kernel to loops: which there are, in which order, and what each one walks.

Dims are collapsed as for every kernel of the library (:func:`mtlib.layout.collapse`).  Which loop
is innermost is decided by the strides: neighbouring turns should read neighbours in memory.  Mostly
that is the last dim that is folded, and a total stays in a register.  If it is a dim of the result,
then a whole row of totals is added to at once, and the loops over what is folded go around it, as
in the second rung of the ladder.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from mtlib.fusion.expressions import Load
from mtlib.fusion.graph import Node
from mtlib.fusion.tasks import Kernel, Task
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
    outer, around = _outer_loops(kernel, variables)
    nests: list[Nest] = []
    known: list[Loop] = []
    for level, tasks in _grouped(kernel):
        inner, within = _inner_loops(tasks, known, variables)
        known = list(dict.fromkeys([*known, *inner]))
        accesses = {}
        for task in tasks:
            for what, node, layout in _touched(task):
                strides = dict(zip(outer, around[task, what], strict=True))
                strides |= dict(zip(inner, within[what], strict=True))
                accesses[what] = Access(node, layout.offset, strides)
        nests.append(Nest(level, tasks, inner, accesses))
    lane = _lane(outer, nests)
    return LoopNest([loop for loop in outer if loop != lane], lane, nests)


def _outer_loops(kernel: Kernel, variables: Iterator[str]) -> tuple[list[Loop], dict]:
    """The loops around everything, in the order in which what is stored last lies in memory.

    And for each task and what it touches, the strides in these loops.
    """
    last = kernel.tasks[-1]
    steps = [last.target().strides[d] for d in last.outer]
    order = sorted(range(len(steps)), key=lambda o: -abs(steps[o]))
    strides = {
        (task, what): [layout.strides[task.outer[o]] for o in order]
        for task in kernel.tasks
        for what, _, layout in _touched(task)
    }
    sizes, collapsed = _collapsed([kernel.outer_sizes[o] for o in order], strides)
    return [Loop(next(variables), size) for size in sizes], collapsed


def _inner_loops(tasks: list[Task], known: list[Loop], variables: Iterator[str]):
    """The loops of a nest, in the order in which what moves most lies in memory.

    And for all that is touched, the strides in these loops.  Of the loops that are ``known`` from
    other nests, one of the same size can be written once more.
    """
    inner = tasks[0].inner
    strides = {
        what: [layout.strides[task.inner[d]] for d in range(len(inner))]
        for task in tasks
        for what, _, layout in _touched(task)
    }
    lead = max(strides.values(), key=lambda s: sum(x != 0 for x in s))
    order = sorted(range(len(inner)), key=lambda d: -abs(lead[d]))
    strides = {what: [s[d] for d in order] for what, s in strides.items()}
    sizes, collapsed = _collapsed([tasks[0].inner_sizes[d] for d in order], strides)
    loops: list[Loop] = []
    for size in sizes:
        same = [loop for loop in known if loop.size == size and loop not in loops]
        loops.append(same[0] if same else Loop(next(variables), size))
    return loops, collapsed


def _touched(task: Task) -> list[tuple[object, Node, Layout]]:
    """What a task loads and stores: (the load or the task, whose memory, where)."""
    loaded = [(x, x.node, x.layout) for x in task.loads]
    return [*loaded, (task, task.node, task.target())]


def _grouped(kernel: Kernel) -> list[tuple[int, list[Task]]]:
    """Tasks that can share a nest: those of one level that walk in the same way.

    A task's level is above that of every total it uses.
    """
    levels: dict[Node, int] = {}
    groups: dict[tuple, list[Task]] = {}
    for task in kernel.tasks:
        used = [levels[x.node] for x in task.loads if x.node in levels]
        levels[task.node] = level = 1 + max(used, default=-1)
        groups.setdefault((level, task.loops), []).append(task)
    return sorted(((key[0], tasks) for key, tasks in groups.items()), key=lambda pair: pair[0])


def _collapsed(sizes: list[int], strides: dict) -> tuple[Sequence[int], dict]:
    """As few sizes as the strides allow, and the strides in them."""
    if prod(sizes) == 1:
        return [], dict.fromkeys(strides, ())
    lengths, steps = collapse(tuple(sizes), *map(tuple, strides.values()))
    return lengths, dict(zip(strides, steps, strict=True))


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

"""Writing a kernel: from its loops to the text of a Python function.

A line is written as far outside as the loops it depends on allow.  An operation that is used once
is written where it is used; one that is used again, or that changes more slowly than what uses it,
gets a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod

import numpy as np

from mtlib.fusion.expressions import Apply, Load, Number, cost, parts
from mtlib.fusion.graph import Node
from mtlib.fusion.loops import Access, Loop, Nest, loop_nest
from mtlib.fusion.primitives import FOLDS, WRITTEN, namespace
from mtlib.fusion.schedule import Kernel, Task
from mtlib.kernels.jit import SMALL

INDENT = "    "
TIGHT = 9  # binds so tightly that no brackets are needed


@dataclass(frozen=True)
class Array:
    """An argument of a kernel: the part of a node's memory that one way of walking it reaches."""

    node: Node
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(eq=False)
class Source:
    """The text of a kernel, and what it has to be called with.

    The arguments are ``arrays``; for each node in ``partial``, room for a total of each part; then
    ``sizes``; then, if a loop is ``shared`` out in parts, how many there are.  A part of the loop
    may be ``widest`` turns long.  ``work`` is an estimate in scalar operations.
    """

    name: str
    text: str
    arrays: tuple[Array, ...]
    partial: tuple[Node, ...]
    sizes: tuple[int, ...]
    shared: Loop | None
    widest: int | None
    work: int
    reads: int
    writes: int


def write(kernel: Kernel, name: str) -> Source:
    """The source of ``kernel`` as a function ``name``."""
    return _Writer(kernel, name).write()


class _Writer:
    def __init__(self, kernel: Kernel, name: str) -> None:
        self.name = name
        self.labels = _labels(kernel)
        self.taken = {*namespace(range), *self.labels.values()}
        self.kernel = kernel
        self.nest = loop_nest(kernel, self.labels.values())
        if self.nest.lane is not None:  # then a total is an element of a row, in memory
            kernel.stored |= {task.node for task in kernel.folds}
        self.arrays: dict[Array, str] = {}
        self.partial: dict[Node, str] = {}
        self.elements: dict[str, str] = {}
        self.loops: dict[Loop, None] = {}
        self.lines: list[str] = []
        self.reads = self.writes = 0
        self.names: dict[object, tuple[str, int, int]] = {}
        self.walking: tuple = ()
        self.around = [*self.nest.outer, *([self.nest.lane] if self.nest.lane else [])]
        self.shared = self._shared()

    def _shared(self) -> Loop | None:
        """The loop that is shared out by hand; None where the first one can be left to ``each``.

        A single loop goes to the threads in pieces, each of which vectorises.
        """
        nest = self.nest
        if len(self.around) == 1 and (nest.lane or not any(n.inner for n in nest.nests)):
            return self.around[0]
        return None

    # --- Lines ------------------------------------------------------------------------------------

    def write(self) -> Source:
        nest, depth = self.nest, 1
        if self.shared is not None:
            depth = self._open_share(self.shared, depth)
        if len(nest.nests) == 1 and not self.kernel.folds:  # then nothing has to come in between
            self._walk(nest.nests[0], depth, nest.outer)
            return self._finished()
        for loop in nest.outer:
            depth = self._open(loop, depth)
        for part in nest.nests:
            size = prod(loop.size for loop in part.inner)
            if not self.around and size > SMALL and any(task.is_reduce for task in part.tasks):
                self._whole(part, depth)
            else:
                self._nest(part, depth)
        return self._finished()

    def _line(self, depth: int, text: str) -> None:
        self.lines.append(INDENT * depth + text)

    def _open(self, loop: Loop, depth: int) -> int:
        """Begin a loop; the depth inside it."""
        i = loop.variable
        self.loops[loop] = None
        if loop == self.shared:
            self._line(depth, f"for {i} in range({i}0, {i}1):")
        else:
            shared = self.shared is None and loop in self.nest.outer[:1]
            self._line(depth, f"for {i} in {'each' if shared else 'range'}(n{i}):")
        return depth + 1

    def _open_share(self, loop: Loop, depth: int) -> int:
        i = loop.variable
        self.loops[loop] = None
        self._line(depth, "for part in each(parts):")
        self._line(depth + 1, f"{i}0, {i}1 = share(n{i}, parts, part)")
        return depth + 1

    def _nest(self, part: Nest, depth: int) -> None:
        """The loops of one nest, with what has to come before and after them."""
        folds = [task for task in part.tasks if task.is_reduce]
        lane = self.nest.lane
        if folds and lane is not None:
            inside = self._open(lane, depth)
            for task in folds:
                self._line(inside, f"{self._place(part, task)} = {self._start(task)}")
        elif folds:
            for task in folds:
                self._line(depth, f"{self.labels[task.node]} = {self._start(task)}")
        self._walk(part, depth, [*part.inner, *([lane] if lane else [])])
        for task in folds:
            if lane is None and task.node in self.kernel.stored:
                self._line(depth, f"{self._place(part, task)} = {self.labels[task.node]}")

    def _whole(self, part: Nest, depth: int) -> None:
        """A fold of everything: each thread folds its share, then the shares are folded."""
        folds = [task for task in part.tasks if task.is_reduce]
        self.shared = part.inner[0]
        inside = self._open_share(self.shared, depth)
        for task in folds:
            self._line(inside, f"{self.labels[task.node]} = {self._start(task)}")
        self._walk(part, inside, part.inner)
        for task in folds:
            name = self.labels[task.node]
            self.partial[task.node] = f"{name}_of"
            self._line(inside, f"{name}_of[part] = {name}")
        for task in folds:
            name = self.labels[task.node]
            self._line(depth, f"{name} = {self._start(task)}")
            self._line(depth, "for part in range(parts):")
            self._line(depth + 1, f"{name} = {self._fold(task)}({name}, {name}_of[part])")
            if task.node in self.kernel.stored:
                self._line(depth, f"{self._place(part, task)} = {name}")

    def _walk(self, part: Nest, depth: int, loops: list[Loop]) -> None:
        """The loops, and in each the lines that depend on it and on no loop further inside."""
        if part.tasks[0].loops != self.walking:  # names of elements are of others here
            self.walking = part.tasks[0].loops
            self.names = {}
        self.writing = part
        self.order = loops
        self.pending: dict[int, list[str]] = {i: [] for i in range(len(loops) + 1)}
        self.uses = _uses(part.tasks)
        turns = prod(loop.size for loop in {*self.nest.outer, *loops})
        for task in part.tasks:
            value, _, _ = self._text(task.expression, self._level_of(task.expression))
            if not task.is_reduce:
                self.pending[len(loops)].append(f"{self._place(part, task)} = {value}")
                self.writes += turns
            else:
                place = self._place(part, task) if self.nest.lane else self.labels[task.node]
                self.pending[len(loops)].append(f"{place} = {self._fold(task)}({place}, {value})")
        for task in part.tasks:
            if task.is_reduce and task.node in self.kernel.stored:
                self.writes += prod(task.outer_sizes)
        for line in self.pending[0]:
            self._line(depth, line)
        for level, loop in enumerate(loops, 1):
            depth = self._open(loop, depth)
            for line in self.pending[level]:
                self._line(depth, line)
        # What was named inside these loops is not known outside them.
        self.names = {x: named for x, named in self.names.items() if named[2] == 0}

    # --- Expressions ------------------------------------------------------------------------------

    def _text(self, x, level: int) -> tuple[str, int, int]:
        """(text, binding, level): what computes ``x``, and inside how many loops it changes."""
        if x in self.names:
            return self.names[x]
        text, binding, own = self._written(x)
        repeats = self.uses[x] > 1 or own < level
        if repeats and not isinstance(x, Number) and not self._is_total(x):
            name = self._name(x)
            self.pending[own].append(f"{name} = {text}")
            text, binding = name, TIGHT
        self.names[x] = text, binding, own
        return self.names[x]

    def _written(self, x) -> tuple[str, int, int]:
        if isinstance(x, Number):
            return self._number(x.node.how, x.node.dtype), TIGHT, 0
        if isinstance(x, Load):
            if self._is_total(x):
                return self.labels[x.node], TIGHT, 0
            access = self.writing.accesses[x]
            level = self._level(access)
            if x.node not in self.kernel.made:
                self.reads += prod(loop.size for loop in {*self._around(), *self.order[:level]})
            return self._element(access), TIGHT, level
        written = WRITTEN[x.node.name]
        level = max((self._level_of(y) for y in x.operands), default=0)
        operands = []
        for place, y in enumerate(x.operands):
            text, binding, _ = self._text(y, level)
            right = place > 0 and x.node.name in ("sub", "div")
            loose = binding < written.binding or (right and binding == written.binding)
            operands.append(f"({text})" if loose and written.binding < TIGHT else text)
        if x.node.name == "div":
            operands[1] = self._divisor(x.operands[1], operands[1])
        text = written.template.format(*operands)
        narrow = x.node.dtype == np.float32 and (written.wide or x.node.name == "to")
        if narrow or x.node.name == "to":
            return f"{x.node.dtype}({text})", TIGHT, level
        return text, written.binding, level

    def _level_of(self, x) -> int:
        """Inside how many of the nest's loops ``x`` changes."""
        if x in self.names:
            return self.names[x][2]
        if isinstance(x, Load):
            return 0 if self._is_total(x) else self._level(self.writing.accesses[x])
        return max((self._level_of(y) for y in getattr(x, "operands", ())), default=0)

    def _level(self, access: Access) -> int:
        moving = [i for i, loop in enumerate(self.order, 1) if access.strides.get(loop, 0) != 0]
        return max(moving, default=0)

    def _around(self) -> list[Loop]:
        """The loops around those of the nest that is being written."""
        return [loop for loop in self.nest.outer if loop not in self.order]

    def _is_total(self, x) -> bool:
        """Whether ``x`` is a total of this kernel, in a register."""
        loaded = isinstance(x, Load) and x.node in self.kernel.made
        return loaded and self.nest.lane is None

    def _name(self, x) -> str:
        if isinstance(x, Apply):
            return self.labels[x.node]
        access = self.writing.accesses[x]
        variables = "".join(loop.variable for loop, _ in access.walked())
        name = f"{self.arrays[_array(access)]}_{variables or 0}"
        if name not in self.elements:
            self.elements[name] = self._free(name)
        return self.elements[name]

    def _free(self, name: str) -> str:
        """``name``, or if that is taken one like it."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _element(self, access: Access) -> str:
        """``x[i, j]`` for what the loops are at."""
        array = _array(access)
        if array not in self.arrays:
            name = self.labels[access.node]
            others = sum(a.node is access.node for a in self.arrays)
            if access.node in {t.node for t in self.kernel.folds} and self.nest.lane is None:
                name = self._free(f"{name}_out")  # the plain name is that of the total
            elif others:
                name = self._free(f"{name}_{others}")
            self.arrays[array] = name
        variables = ", ".join(loop.variable for loop, _ in access.walked())
        return f"{self.arrays[array]}[{variables or 0}]"

    def _place(self, part: Nest, task: Task) -> str:
        return self._element(part.accesses[task])

    def _start(self, task: Task) -> str:
        return self._number(float(FOLDS[task.node.name][0]), task.node.dtype)

    def _fold(self, task: Task) -> str:
        return f"fold_{FOLDS[task.node.name][1]}"

    def _number(self, value: float, dtype) -> str:
        text = repr(value) if isfinite(value) else str(value)
        return f"float32({text})" if dtype == np.float32 else text

    def _divisor(self, x, text: str) -> str:
        """``text`` so that dividing by it gives infinity in plain Python too if it is 0."""
        zero = isinstance(x, Number) and x.node.how == 0
        return f"{x.node.dtype}(0.0)" if zero else text

    # --- All of it --------------------------------------------------------------------------------

    def _finished(self) -> Source:
        shared_by_hand = any("parts" in line for line in self.lines)
        sizes = [*(f"n{loop.variable}" for loop in self.loops), *(["parts"] * shared_by_hand)]
        arguments = [*self.arrays.values(), *self.partial.values(), *sizes]
        head = f"def {self.name}({', '.join(arguments)}):"
        work = sum(prod(t.space) * max(1, cost(t.expression)) for t in self.kernel.tasks)
        return Source(
            self.name,
            "\n".join([head, *self.lines]) + "\n",
            tuple(self.arrays),
            tuple(self.partial),
            tuple(loop.size for loop in self.loops),
            self.shared if shared_by_hand else None,
            1024 if self.nest.lane is not None else None,
            work,
            self.reads,
            self.writes,
        )


def _array(access: Access) -> Array:
    walked = access.walked()
    sizes, strides = tuple(loop.size for loop, _ in walked), tuple(s for _, s in walked)
    return Array(access.node, access.offset, sizes, strides)


def _labels(kernel: Kernel) -> dict[Node, str]:
    """A name for all that the kernel names, different from what its source names already."""
    taken = {*namespace(range), "part", "parts", "range"}
    nodes = {x.node for t in kernel.tasks for x in parts(t.expression)} | kernel.made
    labels = {}
    for node in sorted(nodes, key=lambda node: node.number):
        labels[node] = node.label
        while labels[node] in taken:
            labels[node] += "_"
        taken.add(labels[node])
    return labels


def _uses(tasks: list[Task]) -> dict:
    """How often each part of the tasks' expressions is used by another."""
    uses: dict[object, int] = {}
    waiting = [task.expression for task in tasks]
    while waiting:
        x = waiting.pop()
        uses[x] = uses.get(x, 0) + 1
        if uses[x] == 1:
            waiting += getattr(x, "operands", ())
    return uses

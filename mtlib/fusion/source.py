"""Writing a kernel: from its loops to the text of a Python function."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mtlib.fusion.expressions import cost
from mtlib.fusion.loops import Loop, Nest, loop_nest
from mtlib.fusion.primitives import FOLDS
from mtlib.fusion.tasks import Kernel, Task
from mtlib.fusion.wording import Array, Wording
from mtlib.kernels import jit
from mtlib.kernels.functions.folds import BLOCK

INDENT = "    "
ROWS = 128  # that are folded one after the other
WIDEST = 1024  # totals that are added to at once: few enough to stay in the first-level cache


@dataclass(eq=False)
class Source:
    """The text of a kernel, and what it has to be called with.

    The arguments are ``arrays``; for each dtype in ``partial``, room for a total of each part; then
    ``sizes``; then, if the loop ``shared`` is dealt out in parts, how many there are.  A part may
    be ``widest`` turns long.  ``work`` is an estimate in scalar operations; ``reads`` and
    ``writes`` are in elements.
    """

    name: str
    text: str
    arrays: tuple[Array, ...]
    partial: tuple[np.dtype, ...]
    sizes: tuple[int, ...]
    shared: Loop | None
    widest: int | None
    work: int
    reads: int
    writes: int


def write(kernel: Kernel, name: str) -> Source:
    """The source of ``kernel`` as a function ``name``."""
    writer = _Writer(kernel)
    writer.write()
    names = [*writer.words.arrays.values(), *writer.partial]
    sizes = [f"n{loop.variable}" for loop in writer.loops]
    parts = ["parts"] if writer.shared else []
    head = f"def {name}({', '.join([*names, *sizes, *parts])}):"
    return Source(
        name=name,
        text="\n".join([head, *writer.lines]),
        arrays=tuple(writer.words.arrays),
        partial=tuple(writer.partial.values()),
        sizes=tuple(loop.size for loop in writer.loops),
        shared=writer.shared,
        widest=WIDEST if writer.lane else None,
        work=sum(prod(t.space) * max(1, cost(t.expression)) for t in kernel.tasks),
        reads=writer.words.reads,
        writes=writer.writes,
    )


class _Writer:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        nest = loop_nest(kernel)
        self.outer, self.lane, self.nests = nest.outer, nest.lane, nest.nests
        folded = {task.node for task in kernel.folds}
        if self.lane is not None:  # then totals are elements of a row, in memory
            kernel.stored |= folded
        self.words = Wording(kernel, folded if self.lane is None else set())
        self.partial: dict[str, np.dtype] = {}
        self.totals: dict[Task, str] = {}
        self.others: dict[tuple[Task, str], str] = {}
        self.loops: dict[Loop, None] = {}
        self.lines: list[str] = []
        self.writes = 0
        # A single loop is dealt out to the threads in parts, each of which vectorises; of several
        # the first can be left to ``each``.
        around = [*self.outer, *([self.lane] if self.lane else [])]
        alone = len(around) == 1 and (self.lane or not any(nest.inner for nest in self.nests))
        self.shared = self.dealt = around[0] if alone else None

    def write(self) -> None:
        depth = self._open_parts(1) if self.shared else 1
        if len(self.nests) == 1 and not self.kernel.folds:  # nothing has to come in between
            self._walk(self.nests[0], self.outer, depth)
            return
        for loop in self.outer:
            depth = self._open(loop, depth)
        for nest in self.nests:
            folds = [task for task in nest.tasks if task.is_reduce]
            large = prod(loop.size for loop in nest.inner) > jit.SMALL
            if folds and large and not self.outer and not self.lane:
                self._fold_everything(nest, folds, depth)
            elif folds and self.lane:
                inside = self._open(self.lane, depth)
                for task in folds:
                    self._line(inside, f"{self._place(nest, task)} = {self._start(task)}")
                for task in folds:
                    if self._is_long(nest, task):
                        self._line(depth, f"{self._lost(task)} = {self._zeros(task)}")
                self._walk(nest, [*nest.inner, self.lane], depth)
            else:
                self._fold_in_registers(nest, folds, depth)

    def _fold_in_registers(self, nest: Nest, folds: list[Task], depth: int) -> None:
        self._begin(nest, folds, depth)
        self._walk(nest, [*nest.inner, *([self.lane] if self.lane else [])], depth)
        for task in folds:
            self._folded(nest, task, depth)

    def _fold_everything(self, nest: Nest, folds: list[Task], depth: int) -> None:
        """Each thread folds its part, then the totals of the parts are folded."""
        self.shared = self.dealt = nest.inner[0]
        inside = self._open_parts(depth)
        self._begin(nest, folds, inside)
        self._walk(nest, nest.inner, inside)
        self.dealt = None
        self.words.forget()  # each thread has names of its own inside the loop over parts
        totals = {task: self.words.free(f"{self._total(task)}_of") for task in folds}
        for task, of_parts in totals.items():
            self.partial[of_parts] = _accumulator(task)
            self._line(inside, f"{of_parts}[part] = {self._total(task)}")
        for task, of_parts in totals.items():
            total = self._total(task)
            self._line(depth, f"{total} = {self._start(task)}")
            self._line(depth, "for part in range(parts):")
            self._line(depth + 1, f"{total} = {self._fold(task)}({total}, {of_parts}[part])")
            self._folded(nest, task, depth)

    def _begin(self, nest: Nest, folds: list[Task], depth: int) -> None:
        for task in folds:
            self._line(depth, f"{self._total(task)} = {self._start(task)}")
            if self._is_long(nest, task):
                self._line(depth, f"{self._lost(task)} = {self._start(task)}")

    def _folded(self, nest: Nest, task: Task, depth: int) -> None:
        """What is to be done with a total that is complete."""
        label = self.words.labels[task.node]
        if label != self._total(task):
            self._line(depth, f"{label} = {task.node.dtype}({self._total(task)})")
        if task.node in self.kernel.stored:
            self._line(depth, f"{self._place(nest, task)} = {label}")

    def _walk(self, nest: Nest, loops: list[Loop], depth: int) -> None:
        """The loops, and in each the lines that depend on it and on no loop further inside."""
        around = prod(loop.size for loop in self.outer if loop not in loops)
        lines, values = self.words.values(nest, loops, around)
        before: list[str] = []  # and after the loop over a block
        after: list[str] = []
        for task, value in zip(nest.tasks, values, strict=True):
            if not task.is_reduce:
                lines[-1].append(f"{self._place(nest, task)} = {value}")
                self.writes += around * prod(loop.size for loop in loops)
                continue
            self.writes += prod(task.outer_sizes) if task.node in self.kernel.stored else 0
            total = self._place(nest, task) if self.lane else self._total(task)
            if self._is_long(nest, task):
                lost = self._lost(task)
                if self.lane:
                    i = self.lane.variable
                    lost += f"[{i} - {i}0]" if self.lane == self.dealt else f"[{i}]"
                    value = f"add_block({total}, {lost}, {value})"
                    lines[-1].append(f"{total}, {lost} = {value}")
                    continue
                part = self._beside(task, "part")
                before.append(f"{part} = {self._start(task)}")
                after.append(f"{total}, {lost} = add_block({total}, {lost}, {part})")
                total = part
            lines[-1].append(f"{total} = {self._fold(task)}({total}, {value})")
        for line in lines[0]:
            self._line(depth, line)
        for loop, inside in zip(loops, lines[1:], strict=True):
            if before and loop == loops[-1]:
                depth = self._open_block(loop, before, depth)
                closing = depth - 1
            else:
                depth = self._open(loop, depth)
            for line in inside:
                self._line(depth, line)
        for line in after:
            self._line(closing, line)

    # --- Lines ------------------------------------------------------------------------------------

    def _line(self, depth: int, text: str) -> None:
        self.lines.append(INDENT * depth + text)

    def _open(self, loop: Loop, depth: int) -> int:
        """Begin a loop; the depth inside it."""
        i = loop.variable
        self.loops[loop] = None
        if loop == self.dealt:
            self._line(depth, f"for {i} in range({i}0, {i}1):")
        else:
            each = "each" if loop in self.outer[:1] and not self.shared else "range"
            self._line(depth, f"for {i} in {each}(n{i}):")
        return depth + 1

    def _open_block(self, loop: Loop, before: list[str], depth: int) -> int:
        """Begin a loop whose turns are taken in blocks, ``before`` each of them."""
        i = loop.variable
        ends = (f"{i}0", f"{i}1") if loop == self.dealt else ("0", f"n{i}")
        if loop.size > BLOCK:
            first = self.words.free(f"{i}_first")
            self._line(depth, f"for {first} in blocks({', '.join(ends)}):")
            depth += 1
        for line in before:
            self._line(depth, line)
        if loop.size <= BLOCK:
            return self._open(loop, depth)
        self.loops[loop] = None
        self._line(depth, f"for {i} in block({first}, {ends[1]}):")
        return depth + 1

    def _open_parts(self, depth: int) -> int:
        """Begin a loop over parts of the shared one."""
        i = self.shared.variable
        self.loops[self.shared] = None
        self._line(depth, "for part in each(parts):")
        self._line(depth + 1, f"{i}0, {i}1 = share(n{i}, parts, part)")
        return depth + 1

    def _place(self, nest: Nest, task: Task) -> str:
        return self.words.element(nest.accesses[task])

    def _total(self, task: Task) -> str:
        """The number in which a fold is collected."""
        if task not in self.totals:
            label = self.words.labels[task.node]
            wide = _accumulator(task) != task.node.dtype
            self.totals[task] = self.words.free(f"{label}_wide") if wide else label
        return self.totals[task]

    def _is_long(self, nest: Nest, task: Task) -> bool:
        """Whether a fold of ``nest`` is a sum so long that rounding errors would add up."""
        adds = FOLDS[task.node.name][1] == "add"
        wide = self.lane is None and _accumulator(task) != task.node.dtype
        turns = prod(loop.size for loop in nest.inner)
        return adds and not wide and turns > (ROWS if self.lane else BLOCK)

    def _lost(self, task: Task) -> str:
        """What rounding took away from a total."""
        return self._beside(task, "lost")

    def _beside(self, task: Task, what: str) -> str:
        """The name of another number that a fold needs."""
        if (task, what) not in self.others:
            self.others[task, what] = self.words.free(f"{self.words.labels[task.node]}_{what}")
        return self.others[task, what]

    def _zeros(self, task: Task) -> str:
        """A row of what is lost, a number for each turn of the lane that is dealt out here."""
        i = self.lane.variable
        turns = f"{i}1 - {i}0" if self.lane == self.dealt else f"n{i}"
        return f"zeros({turns}, {task.node.dtype})"

    def _start(self, task: Task) -> str:
        value = float(FOLDS[task.node.name][0])
        if self.lane is None and _accumulator(task) != task.node.dtype:
            return f"float64({value})"
        return self.words.number(value, task.node.dtype)

    def _fold(self, task: Task) -> str:
        return f"fold_{FOLDS[task.node.name][1]}"


def _accumulator(task: Task) -> np.dtype:
    """The dtype in which a number is folded.

    Many float32 numbers are added up in float64.  Each of the compiler's few totals is added to one
    after the other, so its error would grow with the length.  A long sum of float64 is cut into
    blocks, and what rounding takes away from their total is kept beside it.  So it is for each
    number of a row of totals, of either dtype.
    """
    adds = FOLDS[task.node.name][1] in ("add", "mul")
    return np.dtype(np.float64) if adds else task.node.dtype

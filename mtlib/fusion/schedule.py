"""Deciding what becomes one kernel, and what has to lie in memory between kernels.

Elementwise operations and views need nothing: they are computed where they are used.  What is left
are *tasks*, each a loop nest: one for every reduction, and one for everything that has to be
stored.  Tasks are put into one kernel where that saves a journey through memory:

- a reduction and what uses its totals, if the user walks the same outer loop.  Each total is then a
  number in a register, used as soon as it is known (softmax: the largest, the sum and the quotients
  of a row while the row is close by);
- tasks that walk the same loops and load the same elements.

A kernel must not need, by way of another kernel, what it makes itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import prod

from mtlib.fusion.expressions import (
    Apply,
    Expressions,
    Load,
    NeedsStorage,
    Number,
    applied,
    cost,
    in_order,
    loads,
)
from mtlib.fusion.graph import Graph, Node
from mtlib.kernels.jit import SMALL
from mtlib.layout import Layout, Shape, index


@dataclass(eq=False)
class Task:
    """One loop nest: ``expression`` at every place of ``space``, stored or folded.

    ``outer`` are the dims of the space that walk the elements of the result, in the order in which
    its kernel walks them; ``inner`` are the others.  Dims of size 1 are in neither.
    """

    node: Node
    expression: object
    space: Shape
    outer: tuple[int, ...]
    inner: tuple[int, ...]

    @property
    def is_reduce(self) -> bool:
        return self.node.kind == "reduce"

    @property
    def loops(self) -> tuple:
        """What tells how it walks: tasks for which this is the same can share their loops."""
        return self.space, self.outer, self.inner

    @property
    def outer_sizes(self) -> Shape:
        return tuple(self.space[d] for d in self.outer)

    @property
    def inner_sizes(self) -> Shape:
        return tuple(self.space[d] for d in self.inner)

    def target(self) -> Layout:
        """Where in the memory of the node each turn of the loops has its result.

        The turns of a fold have the same place, so there the strides are 0.
        """
        node = self.node
        if node.kind == "scatter":
            return index(node.layout, node.how[1])
        if not self.is_reduce:
            return node.layout
        strides = list(node.layout.strides)
        if len(strides) < len(self.space):  # the folded dims were dropped
            for d in node.how:
                strides.insert(d, 0)
        steps = [0 if d in node.how else step for d, step in enumerate(strides)]
        return Layout(self.space, tuple(steps), 0)


@dataclass(eq=False)
class Kernel:
    """Tasks that share their outer loops, each after those it needs.

    ``stored`` is what leaves the kernel.
    """

    tasks: list[Task]
    stored: frozenset[Node] = frozenset()

    @property
    def outer_sizes(self) -> Shape:
        return self.tasks[0].outer_sizes

    @property
    def made(self) -> set[Node]:
        return {task.node for task in self.tasks}

    @property
    def folds(self) -> list[Task]:
        return [task for task in self.tasks if task.is_reduce]

    @property
    def needed(self) -> set[Node]:
        """What the tasks load that is not made here."""
        return {load.node for task in self.tasks for load in loads(task.expression)} - self.made


@dataclass(eq=False)
class Call:
    """An operation that has a kernel of its own."""

    node: Node

    @property
    def made(self) -> set[Node]:
        return {self.node}

    @property
    def needed(self) -> set[Node]:
        return {source(a) for a in self.node.args}


@dataclass(frozen=True, eq=False)
class Schedule:
    """The steps of a program in order, and why something lies in memory between them."""

    graph: Graph
    steps: tuple[Kernel | Call, ...]
    reasons: dict[Node, str]

    def __str__(self) -> str:
        """A line for each step: what it makes, from what, and what is fused into it.

        >>> import mtlib
        >>> f = mtlib.fuse(lambda x: (x * x).sum(1))
        >>> _ = f(mtlib.ones(2, 3))
        >>> print(f.schedule)
        1. kernel: x -> sum2, with mul1 fused in
        """
        lines = []
        for number, step in enumerate(self.steps, 1):
            needed = [n.label for n in self.graph.nodes if n in step.needed]
            if isinstance(step, Call):
                lines.append(
                    f"{number}. call {step.node.name}: {', '.join(needed)} -> {step.node.label}"
                )
                continue
            stored = [n.label for n in self.graph.nodes if n in step.stored]
            inside = [n.label for n in self.graph.nodes if n in fused_into(step)]
            line = f"{number}. kernel: {', '.join(needed)} -> {', '.join(stored)}"
            lines.append(line + (f", with {', '.join(inside)} fused in" if inside else ""))
        return "\n".join(lines)


def source(node: Node) -> Node:
    """What lies in memory where ``node`` is looked at: itself, or what it is a view of."""
    while node.kind == "view":
        node = node.args[0]
    return node


def fused_into(kernel: Kernel) -> set[Node]:
    """The operations of a kernel whose results never leave it."""
    computed = {x.node for task in kernel.tasks for x in applied(task.expression)}
    return (computed | kernel.made) - kernel.stored


def schedule(graph: Graph, kept: Collection[Node] = ()) -> Schedule:
    """The kernels for ``graph``; ``kept`` are outputs that are there only for backward.

    Raises :class:`NeedsStorage` if an input does not lie such that the views of it are possible.
    """
    reasons = _required(graph, kept)
    while True:
        try:
            steps = _Steps(graph, reasons)
        except NeedsStorage as need:
            if need.node in graph.inputs:
                raise
            reasons[need.node] = "a view of it needs its elements in order"
            continue
        if (node := steps.better_stored()) is None:
            return Schedule(graph, steps.in_order(), reasons)
        reasons[node] = "storing it costs less than computing it again"


def _required(graph: Graph, kept: Collection[Node]) -> dict[Node, str]:
    """What has to lie in memory whatever the kernels are, and why."""
    reasons = {}
    for node in graph.nodes:
        if node in graph.inputs:
            continue
        if node.kind == "call":
            reasons[node] = "an operation with a kernel of its own makes it"
            for arg in node.args:
                reasons.setdefault(source(arg), f"{node.name} reads it")
        elif node.kind == "scatter":
            reasons[node] = "most of it is zeros"
    for node in graph.outputs:
        reasons[source(node)] = "backward needs it" if node in kept else "it is a result"
    return {n: why for n, why in reasons.items() if n not in graph.inputs}


class _Steps:
    """Tasks on their way into kernels."""

    def __init__(self, graph: Graph, stored: Iterable[Node]) -> None:
        self.graph = graph
        self.expressions = Expressions({*graph.inputs, *stored})
        self.stored = set(stored)
        self.steps: dict[Node, Kernel | Call] = {}  # by what they make
        self.tasks: dict[Node, Task] = {}
        for node in graph.nodes:
            if node in graph.inputs:
                continue
            if node.kind == "call":
                self.steps[node] = Call(node)
            elif node.kind == "reduce" or node in self.stored:
                self.tasks[node] = task = self._task(node)
                self.steps[node] = Kernel([task])
        self._join_users()
        self._join_siblings()

    def _task(self, node: Node) -> Task:
        if node.kind in ("reduce", "scatter"):
            (arg,) = node.args
            expression, space = self.expressions.of(arg), arg.shape
        elif node.kind == "constant":
            expression, space = Number(node), node.shape
        else:
            operands = tuple(self.expressions.of(a) for a in node.args)
            expression, space = Apply(node, operands), node.shape
        folded = node.how if node.kind == "reduce" else ()
        dims = [d for d in range(len(space)) if space[d] != 1]
        outer = tuple(d for d in dims if d not in folded)
        return Task(node, expression, space, outer, tuple(d for d in dims if d in folded))

    def _join_users(self) -> None:
        """Put each reduction and those that use its totals into one kernel, where they fit."""
        for node in list(self.tasks):
            if node.kind != "reduce":
                continue
            for user in list(self.tasks.values()):
                found = [x for x in loads(user.expression) if x.node is node]
                if not found:
                    continue
                kernel, other = self.steps[node], self.steps[user.node]
                if kernel is other:
                    continue
                places = {_same_outer(self.tasks[node], load.layout) for load in found}
                if len(places) == 1 and (outer := places.pop()) is not None:
                    self._join(kernel, other, user, outer)

    def _join(self, kernel: Kernel, other: Kernel, user: Task, outer: tuple[int, ...]) -> None:
        """Join the kernels if ``user`` can walk ``outer`` as its outer loops."""
        if not outer and prod(user.space) > SMALL:
            return  # threads share out one fold of everything, not what comes after it
        before = user.outer, user.inner
        if user.outer != outer:
            if len(other.tasks) > 1 or (user.is_reduce and set(user.outer) != set(outer)):
                return
            dims = [d for d in range(len(user.space)) if user.space[d] != 1]
            user.outer, user.inner = outer, tuple(d for d in dims if d not in outer)
        if self._can_merge(kernel, other):
            self._merge(kernel, other)
        else:
            user.outer, user.inner = before

    def _join_siblings(self) -> None:
        """Put tasks that walk the same loops and load the same elements into one kernel."""
        kernels = [s for s in dict.fromkeys(self.steps.values()) if isinstance(s, Kernel)]
        for i, kernel in enumerate(kernels):
            for other in kernels[:i]:
                alive = all(self.steps[x.tasks[0].node] is x for x in (kernel, other))
                loops = {t.loops for t in kernel.tasks + other.tasks}
                shared = _elements(kernel) & _elements(other)
                if alive and len(loops) == 1 and shared and self._can_merge(other, kernel):
                    self._merge(other, kernel)

    def _can_merge(self, a: Kernel, b: Kernel) -> bool:
        """Whether one kernel can do the work of both.

        No third step may have to run between them.  And what one task makes another can use within
        the kernel only if it is a total, and the one that was just added up.
        """
        tasks = a.tasks + b.tasks
        made = {task.node for task in tasks}
        for task in tasks:
            for load in loads(task.expression):
                if load.node in made:
                    maker = self.tasks[load.node]
                    if not maker.is_reduce or _same_outer(maker, load.layout) != task.outer:
                        return False
        return not self._between(a, b) and not self._between(b, a)

    def _merge(self, first: Kernel, second: Kernel) -> None:
        first.tasks += second.tasks
        for node in second.made:
            self.steps[node] = first

    def _between(self, first, last) -> bool:
        """Whether ``last`` needs, by way of another step, what ``first`` makes."""
        waiting = [s for s in self._before(last) if s is not first]
        seen = set(waiting)
        while waiting:
            step = waiting.pop()
            for earlier in self._before(step):
                if earlier is first:
                    return True
                if earlier not in seen:
                    seen.add(earlier)
                    waiting.append(earlier)
        return False

    def _before(self, step) -> list:
        found = (self.steps.get(node) for node in step.needed)
        return list(dict.fromkeys(s for s in found if s is not None and s is not step))

    def better_stored(self) -> Node | None:
        """An elementwise result that several kernels compute, or one many times over, at a cost
        above that of storing it once and loading it where it is used."""
        best, most = None, 0
        for node, turns in self._computed().items():
            size, walks = prod(node.shape), sum(turns.values())
            if walks <= size or node in self.stored:
                continue
            each = cost(self.expressions.of(node))
            saved = walks * each - (size * each + size + walks)
            if each > 1 and saved > most:
                best, most = node, saved
        return best

    def _computed(self) -> dict[Node, dict[Kernel, int]]:
        """How often each operation is computed, in each kernel that does.

        Within a kernel the elements are close by, so only its longest walk counts.
        """
        turns: dict[Node, dict[Kernel, int]] = {}
        for task in self.tasks.values():
            kernel, dims = self.steps[task.node], {}
            for x in in_order([task.expression]):
                dims[x] = set().union(*(dims[y] for y in getattr(x, "operands", ())))
                if isinstance(x, Load):
                    pairs = enumerate(zip(x.layout.shape, x.layout.strides, strict=True))
                    dims[x] = {d for d, (n, step) in pairs if n != 1 and step != 0}
                if isinstance(x, Apply):
                    outside = dims[x] <= set(task.outer)
                    walk = prod(task.outer_sizes) if outside else prod(task.space)
                    found = turns.setdefault(x.node, {})
                    found[kernel] = max(found.get(kernel, 0), walk)
        return turns

    def in_order(self) -> tuple[Kernel | Call, ...]:
        """The steps, each after those whose results it needs."""
        order: dict = {}

        def visit(step) -> None:
            if step in order:
                return
            for earlier in self._before(step):
                visit(earlier)
            order[step] = None

        for step in dict.fromkeys(self.steps.values()):
            visit(step)
        steps = tuple(order)
        wanted = self.stored.union(*(step.needed for step in steps))
        for step in steps:
            if isinstance(step, Kernel):
                rank = {node: i for i, node in enumerate(self.graph.nodes)}
                step.tasks.sort(key=lambda task: rank[task.node])
                step.stored = frozenset(step.made & wanted)
        return steps


def _same_outer(reduce: Task, layout: Layout) -> tuple[int, ...] | None:
    """The dims of a loop nest that walk the totals of ``reduce`` as it makes them, if they do.

    ``layout`` says which total each turn loads.
    """
    target, outer = reduce.target(), []
    walked = [(d, n, s) for d, (n, s) in enumerate(zip(layout.shape, layout.strides, strict=True))]
    for d in reduce.outer:
        wanted = (target.shape[d], target.strides[d])
        fitting = [e for e, n, s in walked if (n, s) == wanted and e not in outer]
        if not fitting:
            return None
        outer.append(fitting[0])
    rest = [s for e, n, s in walked if e not in outer and n != 1]
    return tuple(outer) if layout.offset == 0 and not any(rest) else None


def _elements(kernel: Kernel) -> set:
    return {(x.node, x.layout) for task in kernel.tasks for x in loads(task.expression)}

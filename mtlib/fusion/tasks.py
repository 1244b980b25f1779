"""What there is to do: loop nests, and the kernels that they are put into."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mtlib.fusion.expressions import Load, applied, loads
from mtlib.fusion.graph import Node, source
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

    @cached_property
    def loads(self) -> list[Load]:
        """What its expression loads."""
        return loads(self.expression)

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
        return {load.node for task in self.tasks for load in task.loads} - self.made


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


def fused_into(kernel: Kernel) -> set[Node]:
    """The operations of a kernel whose results never leave it."""
    computed = {x.node for task in kernel.tasks for x in applied(task.expression)}
    return (computed | kernel.made) - kernel.stored


def same_outer(reduce: Task, layout: Layout) -> tuple[int, ...] | None:
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

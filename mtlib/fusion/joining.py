"""Putting tasks into one kernel where that saves a journey through memory.

- A reduction and what uses its totals, if the user walks the same outer loop.  Each total is then a
  number in a register, used as soon as it is known (softmax: the largest, the sum and the quotients
  of a row while the row is close by).
- Tasks that walk the same loops and load the same elements.

A kernel must not need, by way of another step, what it makes itself.
"""

from __future__ import annotations

from collections.abc import Iterable
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
)
from mtlib.fusion.graph import Graph, Node
from mtlib.fusion.tasks import Call, Kernel, Task, same_outer
from mtlib.kernels import jit


class Steps:
    """The steps that make ``graph``, if ``stored`` is what lies in memory between them."""

    def __init__(self, graph: Graph, stored: Iterable[Node]) -> None:
        self.graph = graph
        self.expressions = Expressions({*graph.inputs, *stored})
        self.stored = set(stored)
        self.steps: dict[Node, Kernel | Call] = {}  # by what they make
        self.tasks: dict[Node, Task] = {}
        # Sets of steps, as the bits of a number: what each consists of, and what has to run before.
        self._parts: dict[Kernel | Call, int] = {}
        self._earlier: dict[Kernel | Call, int] = {}
        needs: list[Node] = []
        for node in graph.nodes:
            if node in graph.inputs:
                continue
            if node.kind == "call":
                self.steps[node] = Call(node)
            elif node.kind == "reduce" or node in self.stored:
                try:
                    self.tasks[node] = task = self._task(node)
                except NeedsStorage as need:
                    needs += need.nodes
                else:
                    self.steps[node] = Kernel([task])
        if needs:
            raise NeedsStorage(*needs)
        for number, step in enumerate(self.steps.values()):
            if isinstance(step, Call):
                self._look_at(step.node.args)
            self._parts[step], self._earlier[step] = 1 << number, 0
            for earlier in self._before(step):
                self._earlier[step] |= self._parts[earlier] | self._earlier[earlier]
        self._look_at(graph.outputs)
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

    def _look_at(self, nodes: Iterable[Node]) -> None:
        """Make sure that the views of memory that are looked at from outside are possible."""
        for node in nodes:
            self.expressions.of(node)

    def _join_users(self) -> None:
        """Put each reduction and those that use its totals into one kernel, where they fit."""
        users: dict[Node, dict[Task, list[Load]]] = {}
        for task in self.tasks.values():
            for load in task.loads:
                users.setdefault(load.node, {}).setdefault(task, []).append(load)
        for node, task in self.tasks.items():
            for user, found in users.get(node, {}).items() if task.is_reduce else ():
                kernel, other = self.steps[node], self.steps[user.node]
                if kernel is other:
                    continue
                places = {same_outer(task, load.layout) for load in found}
                if len(places) == 1 and (outer := places.pop()) is not None:
                    self._join(kernel, other, user, outer)

    def _join(self, kernel: Kernel, other: Kernel, user: Task, outer: tuple[int, ...]) -> None:
        """Join the kernels if ``user`` can walk ``outer`` as its outer loops."""
        if not outer and prod(user.space) > jit.SMALL:
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
        alike: dict[tuple, dict[Kernel, set]] = {}  # by their loops, with what they load
        for kernel in dict.fromkeys(self.steps.values()):
            if isinstance(kernel, Call) or len({task.loops for task in kernel.tasks}) > 1:
                continue
            loaded = {(x.node, x.layout) for task in kernel.tasks for x in task.loads}
            others = alike.setdefault(kernel.tasks[0].loops, {})
            for other, elements in others.items():
                if loaded & elements and self._can_merge(other, kernel):
                    self._merge(other, kernel)
                    elements |= loaded
                    break
            else:
                others[kernel] = loaded

    def _can_merge(self, a: Kernel, b: Kernel) -> bool:
        """Whether one kernel can do the work of both.

        No third step may have to run between them.  And what one task makes another can use within
        the kernel only if it is a total, and the one that was just added up.
        """
        for kernel, other in ((a, b), (b, a)):
            pairs = ((task, load) for task in kernel.tasks for load in task.loads)
            for task, load in pairs:
                if self.steps.get(load.node) is other:
                    maker = self.tasks[load.node]
                    if not maker.is_reduce or same_outer(maker, load.layout) != task.outer:
                        return False
        return not self._between(a, b) and not self._between(b, a)

    def _merge(self, first: Kernel, second: Kernel) -> None:
        first.tasks += second.tasks
        for node in second.made:
            self.steps[node] = first
        parts = self._parts[first] | self._parts.pop(second)
        earlier = (self._earlier[first] | self._earlier.pop(second)) & ~parts
        self._parts[first], self._earlier[first] = parts, earlier
        for step, before in self._earlier.items():
            if before & parts:
                self._earlier[step] = before | parts | earlier

    def _between(self, first, last) -> bool:
        """Whether ``last`` needs, by way of another step, what ``first`` makes."""
        others = (step for step in self._before(last) if step is not first)
        return any(self._earlier[step] & self._parts[first] for step in others)

    def _before(self, step) -> list:
        found = (self.steps.get(node) for node in step.needed)
        return list(dict.fromkeys(s for s in found if s is not None and s is not step))

    def better_stored(self) -> list[Node]:
        """Elementwise results that several kernels compute, or one many times over, at a cost above
        that of storing them once and loading them where they are used.

        Each changes what those inside of it and around it cost.  So of these only the best is here,
        and what saves even if it is computed for the best once and no more where the best was.
        """
        turns = self._computed()
        each: dict[Node, int] = {}
        savings: dict[Node, int] = {}
        for node, found in turns.items():
            walks = sum(found.values())
            if walks <= prod(node.shape) or node in self.stored:
                continue
            each[node] = cost(self.expressions.of(node))
            if each[node] > 1 and (saved := _saved(node, each[node], walks)) > 0:
                savings[node] = saved
        best: dict[Node, set[Node]] = {}  # with what is computed for each
        for node in sorted(savings, key=savings.get, reverse=True):
            computed = {x.node for x in applied(self.expressions.of(node))}
            if not computed.isdisjoint(best):
                continue
            around = [x for x, inside in best.items() if node in inside]
            there = set().union(*(turns[x] for x in around))
            walks = sum(n for kernel, n in turns[node].items() if kernel not in there)
            if not around or _saved(node, each[node], walks + prod(node.shape)) > 0:
                best[node] = computed
        return list(best)

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
        order: dict[Kernel | Call, None] = {}
        waiting = list(dict.fromkeys(reversed(self.steps.values())))
        while waiting:
            step = waiting.pop()
            earlier = [s for s in self._before(step) if s not in order]
            if step not in order and earlier:
                waiting += [step, *earlier]
            else:
                order[step] = None
        wanted = self.stored.union(*(step.needed for step in order))
        rank = {node: i for i, node in enumerate(self.graph.nodes)}
        for step in order:
            if isinstance(step, Kernel):
                step.tasks.sort(key=lambda task: rank[task.node])
                step.stored = frozenset(step.made & wanted)
        return tuple(order)


def _saved(node: Node, each: int, walks: int) -> int:
    """What storing ``node`` saves if it is computed ``walks`` times, at a cost of ``each``."""
    size = prod(node.shape)
    return walks * each - (size * each + size + walks)

"""Grouping: which statements become one kernel, where that saves a journey through memory.

- A reduction and its consumers, if they walk the same outer loop.  Each total is then a number in a
  register, used as soon as it is known (softmax: the largest, the sum and the quotients of a row
  while the row is close by).
- Siblings: statements that walk the same loops and load the same elements.

A group must not need, by way of another step, what it makes itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

from mtlib.fusion.graph import Graph, Op, topological
from mtlib.fusion.statements import Expressions, Load, NeedsStorage, Statement, applied
from mtlib.kernels import jit
from mtlib.layout import Layout, Shape


@dataclass(eq=False)
class FusionGroup:
    """Statements that become one kernel: they share their outer loops, each after those it needs.

    ``stored`` is what leaves the kernel.
    """

    statements: list[Statement]
    stored: frozenset[Op] = frozenset()

    @property
    def outer_sizes(self) -> Shape:
        return self.statements[0].outer_sizes

    @property
    def defs(self) -> set[Op]:
        """What its statements make."""
        return {s.op for s in self.statements}

    @property
    def uses(self) -> set[Op]:
        """What its statements load that is not made here."""
        return {load.op for s in self.statements for load in s.loads} - self.defs

    @property
    def folds(self) -> list[Statement]:
        return [s for s in self.statements if s.is_reduce]

    @property
    def fused(self) -> set[Op]:
        """The operations whose results never leave the kernel."""
        computed = {x.op for s in self.statements for x in applied(s.expression)}
        return (computed | self.defs) - self.stored


@dataclass(eq=False)
class Call:
    """An operation that has a kernel of its own."""

    op: Op

    @property
    def defs(self) -> set[Op]:
        return {self.op}

    @property
    def uses(self) -> set[Op]:
        return {x.base for x in self.op.operands}


Step = FusionGroup | Call


def grouped(graph: Graph, stored: Iterable[Op]) -> Grouping:
    """The steps that make ``graph``, if ``stored`` is what lies in memory between them.

    Raises :class:`NeedsStorage` if more has to.
    """
    grouping = _one_by_one(graph, set(stored))
    _fuse_consumers(grouping)
    _fuse_siblings(grouping)
    return grouping


@dataclass(eq=False)
class Grouping:
    """A step for each operation that is stored or folded; several may be made by one.

    ``steps`` and ``statements`` are by what they make.  What has to run before each step is held as
    a set, the bits of a number, so that two can be merged in a long program too.
    """

    graph: Graph
    expressions: Expressions
    steps: dict[Op, Step]
    statements: dict[Op, Statement]
    bits: dict[Step, int] = field(default_factory=dict)  # what each step consists of
    ancestors: dict[Step, int] = field(default_factory=dict)  # and what has to run before

    def before(self, step: Step) -> list[Step]:
        """The steps whose results ``step`` uses."""
        found = (self.steps.get(op) for op in step.uses)
        return list(dict.fromkeys(s for s in found if s is not None and s is not step))

    def can_merge(self, a: FusionGroup, b: FusionGroup) -> bool:
        """Whether one kernel can do the work of both.

        No third step may have to run between them.  And what one statement makes another can use
        within the kernel only if it is a total, and the one that was just added up.
        """
        for group, other in ((a, b), (b, a)):
            for statement in group.statements:
                for load in statement.loads:
                    if self.steps.get(load.op) is other:
                        maker = self.statements[load.op]
                        if not maker.is_reduce:
                            return False
                        if outer_for_totals(maker, load.layout) != statement.outer:
                            return False
        return not self._between(a, b) and not self._between(b, a)

    def merge(self, first: FusionGroup, second: FusionGroup) -> None:
        """Put what ``second`` does into ``first``."""
        first.statements += second.statements
        for op in second.defs:
            self.steps[op] = first
        bits = self.bits[first] | self.bits.pop(second)
        ancestors = (self.ancestors[first] | self.ancestors.pop(second)) & ~bits
        self.bits[first], self.ancestors[first] = bits, ancestors
        for step, before in self.ancestors.items():
            if before & bits:
                self.ancestors[step] = before | bits | ancestors

    def _between(self, first: Step, last: Step) -> bool:
        """Whether ``last`` needs, by way of another step, what ``first`` makes."""
        others = (step for step in self.before(last) if step is not first)
        return any(self.ancestors[step] & self.bits[first] for step in others)

    def in_order(self) -> list[Step]:
        """The steps, each after those whose results it needs, and so the statements of each."""
        rank = {op: i for i, op in enumerate(self.graph.ops)}
        by_last = reversed(dict.fromkeys(reversed(self.steps.values())))
        order = topological(by_last, self.before)
        for step in order:
            if isinstance(step, FusionGroup):
                step.statements.sort(key=lambda statement: rank[statement.op])
        return order


def _one_by_one(graph: Graph, stored: set[Op]) -> Grouping:
    """A step of its own for whatever is stored or folded."""
    expressions = Expressions({*graph.inputs, *stored})
    steps: dict[Op, Step] = {}
    statements: dict[Op, Statement] = {}
    needs: list[Op] = []
    for op in graph.ops:
        if op in graph.inputs:
            continue
        if op.kind == "call":
            steps[op] = Call(op)
        elif op.kind == "reduce" or op in stored:
            try:
                statements[op] = expressions.statement(op)
            except NeedsStorage as need:
                needs += need.ops
            else:
                steps[op] = FusionGroup([statements[op]])
    if needs:
        raise NeedsStorage(*needs)
    # Views of memory that are looked at from outside have to be possible too.
    calls = (step.op.operands for step in steps.values() if isinstance(step, Call))
    for op in (*(x for operands in calls for x in operands), *graph.outputs):
        expressions.of(op)
    grouping = Grouping(graph, expressions, steps, statements)
    for number, step in enumerate(steps.values()):
        grouping.bits[step], grouping.ancestors[step] = 1 << number, 0
        for earlier in grouping.before(step):
            grouping.ancestors[step] |= grouping.bits[earlier] | grouping.ancestors[earlier]
    return grouping


def _fuse_consumers(grouping: Grouping) -> None:
    """Put each reduction and those that use its totals into one kernel, where they fit."""
    users: dict[Op, dict[Statement, list[Load]]] = {}
    for statement in grouping.statements.values():
        for load in statement.loads:
            users.setdefault(load.op, {}).setdefault(statement, []).append(load)
    for op, reduction in grouping.statements.items():
        for user, loads in users.get(op, {}).items() if reduction.is_reduce else ():
            if grouping.steps[op] is grouping.steps[user.op]:
                continue
            outers = {outer_for_totals(reduction, load.layout) for load in loads}
            if len(outers) == 1 and (outer := outers.pop()) is not None:
                _fuse_consumer(grouping, reduction, user, outer)


def _fuse_consumer(
    grouping: Grouping, reduction: Statement, user: Statement, outer: tuple[int, ...]
) -> None:
    """Merge the groups of the two if ``user`` can walk ``outer`` as its outer loops."""
    if not outer and prod(user.domain) > jit.SMALL:
        return  # threads share out one fold of everything, not what comes after it
    first, second = grouping.steps[reduction.op], grouping.steps[user.op]
    before = user.outer, user.inner
    if user.outer != outer:
        if len(second.statements) > 1 or (user.is_reduce and set(user.outer) != set(outer)):
            return
        dims = [d for d in range(len(user.domain)) if user.domain[d] != 1]
        user.outer, user.inner = outer, tuple(d for d in dims if d not in outer)
    if grouping.can_merge(first, second):
        grouping.merge(first, second)
    else:
        user.outer, user.inner = before


def outer_for_totals(reduction: Statement, layout: Layout) -> tuple[int, ...] | None:
    """The dims of a loop nest that walk the totals of ``reduction`` as it makes them, if they do.

    ``layout`` says which total each turn loads.
    """
    target, outer = reduction.target, []
    walked = [(d, n, s) for d, (n, s) in enumerate(zip(layout.shape, layout.strides, strict=True))]
    for d in reduction.outer:
        wanted = (target.shape[d], target.strides[d])
        fitting = [e for e, n, s in walked if (n, s) == wanted and e not in outer]
        if not fitting:
            return None
        outer.append(fitting[0])
    rest = [s for e, n, s in walked if e not in outer and n != 1]
    return tuple(outer) if layout.offset == 0 and not any(rest) else None


def _fuse_siblings(grouping: Grouping) -> None:
    """Put statements that walk the same loops and load the same elements into one kernel."""
    alike: dict[tuple, dict[FusionGroup, set]] = {}  # by their traversal, with what they load
    for group in dict.fromkeys(grouping.steps.values()):
        if isinstance(group, Call) or len({s.traversal for s in group.statements}) > 1:
            continue
        loaded = {(x.op, x.layout) for s in group.statements for x in s.loads}
        others = alike.setdefault(group.statements[0].traversal, {})
        for other, elements in others.items():
            if loaded & elements and grouping.can_merge(other, group):
                grouping.merge(other, group)
                elements |= loaded
                break
        else:
            others[group] = loaded

"""Scheduling: what lies in memory, and which kernels make it.

Elementwise operations and views need no memory: they are computed where they are used.  What is
left are statements, each a loop nest: one for every reduction, and one for everything that is
stored.  Those that fit together become one kernel (:mod:`mtlib.fusion.grouping`).

Beside what has to be stored there is what is better stored than computed again.  An elementwise
result that is used at several places, by loops one after the other or through views of other
elements, is computed at each, and so is all that it is made of: in a long program more and more,
with the square of its length or worse.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod

from mtlib.fusion.graph import Graph, Op, topological
from mtlib.fusion.grouping import Call, FusionGroup, Grouping, Step, grouped
from mtlib.fusion.statements import Apply, Load, NeedsStorage, applied, cost

# Operations that are computed again rather than stored; TorchInductor draws the same line, after as
# many (``realize_opcount_threshold``).
MOST_RECOMPUTED = 30


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """The steps of a program in order, and why something lies in memory between them."""

    graph: Graph
    steps: tuple[Step, ...]
    reasons: dict[Op, str]

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
            used = self._labels(step.uses)
            if isinstance(step, Call):
                given = f": {used}" if used else ""
                lines.append(f"{number}. call {step.op.name}{given} -> {step.op.label}")
            else:
                fused = self._labels(step.fused)
                line = f"{number}. kernel: {used} -> {self._labels(step.stored)}"
                lines.append(line + (f", with {fused} fused in" if fused else ""))
        return "\n".join(lines)

    __repr__ = __str__  # what a notebook shows

    def _labels(self, ops: Collection[Op]) -> str:
        return ", ".join(op.label for op in self.graph.ops if op in ops)


def schedule(graph: Graph, kept: Collection[Op] = ()) -> Schedule:
    """The kernels for ``graph``; ``kept`` are outputs that are there only for backward.

    Raises :class:`NeedsStorage` if an input does not lie such that the views of it are possible.
    """
    reasons = _required(graph, kept)
    reasons |= dict.fromkeys(_too_long(graph, reasons), "it is too long to be computed again")
    while True:
        try:
            grouping = grouped(graph, reasons)
        except NeedsStorage as need:
            if not set(graph.inputs).isdisjoint(need.ops):
                raise
            reasons |= dict.fromkeys(need.ops, "a view of it needs its elements in order")
            continue
        if better := better_stored(grouping, reasons):
            reasons |= dict.fromkeys(better, "storing it costs less than computing it again")
            continue
        steps = grouping.in_order()
        wanted = {*reasons}.union(*(step.uses for step in steps))
        for step in steps:
            if isinstance(step, FusionGroup):
                step.stored = frozenset(step.defs & wanted)
        return Schedule(graph, tuple(steps), reasons)


def _required(graph: Graph, kept: Collection[Op]) -> dict[Op, str]:
    """What has to lie in memory whatever the kernels are, and why."""
    reasons = {}
    for op in graph.ops:
        if op in graph.inputs:
            continue
        if op.kind == "call":
            reasons[op] = "an operation with a kernel of its own makes it"
            for x in op.operands:
                reasons.setdefault(x.base, f"{op.name} reads it")
        elif op.kind == "scatter":
            reasons[op] = "most of it is zeros"
    for op in graph.outputs:
        reasons[op.base] = "backward needs it" if op in kept else "it is a result"
    return {op: why for op, why in reasons.items() if not graph.is_given(op)}


# --- What is too long to be computed again --------------------------------------------------------


def _too_long(graph: Graph, stored: Collection[Op]) -> list[Op]:
    """The elementwise results to store beside ``stored``, so that no more than ``MOST_RECOMPUTED``
    operations are computed at several places."""
    loaded = {x for x in graph.ops if x in stored or x.kind in ("reduce", "input", "constant")}
    loaded.update(graph.inputs)
    branching = _branching(graph, loaded)
    found: list[Op] = []
    # What an element is computed with: operations, and for each the views through which it is seen;
    # None where they are more than MOST_RECOMPUTED.
    computed: dict[Op, frozenset | None] = dict.fromkeys(loaded, frozenset())
    for op in graph.ops:
        if op in loaded:
            continue
        behind = [computed[x] for x in op.operands]
        if None in behind:
            together = None
        elif op.kind == "view":
            together = frozenset((op.layout, x) for x in behind[0])
        else:
            together = frozenset([op]).union(*behind)
        few = together is not None and len(together) <= MOST_RECOMPUTED
        computed[op] = together if few else None
        if not few and op in branching:
            found.append(op)
            computed[op] = frozenset()
    return found


def _branching(graph: Graph, loaded: set[Op]) -> set[Op]:
    """The operations that are read at several places, and not only because their one reader is."""
    numbers: dict[tuple, int] = {}
    levels: dict[Op, int] = {}
    for op in graph.ops:
        above = [levels[x] + (x in loaded) for x in op.operands if x in levels]
        levels[op] = max(above, default=0)
    # For each operation the loops in which it is computed: a set, as the bits of a number.
    # Statements on one level that walk in the same way can share theirs.
    loops = dict.fromkeys(graph.ops, 0)
    readers: dict[Op, list[int]] = {op: [] for op in graph.ops}
    places: dict[Op, set] = {op: set() for op in graph.ops}
    for op in reversed(graph.ops):
        if op in graph.inputs:
            continue
        if op in loaded:
            domain = op.operands[0].shape if op.operands else op.shape
            walk = levels[op], domain, op.attribute if op.kind == "reduce" else ()
            loops[op] = 1 << numbers.setdefault(walk, len(numbers))
        for x in op.operands:
            loops[x] |= loops[op]
            if op.kind != "view":
                readers[x.base].append(loops[op])
                places[x.base].add(x.layout)
    return {
        op
        for op in graph.ops
        if op.is_elementwise
        and (len(places[op]) > 1 or all(bits != loops[op] for bits in readers[op]))
    }


# --- What is cheaper to store than to compute again -----------------------------------------------


def better_stored(grouping: Grouping, stored: Collection[Op]) -> list[Op]:
    """Elementwise results that several kernels compute, or one many times over, at a cost above
    that of storing them once and loading them where they are used.

    Each changes what those inside of it and around it cost.  So of these only the best is here, and
    what saves even if it is computed for the best once and no more where the best was.
    """
    expression = grouping.expressions.of
    turns = _computed(grouping)
    each: dict[Op, int] = {}
    savings: dict[Op, int] = {}
    for op, found in turns.items():
        walks = sum(found.values())
        if walks <= prod(op.shape) or op in stored:
            continue
        each[op] = cost(expression(op))
        if each[op] > 1 and (saved := _saved(op, each[op], walks)) > 0:
            savings[op] = saved
    best: dict[Op, set[Op]] = {}  # with what is computed for each
    for op in sorted(savings, key=savings.get, reverse=True):
        computed = {x.op for x in applied(expression(op))}
        if not computed.isdisjoint(best):
            continue
        around = [x for x, inside in best.items() if op in inside]
        there = set().union(*(turns[x] for x in around))
        walks = sum(n for group, n in turns[op].items() if group not in there)
        if not around or _saved(op, each[op], walks + prod(op.shape)) > 0:
            best[op] = computed
    return list(best)


def _computed(grouping: Grouping) -> dict[Op, dict[FusionGroup, int]]:
    """How often each operation is computed, in each kernel that does.

    Within a kernel the elements are close by, so only its longest walk counts.
    """
    turns: dict[Op, dict[FusionGroup, int]] = {}
    for statement in grouping.statements.values():
        group, dims = grouping.steps[statement.op], {}
        for x in topological([statement.expression]):
            dims[x] = set().union(*(dims[y] for y in x.operands))
            if isinstance(x, Load):
                pairs = enumerate(zip(x.layout.shape, x.layout.strides, strict=True))
                dims[x] = {d for d, (n, step) in pairs if n != 1 and step != 0}
            if isinstance(x, Apply):
                outside = dims[x] <= set(statement.outer)
                walk = prod(statement.outer_sizes) if outside else prod(statement.domain)
                found = turns.setdefault(x.op, {})
                found[group] = max(found.get(group, 0), walk)
    return turns


def _saved(op: Op, each: int, walks: int) -> int:
    """What storing ``op`` saves if it is computed ``walks`` times, at a cost of ``each``."""
    size = prod(op.shape)
    return walks * each - (size * each + size + walks)

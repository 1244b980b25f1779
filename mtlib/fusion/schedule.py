"""Deciding what has to lie in memory, and which kernels make it.

Elementwise operations and views need nothing: they are computed where they are used.  What is left
are tasks, each a loop nest: one for every reduction, and one for everything that is stored.  Those
that fit together become one kernel (:mod:`mtlib.fusion.joining`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mtlib.fusion.expressions import NeedsStorage
from mtlib.fusion.graph import Graph, Node, source
from mtlib.fusion.joining import Steps
from mtlib.fusion.repeats import too_long
from mtlib.fusion.tasks import Call, Kernel, fused_into


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
                given = f": {', '.join(needed)}" if needed else ""
                lines.append(f"{number}. call {step.node.name}{given} -> {step.node.label}")
                continue
            stored = [n.label for n in self.graph.nodes if n in step.stored]
            inside = [n.label for n in self.graph.nodes if n in fused_into(step)]
            line = f"{number}. kernel: {', '.join(needed)} -> {', '.join(stored)}"
            lines.append(line + (f", with {', '.join(inside)} fused in" if inside else ""))
        return "\n".join(lines)


def schedule(graph: Graph, kept: Collection[Node] = ()) -> Schedule:
    """The kernels for ``graph``; ``kept`` are outputs that are there only for backward.

    Raises :class:`NeedsStorage` if an input does not lie such that the views of it are possible.
    """
    reasons = _required(graph, kept)
    reasons |= dict.fromkeys(too_long(graph, reasons), "it is too long to be computed again")
    while True:
        try:
            steps = Steps(graph, reasons)
        except NeedsStorage as need:
            if not set(graph.inputs).isdisjoint(need.nodes):
                raise
            reasons |= dict.fromkeys(need.nodes, "a view of it needs its elements in order")
            continue
        if not (better := steps.better_stored()):
            return Schedule(graph, steps.in_order(), reasons)
        reasons |= dict.fromkeys(better, "storing it costs less than computing it again")


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
    return {node: why for node, why in reasons.items() if not is_there(node, graph)}


def is_there(node: Node, graph: Graph) -> bool:
    """Whether ``node`` lies in memory before anything runs."""
    return node in graph.inputs or (node.kind == "constant" and node.value is None)

"""A program as a graph: what was computed from what.

A :class:`Node` is one operation, or one thing that is given.  It knows its shape and how the
operation by itself would have laid out its result, but no values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from mtlib.layout import Layout, Shape


@dataclass(frozen=True, eq=False)
class Node:
    """One operation of a program.

    ``kind`` is "input" or "constant" for what is given, "map", "zip", "reduce" or "view" as in the
    ledger, "scatter" for zeros with values at some places, and "call" for an operation that has a
    kernel of its own.  ``how`` holds what it was told beside tensors: the dims of a reduce, the
    arguments of a view, the value of a constant.  ``number`` counts the nodes of a program.
    """

    kind: str
    name: str
    args: tuple[Node, ...]
    layout: Layout
    dtype: np.dtype
    how: object = None
    number: int = 0

    @property
    def label(self) -> str:
        """What it is called in tables and in the source of kernels."""
        return self.name if self.kind == "input" else f"{self.name}{self.number}"

    @property
    def shape(self) -> Shape:
        return self.layout.shape

    @property
    def value(self) -> float | bool | None:
        """The number that every element is, if that is known."""
        return self.how if self.kind == "constant" and isinstance(self.how, (float, bool)) else None

    @property
    def is_elementwise(self) -> bool:
        """Whether each element comes from the elements at its own place."""
        return self.kind in ("map", "zip")


@dataclass(frozen=True, eq=False)
class Graph:
    """What has to be computed: ``outputs`` from ``inputs``.

    Inputs can be any nodes; what is behind them is not part of this graph.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    nodes: tuple[Node, ...] = field(init=False)  # each after all that it depends on

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(_in_order(self.outputs, self.inputs)))

    def given(self, old: Node, layout: Layout) -> Graph:
        """The same graph with the input ``old`` laid out otherwise."""
        known = {node: node for node in self.inputs} | {old: replace(old, layout=layout)}
        for node in self.nodes:
            if node not in known:
                args = tuple(known[a] for a in node.args)
                known[node] = node if args == node.args else replace(node, args=args)
        return Graph(tuple(known[n] for n in self.inputs), tuple(known[n] for n in self.outputs))

    def __str__(self) -> str:
        """A line for each node: its label, its shape, and how it is made.

        >>> import mtlib
        >>> f = mtlib.fuse(lambda x: (x * x).sum(1))
        >>> _ = f(mtlib.ones(2, 3))
        >>> print(f.graph)
        x     (2, 3)  input
        mul1  (2, 3)  zip x, x
        sum2  (2,)    reduce mul1, over dim 1
        return sum2
        """
        rows = [(n.label, str(n.shape), self._made(n)) for n in self.nodes]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        lines = [f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c}" for a, b, c in rows]
        return "\n".join([*lines, "return " + ", ".join(n.label for n in self.outputs)])

    def _made(self, node: Node) -> str:
        if node in self.inputs:
            return "input"
        if node.kind == "constant":
            return "constant" if node.value is None else f"constant {node.value}"
        what = f"{node.kind} {', '.join(a.label for a in node.args)}".rstrip()
        return f"{what}, {detail}" if (detail := _detail(node)) else what


def source(node: Node) -> Node:
    """What lies in memory where ``node`` is looked at: itself, or what it is a view of."""
    while node.kind == "view":
        node = node.args[0]
    return node


def _detail(node: Node) -> str:
    if node.kind == "reduce":
        dims = ", ".join(map(str, node.how))
        return f"over dim {dims}" if len(node.how) == 1 else f"over dims {dims or 'none'}"
    return ""


def _in_order(outputs: Iterable[Node], inputs: tuple[Node, ...]) -> list[Node]:
    """The inputs, then all that lies between them and the outputs, arguments first."""
    order: dict[Node, None] = dict.fromkeys(inputs)
    waiting = [(node, False) for node in reversed(list(outputs))]
    while waiting:
        node, ready = waiting.pop()
        if node in order:
            continue
        if ready:
            order[node] = None
        else:
            waiting.append((node, True))
            waiting += [(a, False) for a in reversed(node.args)]
    return list(order)

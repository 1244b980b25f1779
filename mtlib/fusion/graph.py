"""A program as a graph: what was computed from what.

An :class:`Op` is one operation of a program, or one thing that is given.  It knows its shape and
how the operation by itself would have laid out its result, but no elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter

import numpy as np

from mtlib.layout import Layout, Shape


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """One operation of a program, and its result.

    ``kind`` is "input" or "constant" for what is given, "map", "zip", "reduce" or "view" as in the
    ledger, "scatter" for zeros with values at some places, and "call" for an operation that has a
    kernel of its own.  ``attribute`` is what it was told beside its operands: the dims of a reduce,
    the arguments of a view, the value of a constant.  ``index`` counts the operations of a program.
    """

    kind: str
    name: str
    operands: tuple[Op, ...]
    layout: Layout
    dtype: np.dtype
    attribute: object = None
    index: int = 0

    def __repr__(self) -> str:
        return f"<{self.label} {self.shape}>"

    @cached_property
    def label(self) -> str:
        """What it is called in tables and in the source of kernels."""
        return self.name if self.kind == "input" else f"{self.name}{self.index}"

    @cached_property
    def shape(self) -> Shape:
        return self.layout.shape

    @cached_property
    def scalar(self) -> float | bool | None:
        """The number that every element is, if that is known."""
        number = self.kind == "constant" and isinstance(self.attribute, (float, bool))
        return self.attribute if number else None

    @cached_property
    def base(self) -> Op:
        """What lies in memory where this is looked at: itself, or what it is a view of."""
        op = self
        while op.kind == "view":
            op = op.operands[0]
        return op

    @cached_property
    def is_elementwise(self) -> bool:
        """Whether each element comes from the elements at its own place."""
        return self.kind in ("map", "zip")


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """What has to be computed: ``outputs`` from ``inputs``.

    Inputs can be any operations; what is behind them is not part of this graph.
    """

    inputs: tuple[Op, ...]
    outputs: tuple[Op, ...]
    ops: tuple[Op, ...] = field(init=False)  # the inputs, then each after all that it depends on

    def __post_init__(self) -> None:
        given = frozenset(self.inputs)
        order = topological(
            (*self.inputs, *self.outputs), lambda op: () if op in given else op.operands
        )
        object.__setattr__(self, "ops", tuple(order))

    def is_given(self, op: Op) -> bool:
        """Whether ``op`` lies in memory before anything runs."""
        return op in self.inputs or (op.kind == "constant" and op.scalar is None)

    def with_input(self, old: Op, layout: Layout) -> Graph:
        """The same graph with the input ``old`` laid out otherwise."""
        known = {op: op for op in self.inputs} | {old: replace(old, layout=layout)}
        for op in self.ops:
            if op not in known:
                operands = tuple(known[x] for x in op.operands)
                known[op] = op if operands == op.operands else replace(op, operands=operands)
        return Graph(tuple(known[x] for x in self.inputs), tuple(known[x] for x in self.outputs))

    def __str__(self) -> str:
        """A line for each operation: its label, its shape, and how it is made.

        >>> import mtlib
        >>> f = mtlib.fuse(lambda x: (x * x).sum(1))
        >>> _ = f(mtlib.ones(2, 3))
        >>> print(f.graph)
        x     (2, 3)  input
        mul1  (2, 3)  zip x, x
        sum2  (2,)    reduce mul1, over dim 1
        return sum2
        """
        rows = [(op.label, str(op.shape), self._made(op)) for op in self.ops]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        lines = [f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c}" for a, b, c in rows]
        return "\n".join([*lines, "return " + ", ".join(op.label for op in self.outputs)])

    __repr__ = __str__  # what a notebook shows

    def _made(self, op: Op) -> str:
        if op in self.inputs:
            return "input"
        if op.kind == "constant":
            return "constant" if op.scalar is None else f"constant {op.scalar}"
        what = f"{op.kind} {', '.join(x.label for x in op.operands)}".rstrip()
        if op.kind != "reduce":
            return what
        over = "dim" if len(op.attribute) == 1 else "dims"
        return f"{what}, over {over} {', '.join(map(str, op.attribute)) or 'none'}"


def topological(roots: Iterable, operands: Callable = attrgetter("operands")) -> list:
    """``roots`` and all that is behind them, each once, and after its ``operands``.

    The one order of the compiler: of operations in a graph, of what an expression is made of, and
    of kernels.  No recursion, so that a program may be long.

    >>> behind = {"sum": ["product"], "product": ["x", "y"], "x": [], "y": []}
    >>> topological(["sum", "y"], behind.get)
    ['x', 'y', 'product', 'sum']
    """
    order: dict[object, None] = {}
    waiting = [(x, False) for x in reversed(list(roots))]
    while waiting:
        x, ready = waiting.pop()
        if x in order:
            continue
        behind = () if ready else tuple(operands(x))
        if behind:
            waiting.append((x, True))
            waiting += [(y, False) for y in reversed(behind)]
        else:
            order[x] = None
    return list(order)

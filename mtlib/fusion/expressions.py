"""What is computed at one place of a loop nest.

Views do not need loops of their own.  Looked at from the end, a view of an elementwise result is
the same elementwise operation on views of its operands: views commute with maps and zips.  So they
sink down to what lies in memory, and there they are strides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mtlib.fusion.graph import Node, source
from mtlib.fusion.primitives import VIEWS, WRITTEN
from mtlib.layout import Layout


@dataclass(frozen=True, eq=False)
class Load:
    """An element of ``node``, which lies in memory or is a total that was just added up.

    ``layout`` has the shape of the loop nest: it says where the element is for each turn.
    """

    node: Node
    layout: Layout


@dataclass(frozen=True, eq=False)
class Number:
    """The same number everywhere."""

    node: Node


@dataclass(frozen=True, eq=False)
class Apply:
    """A map or a zip of what ``operands`` compute at this place."""

    node: Node
    operands: tuple


class NeedsStorage(Exception):
    """Views of ``nodes`` are none of their operands' memory: the nodes need memory of their own."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = nodes


class Expressions:
    """Expressions over nodes; those in ``stored``, and every reduce, are loaded."""

    def __init__(self, stored: Collection[Node]) -> None:
        self.stored = stored
        self._known: dict[tuple, object] = {}

    def of(self, node: Node):
        """What computes an element of ``node``."""
        start = (node, ())
        waiting = [start]
        while waiting:  # instead of recursion, so that a program may be long
            key = waiting[-1]
            operands = self._operands(*key)
            unknown = [k for k in operands if k not in self._known]
            if unknown:
                waiting += unknown
                continue
            waiting.pop()
            if key not in self._known:
                self._known[key] = self._build(*key, [self._known[k] for k in operands])
        return self._known[start]

    def _is_loaded(self, node: Node) -> bool:
        given = node.kind in ("input", "constant") and node.value is None
        return given or node.kind == "reduce" or node in self.stored

    def _operands(self, node: Node, views: tuple[Node, ...]) -> list[tuple]:
        """What an element of ``node`` is computed from, as seen through ``views``."""
        if self._is_loaded(node):
            return []
        if node.kind == "view":
            return [(node.args[0], (node, *views))]
        return [(a, views) for a in node.args]

    def _build(self, node: Node, views: tuple[Node, ...], operands: list):
        if self._is_loaded(node):
            return Load(node, self._seen(node, views))
        if node.kind == "constant":
            return Number(node)
        return operands[0] if node.kind == "view" else Apply(node, tuple(operands))

    def _seen(self, node: Node, views) -> Layout:
        layout = node.layout
        for view in views:
            layout = VIEWS[view.name](layout, *view.how)
            if layout is None:
                raise NeedsStorage(source(view))
        return layout


def in_order(expressions: Iterable) -> list:
    """The expressions and all that they are made of, each once, operands first."""
    order: dict[object, None] = {}
    waiting = [(x, False) for x in reversed(list(expressions))]
    while waiting:
        x, ready = waiting.pop()
        if x in order:
            continue
        operands = getattr(x, "operands", ())
        if ready or not operands:
            order[x] = None
        else:
            waiting.append((x, True))
            waiting += [(y, False) for y in reversed(operands)]
    return list(order)


def loads(expression) -> list[Load]:
    """What the expression loads."""
    return [x for x in in_order([expression]) if isinstance(x, Load)]


def applied(expression) -> list[Apply]:
    """The operations of the expression."""
    return [x for x in in_order([expression]) if isinstance(x, Apply)]


def cost(expression) -> int:
    """What one element costs, counted in loads."""
    costs = (
        WRITTEN[x.node.name].cost if isinstance(x, Apply) else isinstance(x, Load)
        for x in in_order([expression])
    )
    return sum(costs)

"""What is computed at one place of a loop nest.

Views do not need loops of their own.  Looked at from the end, a view of an elementwise result is
the same elementwise operation on views of its operands: views commute with maps and zips.  So they
sink down to what lies in memory, and there they are strides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mtlib.fusion.graph import Node
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
    """A view of ``node`` is not one of its operands' memory: the node needs memory of its own."""

    def __init__(self, node: Node) -> None:
        self.node = node


class Expressions:
    """Expressions over nodes; those in ``stored``, and every reduce, are loaded."""

    def __init__(self, stored: Collection[Node]) -> None:
        self.stored = stored
        self._known: dict[tuple, object] = {}

    def of(self, node: Node, views: tuple[Node, ...] = ()):
        """What computes an element of ``node`` as seen through ``views``, the innermost first."""
        key = (node, views)
        if key not in self._known:
            self._known[key] = self._build(node, views)
        return self._known[key]

    def _build(self, node: Node, views):
        if node in self.stored or node.kind in ("input", "reduce"):
            return Load(node, self._seen(node, views))
        if node.kind == "constant":
            return (
                Number(node) if isinstance(node.how, float) else Load(node, self._seen(node, views))
            )
        if node.kind == "view":
            return self.of(node.args[0], (node, *views))
        return Apply(node, tuple(self.of(a, views) for a in node.args))

    def _seen(self, node: Node, views) -> Layout:
        layout = node.layout
        for view in views:
            layout = VIEWS[view.name](layout, *view.how)
            if layout is None:
                raise NeedsStorage(_under(view))
        return layout


def _under(view: Node) -> Node:
    """The nearest node under ``view`` that is not a view."""
    node = view.args[0]
    while node.kind == "view":
        node = node.args[0]
    return node


def parts(expression) -> Iterator[object]:
    """The expression and all that it is made of, each once."""
    seen, waiting = set(), [expression]
    while waiting:
        x = waiting.pop()
        if x not in seen:
            seen.add(x)
            yield x
            waiting += getattr(x, "operands", ())


def loads(expression) -> list[Load]:
    """What the expression loads."""
    return [x for x in parts(expression) if isinstance(x, Load)]


def applied(expression) -> list[Apply]:
    """The operations of the expression."""
    return [x for x in parts(expression) if isinstance(x, Apply)]


def cost(expression) -> int:
    """What one element costs, counted in loads."""
    return len(loads(expression)) + sum(WRITTEN[x.node.name].cost for x in applied(expression))

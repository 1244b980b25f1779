"""From operations to statements: what is computed at each place of a loop nest.

A :class:`Statement` stores or folds the value of an expression, for every index of its domain.
Views do not need loops of their own.  Looked at from the end, a view of an elementwise result is
the same elementwise operation on views of its operands: views commute with maps and zips.  So they
sink down to what lies in memory, and there they are strides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from mtlib.fusion.graph import Op, topological
from mtlib.fusion.primitives import VIEWS, WRITTEN
from mtlib.layout import Layout, Shape, index


@dataclass(frozen=True, eq=False)
class Load:
    """An element of ``op``, which lies in memory or is a total that was just added up.

    ``layout`` has the shape of the loop nest: it says where the element is for each turn.
    """

    op: Op
    layout: Layout
    operands: ClassVar = ()


@dataclass(frozen=True, eq=False)
class Scalar:
    """The same number everywhere."""

    op: Op
    operands: ClassVar = ()


@dataclass(frozen=True, eq=False)
class Apply:
    """A map or a zip of what ``operands`` compute at this place."""

    op: Op
    operands: tuple[Expression, ...]


Expression = Load | Scalar | Apply


class NeedsStorage(Exception):
    """Views of ``ops`` are none of their operands' memory: these need memory of their own."""

    def __init__(self, *ops: Op) -> None:
        self.ops = ops


@dataclass(eq=False)
class Statement:
    """``expression`` at every index of ``domain``, stored as elements of ``op`` or folded to them.

    ``outer`` are the dims of the domain that walk the elements of the result, in the order in which
    its kernel walks them; ``inner`` are the others.  Dims of size 1 are in neither.
    """

    op: Op
    expression: Expression
    domain: Shape
    outer: tuple[int, ...]
    inner: tuple[int, ...]

    @cached_property
    def loads(self) -> list[Load]:
        """What its expression loads."""
        return [x for x in topological([self.expression]) if isinstance(x, Load)]

    @cached_property
    def is_reduce(self) -> bool:
        return self.op.kind == "reduce"

    @property
    def traversal(self) -> tuple:
        """How it walks: statements for which this is the same can share their loops."""
        return self.domain, self.outer, self.inner

    @property
    def outer_sizes(self) -> Shape:
        return tuple(self.domain[d] for d in self.outer)

    @property
    def inner_sizes(self) -> Shape:
        return tuple(self.domain[d] for d in self.inner)

    @cached_property
    def target(self) -> Layout:
        """Where in the memory of its result each turn of the loops has its element.

        The turns of a fold have the same place, so there the strides are 0.
        """
        op = self.op
        if op.kind == "scatter":
            return index(op.layout, op.attribute[1])
        if not self.is_reduce:
            return op.layout
        strides = list(op.layout.strides)
        if len(strides) < len(self.domain):  # the folded dims were dropped
            for d in op.attribute:
                strides.insert(d, 0)
        steps = [0 if d in op.attribute else step for d, step in enumerate(strides)]
        return Layout(self.domain, tuple(steps), 0)


class Expressions:
    """Expressions over operations; those in ``stored``, and every reduce, are loaded."""

    def __init__(self, stored: Collection[Op]) -> None:
        self.stored = stored
        self._known: dict[tuple, Expression] = {}

    def statement(self, op: Op) -> Statement:
        """What stores or folds the elements of ``op``."""
        if op.kind in ("reduce", "scatter"):
            (operand,) = op.operands
            expression, domain = self.of(operand), operand.shape
        elif op.kind == "constant":
            expression, domain = Scalar(op), op.shape
        else:
            expression, domain = Apply(op, tuple(map(self.of, op.operands))), op.shape
        folded = op.attribute if op.kind == "reduce" else ()
        dims = [d for d in range(len(domain)) if domain[d] != 1]
        outer = tuple(d for d in dims if d not in folded)
        return Statement(op, expression, domain, outer, tuple(d for d in dims if d in folded))

    def of(self, op: Op) -> Expression:
        """What computes an element of ``op``."""
        start = (op, ())
        for key in topological([start], self._unknown):
            if key not in self._known:
                self._known[key] = self._build(*key)
        return self._known[start]

    def _unknown(self, key: tuple) -> list[tuple]:
        return [] if key in self._known else self._operands(*key)

    def _is_loaded(self, op: Op) -> bool:
        given = op.kind in ("input", "constant") and op.scalar is None
        return given or op.kind == "reduce" or op in self.stored

    def _operands(self, op: Op, views: tuple[Op, ...]) -> list[tuple]:
        """What an element of ``op`` is computed from, as seen through ``views``."""
        if self._is_loaded(op):
            return []
        if op.kind == "view":
            return [(op.operands[0], (op, *views))]
        return [(x, views) for x in op.operands]

    def _build(self, op: Op, views: tuple[Op, ...]) -> Expression:
        if self._is_loaded(op):
            return Load(op, _seen_through(views, op.layout))
        if op.kind == "constant":
            return Scalar(op)
        operands = tuple(self._known[key] for key in self._operands(op, views))
        return operands[0] if op.kind == "view" else Apply(op, operands)


def _seen_through(views: Iterable[Op], layout: Layout) -> Layout:
    for view in views:
        layout = VIEWS[view.name](layout, *view.attribute)
        if layout is None:
            raise NeedsStorage(view.base)
    return layout


def applied(expression: Expression) -> list[Apply]:
    """The operations of the expression."""
    return [x for x in topological([expression]) if isinstance(x, Apply)]


def cost(expression: Expression) -> int:
    """What one element costs, counted in loads."""
    costs = (
        WRITTEN[x.op.name].cost if isinstance(x, Apply) else isinstance(x, Load)
        for x in topological([expression])
    )
    return sum(costs)

"""Writing expressions: the text that computes an element, and the names in it.

An operation that is used once is written where it is used.  One that is used again, that changes
more slowly than what uses it, or whose text is long, gets a line and a name, as far outside as the
loops it depends on allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod

import numpy as np

from mtlib.fusion.expressions import Apply, Load, Number, in_order
from mtlib.fusion.graph import Node
from mtlib.fusion.loops import Access, Loop, Nest
from mtlib.fusion.primitives import RESERVED, WRITTEN, namespace
from mtlib.fusion.tasks import Kernel

TIGHT = 9  # binds so tightly that no brackets are needed
LONG = 60  # characters that an operation may have without a name of its own


@dataclass(frozen=True)
class Array:
    """An argument of a kernel: the part of a node's memory that one way of walking it reaches."""

    node: Node
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, access: Access) -> Array:
        walked = access.walked()
        sizes, strides = tuple(loop.size for loop, _ in walked), tuple(s for _, s in walked)
        return cls(access.node, access.offset, sizes, strides)


class Wording:
    """The texts of one kernel.

    ``totals`` are the nodes whose values are numbers in registers.  ``arrays`` names what is loaded
    and stored, and ``reads`` counts the elements that are loaded of what others made.
    """

    def __init__(self, kernel: Kernel, totals: set[Node]) -> None:
        self.made = kernel.made
        self.totals = totals
        self.labels: dict[Node, str] = {}
        self.taken = {*namespace(range), *RESERVED}
        nodes = {x.node for task in kernel.tasks for x in in_order([task.expression])}
        for node in sorted(nodes | kernel.made, key=lambda node: node.number):
            self.labels[node] = self.free(node.label)
        self.arrays: dict[Array, str] = {}
        self.reads = 0
        self._locals: dict[Apply, str] = {}
        self._elements: dict[str, str] = {}
        self._known: dict[object, str] = {}  # what was named outside the loops of a nest
        self._walking: tuple = ()

    def values(self, nest: Nest, loops: Sequence[Loop], around: int) -> tuple[list, list]:
        """(lines, texts): for each task of ``nest`` what computes its elements.

        ``lines[level]`` have to come first, inside that many of the ``loops``, which turn
        ``around`` times all together.
        """
        if nest.tasks[0].loops != self._walking:  # then names are of other elements
            self.forget()
            self._walking = nest.tasks[0].loops
        roots = [task.expression for task in nest.tasks]
        order = in_order(roots)
        levels = self._levels(order, nest, loops)
        used: dict[object, list[int]] = {x: [] for x in order}  # the levels of what uses it
        for x in order:
            for y in getattr(x, "operands", ()):
                used[y].append(levels[x])
        lines: list[list[str]] = [[] for _ in range(len(loops) + 1)]
        texts: dict[object, tuple[str, int]] = {}  # with how tightly they bind
        for x in order:
            if x in self._known:
                texts[x] = self._known[x], TIGHT
                continue
            level = levels[x]
            text, binding = self._text(x, nest, texts)
            if isinstance(x, Load) and x.node not in self.made:
                self.reads += around * prod(loop.size for loop in loops[:level])
            again = len(used[x]) + roots.count(x) > 1 or any(user > level for user in used[x])
            if (again and self._can_be_named(x)) or (used[x] and len(text) > LONG):
                name = self._name(x, nest)
                lines[level].append(f"{name} = {text}")
                text, binding = name, TIGHT
                if level == 0:
                    self._known[x] = name
            texts[x] = text, binding
        return lines, [texts[x][0] for x in roots]

    def forget(self) -> None:
        """What was named so far means nothing from here on."""
        self._known = {}

    def _can_be_named(self, x) -> bool:
        return not isinstance(x, Number) and x.node not in self.totals

    def _levels(self, order, nest: Nest, loops: Sequence[Loop]) -> dict[object, int]:
        """Inside how many of the loops each part of the expressions changes."""
        levels: dict[object, int] = {}
        for x in order:
            level = max((levels[y] for y in getattr(x, "operands", ())), default=0)
            if isinstance(x, Load) and x.node not in self.totals:
                strides = nest.accesses[x].strides
                moving = [i for i, loop in enumerate(loops, 1) if strides.get(loop, 0) != 0]
                level = max(moving, default=0)
            levels[x] = level
        return levels

    def _text(self, x, nest: Nest, texts) -> tuple[str, int]:
        if isinstance(x, Number):
            return self.number(x.node.how, x.node.dtype), TIGHT
        if isinstance(x, Load):
            known = self.labels[x.node] if x.node in self.totals else None
            return known or self.element(nest.accesses[x]), TIGHT
        written, name, dtype = WRITTEN[x.node.name], x.node.name, x.node.dtype
        operands = []
        for place, y in enumerate(x.operands):
            text, binding = texts[y]
            # On the right, brackets stay even around a product of a product: the order of rounding
            # is part of the result, and a largest element is later recognised by its value.
            loose = binding < written.binding or (place > 0 and binding == written.binding)
            operands.append(f"({text})" if loose and written.binding < TIGHT else text)
            if place > 0 and name == "div" and isinstance(y, Number) and y.node.how == 0:
                operands[place] = f"{dtype}({text})"  # plain Python would refuse to divide by 0.0
        by_number = written.by and isinstance(x.operands[-1], Number)
        text = (written.by if by_number else written.template).format(*operands)
        if name == "to" or (written.wide and dtype == np.float32):
            return f"{dtype}({text})", TIGHT
        return text, written.binding

    def number(self, value: float, dtype) -> str:
        """A number of ``dtype``."""
        text = repr(value) if isfinite(value) else str(value)
        return f"float32({text})" if dtype == np.float32 else text

    def element(self, access: Access) -> str:
        """``x[i, j]``: what is at the place where the loops are."""
        array = Array.of(access)
        if array not in self.arrays:
            name = self.labels[access.node]
            others = sum(a.node is access.node for a in self.arrays)
            if access.node in self.totals:
                name = self.free(f"{name}_out")  # the plain name is that of the number
            elif others:
                name = self.free(f"{name}_{others}")
            self.arrays[array] = name
        variables = ", ".join(loop.variable for loop, _ in access.walked())
        return f"{self.arrays[array]}[{variables or 0}]"

    def _name(self, x, nest: Nest) -> str:
        if isinstance(x, Apply):
            if x not in self._locals:  # one node can be read at several places, each a value
                others = sum(y.node is x.node for y in self._locals)
                label = self.labels[x.node]
                self._locals[x] = self.free(f"{label}_{others}") if others else label
            return self._locals[x]
        access = nest.accesses[x]
        variables = "".join(loop.variable for loop, _ in access.walked())
        name = f"{self.arrays[Array.of(access)]}_{variables or 0}"
        if name not in self._elements:
            self._elements[name] = self.free(name)
        return self._elements[name]

    def free(self, name: str) -> str:
        """``name``, or if that is taken one like it."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

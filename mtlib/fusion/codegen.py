"""Writing a kernel: from its loop nests to the text of a Python function.

An operation that is used once is written where it is used.  One that is used again, that changes
more slowly than what uses it, or whose text is long, gets a line and a name, as far outside as the
loops it depends on allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, prod

import numpy as np

from mtlib.fusion.graph import Op, topological
from mtlib.fusion.loops import Access, Loop, LoopNests, Nest, depths
from mtlib.fusion.primitives import FOLDS, RESERVED, WRITTEN, namespace
from mtlib.fusion.statements import Apply, Expression, Load, Scalar, Statement
from mtlib.kernels.functions.folds import BLOCK

INDENT = "    "
ATOM = 9  # binds so tightly that no brackets are needed
LONGEST = 60  # characters that an operation may have without a name of its own


@dataclass(frozen=True)
class Array:
    """An argument of a kernel: the part of a memory that one access reaches."""

    op: Op
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, access: Access) -> Array:
        walked = access.walked
        sizes, strides = tuple(loop.size for loop, _ in walked), tuple(s for _, s in walked)
        return cls(access.op, access.offset, sizes, strides)


@dataclass(eq=False)
class Source:
    """The text of a kernel, and what it has to be called with.

    The arguments are ``arrays``; for each dtype in ``totals``, room for a total of each part; then
    ``sizes``; then, if a loop is dealt out in parts, how many there are: ``parts`` at least.
    ``reads`` and ``writes`` are in elements.
    """

    name: str
    text: str
    arrays: tuple[Array, ...]
    totals: tuple[np.dtype, ...]
    sizes: tuple[int, ...]
    parts: int | None
    reads: int
    writes: int


def write(nests: LoopNests, name: str) -> Source:
    """The source of the kernel that runs ``nests`` as a function ``name``."""
    writer = _Writer(nests)
    writer.write_kernel()
    arrays = writer.names.arrays
    arguments = [*arrays.values(), *writer.totals, *(f"n{loop.variable}" for loop in writer.loops)]
    arguments += [] if nests.parts is None else ["parts"]
    return Source(
        name=name,
        text="\n".join([f"def {name}({', '.join(arguments)}):", *writer.lines]),
        arrays=tuple(arrays),
        totals=tuple(writer.totals.values()),
        sizes=tuple(loop.size for loop in writer.loops),
        parts=nests.parts,
        reads=writer.reads,
        writes=writer.writes,
    )


class _Names:
    """The names in one kernel, each of one thing; ``arrays`` has those of its arguments."""

    def __init__(self, nests: LoopNests, registers: set[Op]) -> None:
        self.registers = registers
        self.arrays: dict[Array, str] = {}
        self._taken = {*namespace(range), *RESERVED}
        self._others: dict[object, str] = {}  # by what they name
        group = nests.group
        ops = {x.op for x in topological([s.expression for s in group.statements])} | group.defs
        self.labels = {op: self.free(op.label) for op in sorted(ops, key=lambda op: op.index)}
        self._values: dict[Apply, str] = {}

    def free(self, name: str) -> str:
        """``name``, or if that is taken one like it."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def beside(self, fold: Statement, what: str) -> str:
        """The name of another number that a fold needs."""
        if (fold, what) not in self._others:
            self._others[fold, what] = self.free(f"{self.labels[fold.op]}_{what}")
        return self._others[fold, what]

    def element(self, access: Access) -> str:
        """``x[i, j]``: what is at the place where the loops are."""
        array = Array.of(access)
        if array not in self.arrays:
            name = self.labels[access.op]
            others = sum(a.op is access.op for a in self.arrays)
            if access.op in self.registers:
                name = self.free(f"{name}_out")  # the plain name is that of the number
            elif others:
                name = self.free(f"{name}_{others}")
            self.arrays[array] = name
        variables = ", ".join(loop.variable for loop, _ in access.walked)
        return f"{self.arrays[array]}[{variables or 0}]"

    def value(self, x: Load | Apply, nest: Nest) -> str:
        """The name of a line that computes ``x``."""
        if isinstance(x, Apply):
            if x not in self._values:  # one operation can be read at several places, each a value
                others = sum(y.op is x.op for y in self._values)
                label = self.labels[x.op]
                self._values[x] = self.free(f"{label}_{others}") if others else label
            return self._values[x]
        access = nest.accesses[x]
        variables = "".join(loop.variable for loop, _ in access.walked)
        name = f"{self.arrays[Array.of(access)]}_{variables or 0}"
        if name not in self._others:
            self._others[name] = self.free(name)
        return self._others[name]


class _Writer:
    """Writes the lines of one kernel, from the first to the last.

    ``reads`` counts the elements that are loaded of what others made.
    """

    def __init__(self, nests: LoopNests) -> None:
        self.nests = nests
        self.stored, self.made = nests.group.stored, nests.group.defs
        folded = {s.op for s in nests.group.folds}
        self.registers = set() if nests.interchanged else folded  # else rows, in memory
        self.names = _Names(nests, self.registers)
        self.loops: dict[Loop, None] = {}
        self.totals: dict[str, np.dtype] = {}  # of the parts
        self.lines: list[str] = []
        self.reads = self.writes = 0
        self._known: dict[Expression, str] = {}  # what was named outside the loops of a nest
        self._traversal: tuple = ()

    def write_kernel(self) -> None:
        depth = 1
        if self.nests.split:
            depth = self._open_parts(self.nests.split, depth)
        for loop in self.nests.outer:
            depth = self._open(loop, depth)
        for nest in self.nests.nests:
            if nest.split:
                self._fold_in_parts(nest, depth)
            elif self.nests.interchanged:
                self._fold_rows(nest, depth)
            else:
                self._fold_in_registers(nest, depth)

    def _fold_in_registers(self, nest: Nest, depth: int) -> None:
        self._begin(nest, depth)
        self._write_nest(nest, depth)
        for fold in nest.folds:
            self._end(nest, fold, depth)

    def _fold_rows(self, nest: Nest, depth: int) -> None:
        """The totals of a fold are a row in memory, and what is lost of each a row beside it."""
        i = self.nests.interchanged
        if nest.folds:
            inside = self._open(i, depth)
            for fold in nest.folds:
                self._line(inside, f"{self._place(nest, fold)} = {self._start(nest, fold)}")
        for fold in nest.folds:
            if nest.folds[fold].compensated:
                v = i.variable
                turns = f"{v}1 - {v}0" if i == self.nests.split else f"n{v}"
                zeros = f"zeros({turns}, {fold.op.dtype})"
                self._line(depth, f"{self.names.beside(fold, 'lost')} = {zeros}")
        self._write_nest(nest, depth)

    def _fold_in_parts(self, nest: Nest, depth: int) -> None:
        """Each thread folds its part, then the totals of the parts are folded."""
        inside = self._open_parts(nest.split, depth)
        self._begin(nest, inside)
        self._write_nest(nest, inside)
        self._known = {}  # each thread has names of its own inside the loop over parts
        partials = {fold: self.names.free(f"{self._total(nest, fold)}_of") for fold in nest.folds}
        for fold, partial in partials.items():
            self.totals[partial] = nest.folds[fold].dtype
            self._line(inside, f"{partial}[part] = {self._total(nest, fold)}")
        for fold, partial in partials.items():
            total = self._total(nest, fold)
            self._line(depth, f"{total} = {self._start(nest, fold)}")
            self._line(depth, "for part in range(parts):")
            self._line(depth + 1, f"{total} = {_function(fold)}({total}, {partial}[part])")
            self._end(nest, fold, depth)

    def _begin(self, nest: Nest, depth: int) -> None:
        """Totals as they are before the first turn."""
        for fold, accumulator in nest.folds.items():
            self._line(depth, f"{self._total(nest, fold)} = {self._start(nest, fold)}")
            if accumulator.compensated:
                lost = self.names.beside(fold, "lost")
                self._line(depth, f"{lost} = {self._start(nest, fold)}")

    def _end(self, nest: Nest, fold: Statement, depth: int) -> None:
        """What is to be done with a total that is complete."""
        label, total = self.names.labels[fold.op], self._total(nest, fold)
        if label != total:
            self._line(depth, f"{label} = {fold.op.dtype}({total})")
        if fold.op in self.stored:
            self._line(depth, f"{self._place(nest, fold)} = {label}")

    def _write_nest(self, nest: Nest, depth: int) -> None:
        """The loops, and in each the lines that depend on it and on no loop further inside."""
        around = prod(loop.size for loop in self.nests.outer)
        lines, values = self._values(nest, around)
        before: list[str] = []  # and after the loop over a block
        after: list[str] = []
        for statement, value in zip(nest.statements, values, strict=True):
            if statement.is_reduce:
                self.writes += prod(statement.outer_sizes) if statement.op in self.stored else 0
                lines[-1].append(self._folding(nest, statement, value, before, after))
            else:
                self.writes += around * prod(loop.size for loop in nest.loops)
                lines[-1].append(f"{self._place(nest, statement)} = {value}")
        for line in lines[0]:
            self._line(depth, line)
        for loop, inside in zip(nest.loops, lines[1:], strict=True):
            if before and loop == nest.loops[-1]:
                closing = depth + (loop.size > BLOCK)
                depth = self._open_block(loop, nest, before, depth)
            else:
                depth = self._open(loop, depth, nest.split)
            for line in inside:
                self._line(depth, line)
        for line in after:
            self._line(closing, line)

    def _folding(self, nest: Nest, fold: Statement, value: str, before: list, after: list) -> str:
        """The line that folds ``value``; ``before`` and ``after`` get what is around a block."""
        row = self.nests.interchanged
        total = self._place(nest, fold) if row else self._total(nest, fold)
        if nest.folds[fold].compensated:
            lost = self.names.beside(fold, "lost")
            if row:
                i = row.variable
                lost += f"[{i} - {i}0]" if row == self.nests.split else f"[{i}]"
                return f"{total}, {lost} = add_block({total}, {lost}, {value})"
            part = self.names.beside(fold, "part")
            before.append(f"{part} = {self._start(nest, fold)}")
            after.append(f"{total}, {lost} = add_block({total}, {lost}, {part})")
            total = part
        return f"{total} = {_function(fold)}({total}, {value})"

    # --- Expressions ------------------------------------------------------------------------------

    def _values(self, nest: Nest, around: int) -> tuple[list, list]:
        """(lines, texts): for each statement of ``nest`` what computes its elements.

        ``lines[depth]`` have to come first, inside that many of its loops, which turn ``around``
        times all together.
        """
        if nest.statements[0].traversal != self._traversal:  # then names are of other elements
            self._known = {}
            self._traversal = nest.statements[0].traversal
        roots = [statement.expression for statement in nest.statements]
        changing = depths(nest, self.registers)
        used: dict[Expression, list[int]] = {x: [] for x in changing}  # the depths of what uses it
        for x in changing:
            for y in x.operands:
                used[y].append(changing[x])
        lines: list[list[str]] = [[] for _ in range(len(nest.loops) + 1)]
        texts: dict[Expression, tuple[str, int]] = {}  # with how tightly they bind
        for x, depth in changing.items():
            if x in self._known:
                texts[x] = self._known[x], ATOM
                continue
            text, binding = self._text(x, nest, texts)
            if isinstance(x, Load) and x.op not in self.made:
                self.reads += around * prod(loop.size for loop in nest.loops[:depth])
            again = len(used[x]) + roots.count(x) > 1 or any(user > depth for user in used[x])
            can_be_named = not isinstance(x, Scalar) and x.op not in self.registers
            if (again and can_be_named) or (used[x] and len(text) > LONGEST):
                name = self.names.value(x, nest)
                lines[depth].append(f"{name} = {text}")
                text, binding = name, ATOM
                if depth == 0:
                    self._known[x] = name
            texts[x] = text, binding
        return lines, [texts[x][0] for x in roots]

    def _text(self, x: Expression, nest: Nest, texts: dict) -> tuple[str, int]:
        """What computes ``x``, of the ``texts`` of its operands, and how tightly that binds."""
        if isinstance(x, Scalar):
            return _number(x.op.attribute, x.op.dtype), ATOM
        if isinstance(x, Load):
            known = self.names.labels[x.op] if x.op in self.registers else None
            return known or self.names.element(nest.accesses[x]), ATOM
        written, name, dtype = WRITTEN[x.op.name], x.op.name, x.op.dtype
        operands = []
        for place, y in enumerate(x.operands):
            text, binding = texts[y]
            # On the right, brackets stay even around a product of a product: the order of rounding
            # is part of the result, and a largest element is later recognised by its value.
            loose = binding < written.binding or (place > 0 and binding == written.binding)
            operands.append(f"({text})" if loose and written.binding < ATOM else text)
            if place > 0 and name == "div" and isinstance(y, Scalar) and y.op.attribute == 0:
                operands[place] = f"{dtype}({text})"  # plain Python would refuse to divide by 0.0
        by_number = written.by and isinstance(x.operands[-1], Scalar)
        text = (written.by if by_number else written.template).format(*operands)
        if name == "to" or (written.wide and dtype == np.float32):
            return f"{dtype}({text})", ATOM
        return text, written.binding

    def _place(self, nest: Nest, statement: Statement) -> str:
        return self.names.element(nest.accesses[statement])

    def _total(self, nest: Nest, fold: Statement) -> str:
        """The number in which a fold is collected."""
        wide = nest.folds[fold].dtype != fold.op.dtype
        return self.names.beside(fold, "wide") if wide else self.names.labels[fold.op]

    def _start(self, nest: Nest, fold: Statement) -> str:
        """What a fold starts from."""
        value, dtype = float(FOLDS[fold.op.name][0]), nest.folds[fold].dtype
        return f"float64({value})" if dtype != fold.op.dtype else _number(value, dtype)

    # --- Lines ------------------------------------------------------------------------------------

    def _line(self, depth: int, text: str) -> None:
        self.lines.append(INDENT * depth + text)

    def _open(self, loop: Loop, depth: int, split: Loop | None = None) -> int:
        """Begin a loop; the depth inside it."""
        i = loop.variable
        self.loops[loop] = None
        if loop in (self.nests.split, split):
            self._line(depth, f"for {i} in range({i}0, {i}1):")
        else:
            each = "each" if loop == self.nests.parallel else "range"
            self._line(depth, f"for {i} in {each}(n{i}):")
        return depth + 1

    def _open_block(self, loop: Loop, nest: Nest, before: list[str], depth: int) -> int:
        """Begin a loop whose turns are taken in blocks, ``before`` each of them."""
        i = loop.variable
        in_part = loop in (self.nests.split, nest.split)
        first, end = (f"{i}0", f"{i}1") if in_part else ("0", f"n{i}")
        if loop.size > BLOCK:
            block = self.names.free(f"{i}_first")
            self._line(depth, f"for {block} in blocks({first}, {end}):")
            depth += 1
        for line in before:
            self._line(depth, line)
        if loop.size <= BLOCK:
            return self._open(loop, depth, nest.split)
        self.loops[loop] = None
        self._line(depth, f"for {i} in block({block}, {end}):")
        return depth + 1

    def _open_parts(self, loop: Loop, depth: int) -> int:
        """Begin a loop over parts of ``loop``."""
        i = loop.variable
        self.loops[loop] = None
        self._line(depth, "for part in each(parts):")
        self._line(depth + 1, f"{i}0, {i}1 = share(n{i}, parts, part)")
        return depth + 1


def _function(fold: Statement) -> str:
    return f"fold_{FOLDS[fold.op.name][1]}"


def _number(value: float, dtype: np.dtype) -> str:
    """The text of a number of ``dtype``."""
    text = repr(value) if isfinite(value) else str(value)
    return f"float32({text})" if dtype == np.float32 else text

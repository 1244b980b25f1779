"""From the statements of a kernel to loops: which there are, in which order, and who runs them.

Dims are collapsed as for every kernel of the library (:func:`mtlib.layout.collapse`).  Which loop
is innermost is decided by the strides: neighbouring turns should read neighbours in memory.  Mostly
that is the last dim that is folded, and a total stays in a register.  If it is a dim of the result,
the loops are interchanged: a whole row of totals is added to at once, and the loops over what is
folded go around it, as in the second rung of the ladder.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import numpy as np

from mtlib.fusion.graph import Op, topological
from mtlib.fusion.grouping import FusionGroup
from mtlib.fusion.primitives import FOLDS
from mtlib.fusion.statements import Load, Statement, applied, cost
from mtlib.kernels import jit
from mtlib.kernels.functions.folds import BLOCK
from mtlib.layout import Layout, collapse

MOST_ADDED = 128  # turns in which a row of totals is added to before rounding errors are kept
WIDEST = 1024  # totals that are added to at once: few enough to stay in the first-level cache


@dataclass(frozen=True)
class Loop:
    """One loop: the variable that counts it, and how often it turns."""

    variable: str
    size: int


@dataclass(frozen=True)
class Access:
    """Where in the memory of ``op`` the loops of a nest are: a stride for each of them."""

    op: Op
    offset: int
    strides: dict[Loop, int]

    @cached_property
    def walked(self) -> list[tuple[Loop, int]]:
        """The loops that move it, with their strides, the longest first."""
        moving = [(loop, s) for loop, s in self.strides.items() if s != 0]
        return sorted(moving, key=lambda pair: -abs(pair[1]))

    def __str__(self) -> str:
        """As it would be written in C: ``x[4i + j]``."""
        steps = [f"{'' if s == 1 else s}{loop.variable}" for loop, s in self.walked]
        steps += [str(self.offset)] if self.offset or not steps else []
        return f"{self.op.label}[{' + '.join(steps)}]"


@dataclass(frozen=True)
class Accumulator:
    """How the elements of a fold are collected: in which dtype, and whether ``compensated``, with
    what rounding takes away from the total kept beside it."""

    dtype: np.dtype
    compensated: bool


@dataclass(eq=False)
class Nest:
    """The loops that some statements of a kernel share, inside the outer ones.

    ``accesses`` has that of each load, and of each statement for what it stores; ``folds`` says how
    each fold is collected.  The loop ``split``, if there is one, is dealt out to threads in parts,
    which have totals of their own.
    """

    statements: list[Statement]
    loops: list[Loop]
    accesses: dict[Load | Statement, Access]
    folds: dict[Statement, Accumulator] = field(default_factory=dict)
    split: Loop | None = None


@dataclass(eq=False, repr=False)
class LoopNests:
    """The loops of the kernel for ``group``: ``outer`` around ``nests``, one after the other.

    The loop ``parallel`` is shared by threads as it is, and ``split`` is dealt out to them in
    parts.  ``interchanged`` is the loop of the result that runs innermost, if there is one: then
    the totals are a row in memory, and ``group`` stores them too.
    """

    group: FusionGroup
    outer: list[Loop]
    nests: list[Nest]
    interchanged: Loop | None
    parallel: Loop | None
    split: Loop | None

    @property
    def parts(self) -> int | None:
        """In how many parts at least a loop is dealt out; None if none is."""
        if self.split is None:
            return 1 if any(nest.split for nest in self.nests) else None
        return -(-self.split.size // WIDEST) if self.interchanged else 1

    @property
    def work(self) -> int:
        """An estimate in scalar operations."""
        return sum(prod(s.domain) * max(1, cost(s.expression)) for s in self.group.statements)

    def __str__(self) -> str:
        """A line for each loop, with how often it turns, and for each statement: where its result
        goes, what it loads, and by which operations it gets from one to the other.

        :mod:`mtlib.fusion` has an example.
        """
        lines = []
        for depth, loop in enumerate(self.outer):
            lines.append("    " * depth + self._described(loop))
        for nest in self.nests:
            for depth, loop in enumerate(nest.loops, len(self.outer)):
                lines.append("    " * depth + self._described(loop, nest.split))
            indent = "    " * (len(self.outer) + len(nest.loops))
            lines += [indent + _described(nest, statement) for statement in nest.statements]
        return "\n".join(lines)

    __repr__ = __str__

    def _described(self, loop: Loop, split: Loop | None = None) -> str:
        split = loop in (self.split, split)
        how = ", in parts" if split else ", by threads" if loop == self.parallel else ""
        return f"for {loop.variable} in {loop.size}{how}:"


def _described(nest: Nest, statement: Statement) -> str:
    loaded = ", ".join(dict.fromkeys(str(nest.accesses[x]) for x in statement.loads))
    computed = ", ".join(x.op.label for x in applied(statement.expression))
    by = f" by {computed}" if computed else ""
    fold = f"{statement.op.name} of " if statement.is_reduce else ""
    return f"{nest.accesses[statement]} = {fold}{loaded or 'numbers'}{by}"


def loop_nests(group: FusionGroup) -> LoopNests:
    """The loops of the kernel for ``group``."""
    variables = _variables({op.label for op in group.uses | group.defs})
    outer, around = _outer_loops(group, variables)
    nests: list[Nest] = []
    known: list[Loop] = []
    for statements in _grouped(group):
        inner, within = _inner_loops(statements, known, variables)
        known = list(dict.fromkeys([*known, *inner]))
        accesses = {}
        for statement in statements:
            for what, op, layout in _touched(statement):
                strides = dict(zip(outer, around[statement, what], strict=True))
                strides |= dict(zip(inner, within[what], strict=True))
                accesses[what] = Access(op, layout.offset, strides)
        nests.append(Nest(statements, inner, accesses))
    return _assigned(group, outer, nests, _interchanged(outer, nests))


def _outer_loops(group: FusionGroup, variables: Iterator[str]) -> tuple[list[Loop], dict]:
    """The loops around everything, in the order in which what is stored last lies in memory.

    And for each statement and what it touches, the strides in these loops.
    """
    last = group.statements[-1]
    steps = [last.target.strides[d] for d in last.outer]
    order = sorted(range(len(steps)), key=lambda o: -abs(steps[o]))
    strides = {
        (statement, what): [layout.strides[statement.outer[o]] for o in order]
        for statement in group.statements
        for what, _, layout in _touched(statement)
    }
    sizes, collapsed = _collapsed([group.outer_sizes[o] for o in order], strides)
    return [Loop(next(variables), size) for size in sizes], collapsed


def _inner_loops(statements: list[Statement], known: list[Loop], variables: Iterator[str]):
    """The loops of a nest, in the order in which what moves most lies in memory.

    And for all that is touched, the strides in these loops.  Of the loops that are ``known`` from
    other nests, one of the same size can be written once more.
    """
    first = statements[0]
    strides = {
        what: [layout.strides[d] for d in statement.inner]
        for statement in statements
        for what, _, layout in _touched(statement)
    }
    lead = max(strides.values(), key=lambda s: sum(x != 0 for x in s))
    order = sorted(range(len(first.inner)), key=lambda d: -abs(lead[d]))
    strides = {what: [s[d] for d in order] for what, s in strides.items()}
    sizes, collapsed = _collapsed([first.inner_sizes[d] for d in order], strides)
    loops: list[Loop] = []
    for size in sizes:
        same = [loop for loop in known if loop.size == size and loop not in loops]
        loops.append(same[0] if same else Loop(next(variables), size))
    return loops, collapsed


def _touched(statement: Statement) -> list[tuple[Load | Statement, Op, Layout]]:
    """What a statement loads and stores: (the load or the statement, whose memory, where)."""
    loaded = [(x, x.op, x.layout) for x in statement.loads]
    return [*loaded, (statement, statement.op, statement.target)]


def _grouped(group: FusionGroup) -> list[list[Statement]]:
    """Statements that can share a nest: those of one level with one traversal.

    A statement's level is above that of every total it uses.
    """
    levels: dict[Op, int] = {}
    nests: dict[tuple, list[Statement]] = {}
    for statement in group.statements:
        used = [levels[x.op] for x in statement.loads if x.op in levels]
        levels[statement.op] = level = 1 + max(used, default=-1)
        nests.setdefault((level, statement.traversal), []).append(statement)
    return [nests[key] for key in sorted(nests, key=lambda key: key[0])]


def _collapsed(sizes: list[int], strides: dict) -> tuple[Sequence[int], dict]:
    """As few sizes as the strides allow, and the strides in them."""
    if prod(sizes) == 1:
        return [], dict.fromkeys(strides, ())
    lengths, steps = collapse(tuple(sizes), *map(tuple, strides.values()))
    return lengths, dict(zip(strides, steps, strict=True))


def _variables(taken: set[str]) -> Iterator[str]:
    """Names for variables: i, j, k and so on."""
    letters = "ijklmnpqrstuvwxyzabcdefgh"
    rounds = itertools.chain([""], map(str, itertools.count(2)))
    names = (c + n for n in rounds for c in letters)
    return (v for v in names if taken.isdisjoint({v, f"n{v}", f"{v}0", f"{v}1"}))


# --- Which loop runs innermost, and who runs which ------------------------------------------------


def _interchanged(outer: list[Loop], nests: list[Nest]) -> Loop | None:
    """The loop of the result to run innermost; None if what is folded lies side by side."""
    folding = [nest for nest in nests if nest.loops]
    if all(_side_by_side(nest, nest.loops[-1]) for nest in folding):
        return None
    for loop in reversed(outer):
        if all(_side_by_side(nest, loop) for nest in folding):
            return loop
    return None


def _side_by_side(nest: Nest, loop: Loop) -> bool:
    """Whether turns of the loop load neighbours, or the same element."""
    strides = {access.strides[loop] for x, access in nest.accesses.items() if isinstance(x, Load)}
    return strides <= {0, 1} and 1 in strides


def _assigned(
    group: FusionGroup, outer: list[Loop], nests: list[Nest], interchanged: Loop | None
) -> LoopNests:
    """The loop nests: what is shared by threads, and how each fold is collected."""
    for nest in nests:
        nest.folds = {
            s: _accumulator(s, nest.loops, interchanged) for s in nest.statements if s.is_reduce
        }
        large = prod(loop.size for loop in nest.loops) > jit.SMALL
        if nest.folds and large and not outer:
            nest.split = nest.loops[0]
    # A single loop is dealt out to the threads in parts, each of which vectorises; of several the
    # first can be left to them.
    alone = len(outer) == 1 and (interchanged or not any(nest.loops for nest in nests))
    split = outer[0] if alone else None
    outer = [loop for loop in outer if loop != interchanged]
    parallel = outer[0] if outer and not split else None
    if len(nests) == 1 and not group.folds:  # nothing has to come in between
        outer, nests[0].loops = [], outer
    elif interchanged:
        group = replace(group, stored=group.stored.union(s.op for s in group.folds))
        for nest in nests:
            nest.loops = [*nest.loops, interchanged]
    return LoopNests(group, outer, nests, interchanged, parallel, split)


def _accumulator(fold: Statement, loops: list[Loop], interchanged: Loop | None) -> Accumulator:
    """How a fold over ``loops`` is collected.

    Many float32 numbers are added up in float64.  Each of the compiler's few totals is added to one
    after the other, so its error would grow with the length.  A long sum of float64 is cut into
    blocks, and what rounding takes away from their total is kept beside it.  So it is for each
    number of a row of totals, of either dtype.
    """
    function, dtype = FOLDS[fold.op.name][1], fold.op.dtype
    turns = prod(loop.size for loop in loops)
    if interchanged:
        return Accumulator(dtype, function == "add" and turns > MOST_ADDED)
    wide = np.dtype(np.float64) if function in ("add", "mul") else dtype
    return Accumulator(wide, function == "add" and wide == dtype and turns > BLOCK)


# --- Where in the loops something changes ---------------------------------------------------------


def depths(nest: Nest, registers: set[Op]) -> dict:
    """Inside how many loops of ``nest`` each part of its expressions changes.

    What is in ``registers`` is a number there.
    """
    found: dict = {}
    for x in topological([statement.expression for statement in nest.statements]):
        found[x] = max((found[y] for y in x.operands), default=0)
        if isinstance(x, Load) and x.op not in registers:
            strides = nest.accesses[x].strides
            moving = [i for i, loop in enumerate(nest.loops, 1) if strides.get(loop, 0) != 0]
            found[x] = max(moving, default=0)
    return found

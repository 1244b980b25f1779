"""Reading a trace: what each array is to the computation, and what each operation moved.

A trace names arrays by their shapes, not by who they are.  So an input is taken for the newest
array that lives then, has that shape and lies that way; what is none of those came from outside.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from mt_diagrams.svg.roles import GRADIENT, INTERMEDIATE, OPERANDS, RESULT, WORKSPACE, Role


class Move(NamedTuple):
    """Bytes that an operation brought in or out, each distinct element once."""

    role: Role
    nbytes: int


class Ledger:
    """A trace, read once.

    Args:
        trace: anything with ``events`` and ``buffers`` as the ledger of mtlib has them.

    ``roles`` gives the role of each buffer, ``moves`` what each event moved, and ``total`` all of
    it in bytes.
    """

    def __init__(self, trace) -> None:
        self.trace = trace
        self._births = [b.born for b in trace.buffers]
        self._like: dict[tuple, list] = {}  # arrays of a shape, in the order they were made
        for b in trace.buffers:
            if b.role != "workspace":
                self._like.setdefault(_essence(b.shape, None), []).append(b)
        self._made = [self._made_by(event) for event in trace.events]
        self._results = {
            _essence(s, None) for e in trace.events if e.phase == "forward" for s in e.output_shapes
        }
        reads = [self._inputs(event) for event in trace.events]
        read = {
            id(b)
            for event, some in zip(trace.events, reads, strict=True)
            for b in some
            if b is not None and event.phase == "forward"
        }
        inside = {id(b) for some in self._made for b in some}
        self._roles = {id(b): _role_of(b, id(b) in inside, id(b) in read) for b in trace.buffers}
        self.moves = [
            self._moved(event, made, some)
            for event, made, some in zip(trace.events, self._made, reads, strict=True)
        ]

    def role(self, buffer) -> Role:
        """What an array is."""
        return self._roles[id(buffer)]

    @property
    def total(self) -> int:
        """All that moved, in bytes."""
        return sum(move.nbytes for moves in self.moves for move in moves)

    def by_role(self) -> dict[Role, int]:
        """The same by what it was."""
        sums: dict[Role, int] = {}
        for moves in self.moves:
            for role, nbytes in moves:
                sums[role] = sums.get(role, 0) + nbytes
        return sums

    def saved(self, role: Role) -> int:
        """The bytes made in the trace, of this role, that were saved for backward."""
        return sum(b.nbytes for b in self.trace.buffers if b.saved and self.role(b) is role)

    def _made_by(self, event) -> list:
        births = self._births
        return self.trace.buffers[
            bisect_right(births, event.start) : bisect_right(births, event.stop)
        ]

    def _inputs(self, event) -> list:
        """For each input the buffer that it is, or None for one from outside."""

        def is_there(b) -> bool:
            lives = b.born <= event.start and (b.died is None or b.died > event.start)
            return lives and (b.phase == event.phase or b.saved)

        seen = map(_essence, event.input_shapes, event.input_strides)
        like = [reversed(self._like.get(x, [])) if _moves(event) else () for x in seen]
        return [next(filter(is_there, some), None) for some in like]

    def _moved(self, event, made: list, inputs: list) -> list[Move]:
        if not _moves(event):
            return []
        size = self._itemsize(made)
        outside = GRADIENT if event.phase == "backward" else OPERANDS
        roles = [OPERANDS if b is None else self.role(b) for b in inputs]
        if outside is GRADIENT and GRADIENT not in roles:
            roles[self._gradient_among(event, inputs)] = GRADIENT
        moves = [
            Move(role, size * _distinct(shape, strides))
            for role, shape, strides in zip(
                roles, event.input_shapes, event.input_strides, strict=True
            )
        ]
        results = [b for b in made if b.role != "workspace"]
        makes = self.role(results[-1]) if results else RESULT
        return moves + [
            Move(makes, size * _distinct(shape, strides))
            for shape, strides in zip(event.output_shapes, event.output_strides, strict=True)
        ]

    def _gradient_among(self, event, inputs: list) -> int:
        """Which input from outside is the gradient: the first that is like a result."""
        seen = map(_essence, event.input_shapes, event.input_strides)
        likely = [n for n, x in enumerate(seen) if inputs[n] is None and x in self._results]
        return likely[0] if likely else 0

    def _itemsize(self, made: list) -> int:
        for b in (*made, *self.trace.buffers):
            if prod(b.shape):
                return b.nbytes // prod(b.shape)
        return 8


def _role_of(buffer, made_by_operation: bool, read: bool) -> Role:
    if buffer.role == "workspace":
        return WORKSPACE
    if buffer.phase == "backward":
        return GRADIENT
    if not made_by_operation:
        return OPERANDS
    return INTERMEDIATE if read else RESULT


def _moves(event) -> bool:
    """Whether it loads or stores anything: a view does not."""
    return bool(event.reads or event.writes)


def _essence(shape: Sequence[int], strides: Sequence[int] | None) -> tuple[int, ...] | None:
    """The sizes that count, those of 1 or of stride 0 left out; None unless it lies in order.

    >>> _essence((2, 4, 3), (3, 0, 1)), _essence((4, 2), (1, 4)), _essence((2, 1, 3), None)
    ((2, 3), None, (2, 3))
    """
    if strides is None:
        return tuple(n for n in shape if n != 1)
    kept = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1 and s]
    step = 1
    for n, s in reversed(kept):
        if s != step:
            return None
        step *= n
    return tuple(n for n, _ in kept)


def _distinct(shape: Sequence[int], strides: Sequence[int]) -> int:
    """How many different elements a view reads.

    >>> _distinct((2, 4, 3), (4, 1, 0)), _distinct((3, 2), (1, 1))
    (8, 4)
    """
    if 0 in shape:
        return 0
    kept = [(n, abs(s)) for n, s in zip(shape, strides, strict=True) if n > 1 and s]
    return min(prod(n for n, _ in kept), 1 + sum((n - 1) * s for n, s in kept))

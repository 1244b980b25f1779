"""The one ledger of what ran.

``with trace() as t:`` opens a page of the ledger.  Every operation that runs inside writes one
line on it (an :class:`Event`), every array that is made writes another (a :class:`Buffer`), and
every figure, byte count and comparison in this suite is read off that page.  Nothing else counts.

Bytes are *measured*: an array is entered when it is made and struck out when Python frees it, so
``peak_bytes`` is what a memory profiler would have seen.

Reads and writes are *counted*, by one convention for every operation: they are the elements that
its **plain loop nest** loads and stores, the one in :mod:`mtlib.kernels.plain` or in the docstring
of its Function, as you would write it.  ``moved`` is the least that any way of computing it has to
bring in and send back, in bytes: each distinct element of each input and output once.  A product of
matrices reads each element of its operands many times over; what tiles and caches save is the
difference of the two.

Time on the ledger is in **ticks**.  Tick 0 is the empty page; each array made or freed is one more
tick.  ``live_bytes[tick]`` is the memory then held by arrays made since the trace began.
"""

from __future__ import annotations

import textwrap
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from math import prod

import numpy as np

from mtlib.runtime.mode import thread, treated

Shape = tuple[int, ...]


@dataclass
class Event:
    """One operation that ran.

    Shapes and strides are in elements.  ``reads`` and ``writes`` count the elements that the
    operation's plain loop nest loads and stores; ``moved`` is the bytes that must travel at least,
    each distinct element of inputs and outputs once.  ``bytes_allocated`` is what it allocated,
    workspace included.  ``bytes_saved`` is the memory that its ``save_for_backward`` holds on to,
    each storage counted once in a trace; ``bytes_saved_before`` is the part of it that was there
    before the trace began.  ``start`` and ``stop`` are the ticks between which it ran.
    """

    name: str
    kind: str  # "map", "zip", "reduce", "view" or "fused"
    phase: str  # "forward" or "backward"
    input_shapes: tuple[Shape, ...]
    input_strides: tuple[Shape, ...]
    start: int
    output_shapes: tuple[Shape, ...] = ()
    output_strides: tuple[Shape, ...] = ()
    reads: int = 0
    writes: int = 0
    moved: int = 0
    bytes_allocated: int = 0
    bytes_saved: int = 0
    bytes_saved_before: int = 0
    stop: int = 0


@dataclass
class Buffer:
    """One array that was made, alive at each tick with ``born <= tick < died``.

    ``name`` is the operation that made it.  ``role`` is ``"result"``, or ``"workspace"`` for
    scratch space inside a kernel.  ``saved`` tells whether ``save_for_backward`` ever held it.
    ``died`` is None for an array that outlived the trace.
    """

    name: str
    shape: Shape
    nbytes: int
    role: str
    phase: str
    born: int
    died: int | None = None
    saved: bool = False


@dataclass(repr=False, eq=False)
class Trace:
    """A page of the ledger; see :func:`trace`."""

    events: list[Event] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    live_bytes: list[int] = field(default_factory=lambda: [0])
    _running: list[Event] = field(default_factory=list)
    _watched: dict[int, tuple] = field(default_factory=dict)  # by id, while the array lives
    _pinned: set[int] = field(default_factory=set)  # ids of storages held for backward

    @property
    def peak_bytes(self) -> int:
        """The most that was held at once, in bytes, by arrays made inside the trace."""
        return max(self.live_bytes)

    @property
    def saved_bytes(self) -> int:
        """What ``save_for_backward`` held on to, in bytes, each storage counted once.

        Some of it may be older than the trace (parameters, inputs), and then is in no other sum of
        bytes here: see :attr:`saved_before_bytes`.
        """
        return sum(event.bytes_saved for event in self.events)

    @property
    def saved_before_bytes(self) -> int:
        """The part of :attr:`saved_bytes` that was allocated before the trace began."""
        return sum(event.bytes_saved_before for event in self.events)

    @property
    def allocated_bytes(self) -> int:
        """All that was ever allocated, in bytes, whether or not it was freed again."""
        return sum(buffer.nbytes for buffer in self.buffers)

    @property
    def reads(self) -> int:
        """Elements that the plain loop nests load, over all events."""
        return sum(event.reads for event in self.events)

    @property
    def writes(self) -> int:
        """Elements that the plain loop nests store, over all events."""
        return sum(event.writes for event in self.events)

    @property
    def moved(self) -> int:
        """Bytes that must travel at least, over all events: what each brings in and sends back."""
        return sum(event.moved for event in self.events)

    def by_name(self, name: str) -> list[Event]:
        """The events of one operation, in the order in which they ended."""
        return [event for event in self.events if event.name == name]

    def __str__(self) -> str:
        return _table(self)

    def _repr_html_(self) -> str:
        return _html(self)

    def __repr__(self) -> str:
        return f"<trace: {len(self.events)} events, peak {self.peak_bytes:,} bytes>"

    def holds(self, array: np.ndarray) -> bool:
        """Whether ``array`` was made inside the trace, which must still be open."""
        return self._watched.get(id(array), (None, None))[1] is not None

    # The rest is for the modules above, which write the ledger.

    def _change(self, delta: int) -> int:
        self.live_bytes.append(self.live_bytes[-1] + delta)
        return len(self.live_bytes) - 1

    def _made(self, array: np.ndarray, name: str, shape: Shape, role: str) -> None:
        if self._running:
            name = self._running[-1].name
            self._running[-1].bytes_allocated += array.nbytes
        born = self._change(array.nbytes)
        buffer = Buffer(name, shape, array.nbytes, role, thread.mode.phase, born)
        self.buffers.append(buffer)

        def freed() -> None:
            buffer.died = self._change(-buffer.nbytes)

        self._watch(array, buffer, freed)

    def _watch(self, array: np.ndarray, buffer: Buffer | None, freed: Callable[[], None]) -> None:
        key = id(array)

        def on_free(_) -> None:
            del self._watched[key]
            self._pinned.discard(key)
            freed()

        self._watched[key] = (weakref.ref(array, on_free), buffer)

    def _save(self, event: Event, storages: Sequence[np.ndarray]) -> None:
        """Enter ``storages`` as held for backward by ``event``: those that nothing held before."""
        for storage in storages:
            key = id(storage)
            if key in self._pinned:
                continue
            if key not in self._watched:  # made before the trace: not ours to count as live
                self._watch(storage, None, lambda: None)
            self._pinned.add(key)
            event.bytes_saved += storage.nbytes
            if (buffer := self._watched[key][1]) is None:
                event.bytes_saved_before += storage.nbytes
            else:
                buffer.saved = True


@contextmanager
def trace() -> Iterator[Trace]:
    """Record every operation that this thread runs inside the ``with`` block.

    >>> import mtlib
    >>> a, b = mtlib.ones(2, 4), mtlib.ones(4, 3)
    >>> with mtlib.trace() as t:
    ...     c = a @ b
    >>> [(e.name, e.kind, e.reads, e.writes, e.moved, e.bytes_allocated) for e in t.events]
    [('matmul', 'fused', 48, 6, 208, 48)]

    Reads and writes are those of the plain loop nest: each of the 6 elements of c reads 4 of a and
    4 of b.  The 26 elements of a, b and c, of 8 bytes each, must be moved in any case.

    Traces nest: an outer one records what an inner one does too.
    """
    if thread.mode.reader is not None:
        raise TypeError(
            "fuse: the program opens a trace while it is read, when nothing runs; open it around "
            "the call of the fused function"
        )
    page = Trace()
    try:
        with treated(traces=(*thread.mode.traces, page)):
            yield page
    finally:
        page._watched.clear()  # and with the references goes the notice of what dies later


# --- Writing the ledger ---------------------------------------------------------------------------


def record_allocation(array: np.ndarray, name: str, shape: Shape, role: str) -> None:
    """Enter an array that was just made."""
    for page in thread.mode.traces:
        page._made(array, name, shape, role)


def record_saved(storages: Sequence[np.ndarray]) -> None:
    """Enter storages as held for backward by the operation that ended last."""
    for page in thread.mode.traces:
        if page.events:
            page._save(page.events[-1], storages)


class Recording:
    """One running operation: a line being written on each open trace.

    ``with Recording(name, kind, inputs) as recording:`` enters what is allocated inside as its own;
    an operation that raises leaves no line.  ``inputs`` are tensors.
    """

    def __init__(self, name: str, kind: str, inputs: Sequence) -> None:
        self.inputs = inputs
        shapes = tuple(x.shape for x in inputs)
        strides = tuple(x.strides for x in inputs)
        self.pages = thread.mode.traces
        self.lines = []
        for page in self.pages:
            now = len(page.live_bytes) - 1
            line = Event(name, kind, thread.mode.phase, shapes, strides, start=now)
            page._running.append(line)
            self.lines.append(line)
        self.seen = [len(page.events) for page in self.pages]

    def finish(
        self, outputs: Sequence, saved: Sequence[np.ndarray], traffic: tuple[int, int]
    ) -> None:
        """What came of it: the outputs, the storages it saved, the elements (read, written)."""
        reads, writes = traffic
        known = {id(x.storage) for x in (*self.inputs, *outputs)}
        beside = [storage for storage in saved if id(storage) not in known]  # made for backward
        moved = _least(self.inputs, reads) + _least([*outputs, *beside], writes)
        for page, line, seen in zip(self.pages, self.lines, self.seen, strict=True):
            line.output_shapes = tuple(x.shape for x in outputs)
            line.output_strides = tuple(x.strides for x in outputs)
            page._save(line, saved)
            if len(page.events) == seen:  # else it was made of other operations, which count
                line.reads, line.writes, line.moved = reads, writes, moved

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, error, *_) -> None:
        for page, line in zip(self.pages, self.lines, strict=True):
            page._running.pop()
            line.stop = len(page.live_bytes) - 1
            if error is None:
                page.events.append(line)


def _least(operands: Sequence, count: int) -> int:
    """Bytes of the distinct elements of ``operands``, of which ``count`` are loaded or stored.

    What is stretched has stride 0 and lies in memory once.  If fewer elements are loaded or stored
    than there are, as of what is overwritten, no more than those have to travel.
    """
    elements = [_distinct(x) for x in operands]
    nbytes = sum(n * x.dtype.itemsize for n, x in zip(elements, operands, strict=True))
    return min(nbytes, count * max((x.dtype.itemsize for x in operands), default=0))


def _distinct(x) -> int:
    """How many places in memory ``x`` has."""
    if isinstance(x, np.ndarray):
        return x.size
    apart = [(n, abs(step)) for n, step in zip(x.shape, x.strides, strict=True) if step]
    extent = 1 + sum((n - 1) * step for n, step in apart)
    return min(prod(n for n, _ in apart), extent) if prod(x.shape) else 0


# --- Reading it -----------------------------------------------------------------------------------

_WORDS = ("operation", "kind", "phase", "inputs", "output")
_NUMBERS = ("reads", "writes", "moved", "bytes", "saved")
_CONVENTION = (
    "reads, writes: elements that the plain loop nest loads and stores; "
    "moved: bytes that must travel at least; bytes: allocated; saved: held for backward"
)


def _rows(page: Trace) -> list[tuple[str, ...]]:
    """A heading, a line for each event, and the totals: first words, then numbers."""
    rows = [(*_WORDS, *_NUMBERS)]
    for e in page.events:
        inputs = " ".join(map(_compact, e.input_shapes))
        output = " ".join(map(_compact, e.output_shapes))
        counts = (e.reads, e.writes, e.moved, e.bytes_allocated, e.bytes_saved)
        rows.append((e.name, e.kind, e.phase, inputs, output, *(f"{n:,}" for n in counts)))
    totals = (page.reads, page.writes, page.moved, page.allocated_bytes, page.saved_bytes)
    rows.append(("total", "", "", "", "", *(f"{n:,}" for n in totals)))
    return rows


def _table(page: Trace) -> str:
    rows = _rows(page)
    lines = textwrap.wrap(_CONVENTION, 88)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if i < len(_WORDS) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, _last_line(page)])


def _last_line(page: Trace) -> str:
    line, before = f"peak {page.peak_bytes:,} bytes", page.saved_before_bytes
    return f"{line}; {before:,} of the saved bytes are older than the trace" if before else line


def _html(page: Trace) -> str:
    """The same table in HTML that colours nothing, so that it reads on white and on dark."""
    heading, *rows = _rows(page)

    def line(row, tag):
        sides = ["left"] * len(_WORDS) + ["right"] * len(_NUMBERS)
        cells = zip(row, sides, strict=True)
        return "".join(f'<{tag} align="{side}">{escape(cell)}</{tag}>' for cell, side in cells)

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        f'<table cellpadding="4"><caption>{_CONVENTION}<br>{_last_line(page)}</caption>'
        f"<thead><tr>{line(heading, 'th')}</tr></thead><tbody>{body}</tbody></table>"
    )


def _compact(shape: Shape) -> str:
    return "(" + ",".join(map(str, shape)) + ")"

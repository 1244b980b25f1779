"""The one ledger of what ran.

``with trace() as t:`` opens a page of the ledger.  Every operation that runs inside writes one
line on it (an :class:`Event`), every array that is made writes another (a :class:`Buffer`), and
every figure, byte count and comparison in this suite is read off that page.  Nothing else counts.

Bytes are *measured*: an array is entered when it is made and struck out when Python frees it, so
``peak_bytes`` is what a memory profiler would have seen.  Reads and writes are *counted*: each
kernel states, beside its loops, how many elements they load and store.

Time on the ledger is in **ticks**.  Tick 0 is the empty page; each array made or freed is one more
tick.  ``live_bytes[tick]`` is the memory then held by arrays made since the trace began.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape

import numpy as np

from mtlib.runtime.mode import thread, treated

Shape = tuple[int, ...]


@dataclass
class Event:
    """One operation that ran.

    Shapes and strides are in elements.  ``reads`` and ``writes`` count the element loads and
    stores of the operation's loops.  ``bytes_allocated`` is what it allocated, workspace included;
    ``bytes_saved`` is the memory that its ``save_for_backward`` holds on to, each storage counted
    once in a trace.  ``start`` and ``stop`` are the ticks between which it ran.
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
    bytes_allocated: int = 0
    bytes_saved: int = 0
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
        """What ``save_for_backward`` held on to, in bytes, each storage counted once."""
        return sum(event.bytes_saved for event in self.events)

    @property
    def allocated_bytes(self) -> int:
        """All that was ever allocated, in bytes, whether or not it was freed again."""
        return sum(buffer.nbytes for buffer in self.buffers)

    @property
    def reads(self) -> int:
        """Elements loaded, over all events."""
        return sum(event.reads for event in self.events)

    @property
    def writes(self) -> int:
        """Elements stored, over all events."""
        return sum(event.writes for event in self.events)

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

    # The rest is for the rooms above, which write the ledger.

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

    def _saved(self, storage: np.ndarray) -> int:
        """Enter ``storage`` as held for backward; the bytes that this newly pins."""
        key = id(storage)
        if key in self._pinned:
            return 0
        if key not in self._watched:  # made before the trace: not ours to count as live
            self._watch(storage, None, lambda: None)
        self._pinned.add(key)
        if (buffer := self._watched[key][1]) is not None:
            buffer.saved = True
        return storage.nbytes


@contextmanager
def trace() -> Iterator[Trace]:
    """Record every operation that this thread runs inside the ``with`` block.

    >>> import mtlib
    >>> a, b = mtlib.ones(2, 4), mtlib.ones(4, 3)
    >>> with mtlib.trace() as t:
    ...     c = a @ b
    >>> [(e.name, e.kind, e.reads, e.writes, e.bytes_allocated) for e in t.events]
    [('matmul', 'fused', 48, 6, 48)]

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
            page.events[-1].bytes_saved += sum(page._saved(storage) for storage in storages)


class Recording:
    """One running operation: a line being written on each open trace.

    ``with Recording(name, kind, inputs) as recording:`` enters what is allocated inside as its own;
    an operation that raises leaves no line.  ``inputs`` have a ``.shape`` and ``.strides``.
    """

    def __init__(self, name: str, kind: str, inputs: Sequence) -> None:
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
        for page, line, seen in zip(self.pages, self.lines, self.seen, strict=True):
            line.output_shapes = tuple(x.shape for x in outputs)
            line.output_strides = tuple(x.strides for x in outputs)
            line.bytes_saved = sum(page._saved(storage) for storage in saved)
            if len(page.events) == seen:  # else it was made of other operations, which count
                line.reads, line.writes = traffic

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, error, *_) -> None:
        for page, line in zip(self.pages, self.lines, strict=True):
            page._running.pop()
            line.stop = len(page.live_bytes) - 1
            if error is None:
                page.events.append(line)


# --- Reading it -----------------------------------------------------------------------------------

_WORDS = ("operation", "kind", "phase", "inputs", "output")
_NUMBERS = ("reads", "writes", "bytes", "saved")


def _rows(page: Trace) -> list[tuple[str, ...]]:
    """A heading, a line for each event, and the totals: first words, then numbers."""
    rows = [(*_WORDS, *_NUMBERS)]
    for e in page.events:
        inputs = " ".join(map(_compact, e.input_shapes))
        output = " ".join(map(_compact, e.output_shapes))
        counts = (e.reads, e.writes, e.bytes_allocated, e.bytes_saved)
        rows.append((e.name, e.kind, e.phase, inputs, output, *(f"{n:,}" for n in counts)))
    totals = (page.reads, page.writes, page.allocated_bytes, page.saved_bytes)
    rows.append(("total", "", "", "", "", *(f"{n:,}" for n in totals)))
    return rows


def _table(page: Trace) -> str:
    rows = _rows(page)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < len(_WORDS) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.append(f"peak {page.peak_bytes:,} bytes")
    return "\n".join(lines)


def _html(page: Trace) -> str:
    """The same table in HTML that colours nothing, so that it reads on white and on dark."""
    heading, *rows = _rows(page)

    def line(row, tag):
        sides = ["left"] * len(_WORDS) + ["right"] * len(_NUMBERS)
        cells = zip(row, sides, strict=True)
        return "".join(f'<{tag} align="{side}">{escape(cell)}</{tag}>' for cell, side in cells)

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        f'<table cellpadding="4"><caption>peak {page.peak_bytes:,} bytes</caption>'
        f"<thead><tr>{line(heading, 'th')}</tr></thead><tbody>{body}</tbody></table>"
    )


def _compact(shape: Shape) -> str:
    return "(" + ",".join(map(str, shape)) + ")"

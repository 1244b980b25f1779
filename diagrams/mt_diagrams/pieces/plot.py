"""One trace as a plot of memory over time: blocks, axes, what ran, and a part of it enlarged."""

from __future__ import annotations

from chalk import concat, empty
from chalk.types import Diagram

from mt_diagrams.pieces.columns import columns_of, is_long, layers_of, spans_of
from mt_diagrams.pieces.layout import fitted, from_left
from mt_diagrams.pieces.ledger import Ledger
from mt_diagrams.pieces.legend import in_halves
from mt_diagrams.pieces.scale import ticks_of, times, zoom_of
from mt_diagrams.pieces.shapes import bytes_in_words, short_bytes
from mt_diagrams.svg.hatch import Rect, hatched
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import OPERANDS, Role
from mt_diagrams.svg.strokes import Point, box, boxed, dots, polygons, polylines
from mt_diagrams.svg.theme import FAINT, INK, PAPER, QUIET, SMALL, TEXT, THREAD, TINY

HEIGHT = 7.0  # of a plot, in cells
LEFT = 2.1  # what the numbers at its left take
GAP = 1.6  # where steps are left out
SLIVER = 0.03  # an array lower than this is not drawn by itself; the outline still counts it
LOW = 0.22  # of the height: a plot that is lower is drawn again, enlarged
INSET = 4.6  # the height of that


class Plot:
    """One trace, the upper left corner of its axes at the origin.

    Args:
        trace: what ran.
        name: what to call it.
        most: bytes, the top of the scale that all plots of a figure share.
        largest: the name of the plot that reaches it.
        width: of the plot, in cells.
    """

    def __init__(self, trace, name: str, most: int, largest: str, width: float) -> None:
        self.trace, self.name, self.most, self.width = trace, name, most, width
        self.ledger = Ledger(trace)
        self.spans = spans_of(trace)
        self.columns = columns_of(trace, self.spans)
        self.long = is_long(trace, self.spans)
        self.kinds = [self._kind(buffer) for buffer in trace.buffers]
        peak = trace.peak_bytes
        than = f"less than {fitted(largest, SMALL, 5.0, bold=True)}"
        self.less = f"{times(most, peak)} {than}" if 0 < peak < most else ""
        self._released = max((e.stop for e in trace.events if e.phase == "backward"), default=None)
        gaps = sum(bool(span.after) for span in self.spans)
        self._unit = (width - GAP * gaps) / sum(s.stop - s.start for s in self.spans)

    @property
    def saved_before(self) -> int:
        """The bytes saved for backward in arrays that the trace did not see made."""
        drawn = sum(buffer.nbytes for buffer in self.trace.buffers if buffer.saved)
        return max(0, self.trace.saved_bytes - drawn)

    def draw(self) -> Diagram:
        per_byte = HEIGHT / self.most
        parts = [self._axes(per_byte), self._area(per_byte, HEIGHT), self._inset(per_byte)]
        drawing = concat([*parts, self._title(), self._events(), self._phases()])
        return boxed(drawing, -LEFT, -2.6, self.width, HEIGHT + 2.9)

    def x(self, tick: float) -> float:
        """Where a tick stands; one that is left out, where the next that is drawn does."""
        left = 0.0
        for start, stop, after in self.spans:
            if tick <= stop:
                return left + max(0, tick - start) * self._unit
            left += (stop - start) * self._unit + (GAP if after else 0.0)
        return left

    def _kind(self, buffer) -> tuple[Role, bool]:
        return self.ledger.role(buffer), buffer.saved

    def _title(self) -> Diagram:
        room = self.width - (width_of(self.less, SMALL, bold=True) + 0.6 if self.less else 0)
        name = from_left(fitted(self.name, TEXT, room, bold=True), TEXT, INK, bold=True)[0]
        less, wide = from_left(self.less, SMALL, INK, bold=True)
        peak = from_left(f"peak {bytes_in_words(self.trace.peak_bytes)}", SMALL, INK)[0]
        before = self.saved_before
        text = f"{bytes_in_words(self.trace.saved_bytes)} saved for backward"
        if before:
            text = f"{short_bytes(self.trace.saved_bytes)} saved for backward"
            part = "all" if before == self.trace.saved_bytes else short_bytes(before)
            text += f", {part} of it in operands"
        lines = [name, peak, from_left(text, SMALL, QUIET)[0]]
        placed = [line.translate(0, -2.3 + 0.68 * n) for n, line in enumerate(lines)]
        return concat([*placed, less.translate(self.width - wide, -2.3) if wide else empty()])

    def _axes(self, per_byte: float) -> Diagram:
        """The scale of bytes at the left, faint lines across, the turns from phase to phase."""
        frame = polylines([[(0, 0), (0, HEIGHT), (self.width, HEIGHT)]]).line_color(THREAD)
        ticks = [(value, HEIGHT - value * per_byte) for value in ticks_of(self.most)]
        grid = polylines([[(0, y), (self.width, y)] for value, y in ticks if value])
        texts = [_beside(short_bytes(value), y) for value, y in ticks]
        turns = [self.x(start) for _, start, _ in self._stretches()[1:]]
        marks = polylines([[(x, 0), (x, HEIGHT)] for x in turns]).line_color(THREAD)
        parts = [grid.line_color(FAINT), frame, *texts]
        return concat([*parts, marks.dashing([3, 3], 0)] if turns else parts)

    # The blocks.

    def _area(self, per_byte: float, floor: float) -> Diagram:
        """The arrays, each a stepped block that sinks when one beneath it is freed."""
        outlines, rects, kept, labels = [], {}, [], []
        for buffer, (role, saved), runs in self._stacked(per_byte, floor):
            outlines.append(_around(runs))
            rects.setdefault(role, []).append(runs)
            if saved:
                end = self._held_until(buffer)
                kept += [(a, top, min(b, end), low) for a, top, b, low in runs if a < end]
            if buffer is not None:
                labels += self._named(buffer, role, max(runs, key=lambda r: r[2] - r[0]))
        areas = []
        for role, blocks in rects.items():
            areas.append(polygons(map(_around, blocks)).fill_color(role.fill))
            if role is OPERANDS:
                areas.append(in_halves([rect for runs in blocks for rect in runs]))
        edges = polylines([[*o, o[0]] for o in outlines])
        return concat([*areas, hatched(kept, "/"), edges, *labels, self._outline(per_byte, floor)])

    def _held_until(self, buffer) -> float:
        """Where a saved array is saved no longer: it is gone, or backward has come to its end."""
        if self._released is None or (buffer is not None and buffer.born > self._released):
            return self.width
        return self.x(self._released)

    def _stacked(self, per_byte: float, ground: float):
        """Each layer with what it is, as rectangles: one for each time it sinks or changes.

        A layer of many arrays comes in pieces where it is gone for a while.
        """
        floor = [0] * len(self.columns)
        least = 0.62 * self.most / HEIGHT  # that there is room for a name
        for buffer, kind, heights in layers_of(
            self.trace, self.columns, self._kind, least, self.long
        ):
            piece: list[tuple[int, int, int]] = []  # column, floor, height
            for c, height in heights:
                low = height * per_byte < SLIVER
                apart = piece and self.columns[c].start != self.columns[piece[-1][0]].stop
                if piece and (low or apart):
                    yield buffer, kind, self._runs(piece, per_byte, ground)
                    piece = []
                if not low:
                    piece.append((c, floor[c], height))
                floor[c] += height
            if piece:
                yield buffer, kind, self._runs(piece, per_byte, ground)

    def _runs(self, piece: list, per_byte: float, ground: float) -> list[Rect]:
        runs: list[Rect] = []
        start = 0
        for n in range(1, len(piece) + 1):
            if n == len(piece) or piece[n][1:] != piece[start][1:]:
                first, floor, height = piece[start]
                left = self._edge(self.columns[first].start)
                right = self.x(self.columns[piece[n - 1][0]].stop)
                low = ground - floor * per_byte
                runs.append((left, low - height * per_byte, right, low))
                start = n
        return runs

    def _edge(self, tick: int) -> float:
        """Where a column begins: after what is left out, if anything is, and not before."""
        begins = any(span.start == tick for span in self.spans[1:])
        return self.x(tick + 1e-9) if begins else self.x(tick)

    def _named(self, buffer, role: Role, rect: Rect) -> list[Diagram]:
        """The name of an array on its block, if there is room for it."""
        left, top, right, low = rect
        for text in (f"{buffer.name} {buffer.shape}", buffer.name, str(buffer.shape)):
            width = width_of(text, TINY)
            if width + 0.5 <= right - left and low - top >= 0.62:
                x, y = (left + right) / 2, (top + low) / 2
                plate = [box(x - width / 2 - 0.12, y - 0.24, width + 0.24, 0.48)]
                ground = polygons(plate).fill_color(role.fill).line_width(0)
                return [ground, label(text, TINY).translate(x, y)]
        return []

    def _outline(self, per_byte: float, floor: float) -> Diagram:
        lines: list[list[Point]] = []
        for n, (start, stop, tick) in enumerate(self.columns):
            if n == 0 or start != self.columns[n - 1].stop:
                lines.append([(self._edge(start), floor)])
            y = floor - self.trace.live_bytes[tick] * per_byte
            lines[-1] += [(self._edge(start), y), (self.x(stop), y)]
        return polylines(lines).line_width(0.15)

    def _inset(self, per_byte: float) -> Diagram:
        """The same again, enlarged, above blocks that are too low to be seen into."""
        high = self.trace.peak_bytes * per_byte
        if not 0 < high < LOW * HEIGHT:
            return empty()
        zoom = zoom_of(0.92 * INSET / high)
        floor = 0.3 + INSET
        frame = polygons([box(0, 0.3, self.width, INSET)]).fill_color(PAPER)
        said = f"the same, {zoom} × as high: {short_bytes(self.trace.peak_bytes)} at its peak"
        note, wide = from_left(said, SMALL, QUIET)
        guides = [[(x, floor), (x, HEIGHT - high - 0.05)] for x in (0.0, self.width)]
        return concat(
            [
                polylines(guides).line_color(THREAD).dashing([2, 3], 0),
                frame.line_color(THREAD),
                self._area(zoom * per_byte, floor),
                polygons([box((self.width - wide) / 2 - 0.1, floor + 0.15, wide + 0.2, 0.6)])
                .fill_color(PAPER)
                .line_width(0),  # so that no line runs through the words
                note.translate((self.width - wide) / 2, floor + 0.45),
            ]
        )

    # What ran.

    def _events(self) -> Diagram:
        """The operations along the axis, named while there is room: what allocates most first."""
        marks, texts = [], []
        taken: list[list[tuple[float, float]]] = [[], [], []]
        events = [e for e in self.trace.events if self._is_drawn(e) and e.stop > e.start]
        for event in sorted(events, key=lambda e: (-e.bytes_allocated, e.start)):
            left, right = self.x(event.start + 1), self.x(event.stop + 1)
            marks.append((left, max(right, left + 0.12) - 0.04))
            half = width_of(event.name, TINY) / 2
            middle = (left + right) / 2
            x = min(max(middle, half), self.width - half)
            for level, row in enumerate(taken):
                if all(x + half + 0.25 < a or b + 0.25 < x - half for a, b in row):
                    row.append((x - half, x + half))
                    y = HEIGHT + 0.66 + 0.5 * level
                    texts.append(label(event.name, TINY, QUIET).translate(x, y))
                    break
        if self.long:
            marks = _joined(marks)
        outlines = [box(left, HEIGHT + 0.14, right - left, 0.16) for left, right in marks]
        left_out = [self._left_out(n) for n, span in enumerate(self.spans) if span.after]
        return concat([polygons(outlines).fill_color(QUIET).line_width(0), *texts, *left_out])

    def _is_drawn(self, event) -> bool:
        return any(span.start <= event.start < span.stop for span in self.spans)

    def _left_out(self, n: int) -> Diagram:
        """Where steps like those beside it are left out."""
        x = self.x(self.spans[n].stop) + GAP / 2
        lines = [f"{self.spans[n].after} more", "like it"]
        texts = [label(t, TINY, QUIET).translate(x, 3.0 + 0.5 * k) for k, t in enumerate(lines)]
        points = polygons(dots((x, HEIGHT - 0.4), (1, 0))).fill_color(INK).line_width(0)
        return concat([points, *texts])

    def _stretches(self) -> list[tuple[str, int, int]]:
        """What is drawn, cut where it turns from one phase to the other."""
        out: list[tuple[str, int, int]] = []
        made = {b.born - 1: b.phase for b in self.trace.buffers}
        turns = {e.start: e.phase for e in self.trace.events} | made
        for start, stop, _ in self.spans:
            inside = sorted(t for t in turns if start <= t < stop)
            out.append((turns[inside[0]] if inside else "forward", start, stop))
            for tick in inside:
                name, begin, end = out[-1]
                if turns[tick] != name:
                    out[-1] = (name, begin, tick + 1)
                    out.append((turns[tick], tick + 1, end))
        return out

    def _phases(self) -> Diagram:
        """The phases beneath, each on a line along it, as far as their names have room."""
        parts = []
        stretches = self._stretches()
        for name, start, stop in stretches:
            left, right = self.x(start + 1e-9) if start else 0.0, self.x(stop)
            alone = len(stretches) <= 2
            if alone or right - left > width_of(name, SMALL) + 0.9:
                parts.append(_phase(name, left, right, HEIGHT + 2.2, self.width))
        return concat(parts)


def _beside(text: str, y: float) -> Diagram:
    """A number at the scale of bytes."""
    return label(text, TINY, QUIET).translate(-0.25 - width_of(text, TINY) / 2, y)


def _phase(name: str, left: float, right: float, y: float, width: float) -> Diagram:
    """What a stretch of time is, on a line along it; beneath, in a plot of ``width``, if narrow."""
    half = width_of(name, SMALL) / 2 + 0.2
    middle = (left + right) / 2
    lines = [[(left + 0.1, y), (middle - half, y)], [(middle + half, y), (right - 0.1, y)]]
    ends = [[(x, y - 0.15), (x, y + 0.15)] for x in (left + 0.1, right - 0.1)]
    if right - left < 2 * half + 0.4:  # no room on the line: beneath it
        x = min(max(middle, half), width - half)
        return polylines([*ends]).line_color(THREAD) + label(name, SMALL, QUIET).translate(
            x, y + 0.5
        )
    note = label(name, SMALL, QUIET).translate(middle, y)
    return polylines([*lines, *ends]).line_color(THREAD) + note


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans, those that touch or nearly do as one."""
    out: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if out and left - out[-1][1] < 0.1:
            out[-1] = (out[-1][0], max(out[-1][1], right))
        else:
            out.append((left, right))
    return out


def _around(runs: list[Rect]) -> list[Point]:
    """The outline of a block that is made of runs side by side."""
    over = [point for left, top, right, _ in runs for point in ((left, top), (right, top))]
    under = [(x, y) for left, _, right, low in runs for x, y in ((left, low), (right, low))]
    return over + under[::-1]

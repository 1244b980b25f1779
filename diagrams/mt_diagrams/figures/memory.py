"""Memory over time, drawn from what ran.

A trace is anything with ``events``, ``buffers``, ``live_bytes`` and ``peak_bytes``, as the ledger
of mtlib has them; nothing of mtlib is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence

from chalk import concat
from chalk.types import Diagram
from colour import Color

from mt_diagrams.figures.traffic import check_traces
from mt_diagrams.pieces.columns import columns_of, is_long, layers_of
from mt_diagrams.pieces.shapes import bytes_in_words, short_bytes
from mt_diagrams.pieces.timeline import around, joined_spans, phase
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.hatch import Rect, hatched, swatch
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import Point, box, polygons, polylines
from mt_diagrams.svg.theme import INK, LILAC, PAPAYA_INK, QUIET, SMALL, STONE, TEXT, THREAD, TINY

WIDTH, HEIGHT = 28.0, 7.0  # of a plot, in cells
SLIVER = 0.03  # an array lower than this is not drawn by itself; the outline still counts it

LONG = (
    " In a long trace, small arrays are added up by what they are, and each column shows the "
    "moment at which it held the most."
)

# What an array is to the computation: its words, its colour and its texture.
ROLES = {
    "result": ("result", aqua, ""),
    "saved": ("saved for backward", papaya, "/"),
    "gradient": ("made going backward", LILAC, "\\"),
    "workspace": ("workspace", STONE, "-"),
}


def memory_timeline(*traces, names: Sequence[str] | None = None) -> Figure:
    """What each trace held in memory from beginning to end, on one scale of bytes.

    Every array is a block over the ticks it was alive, stacked on those made before it, coloured
    and hatched by its role.

    Args:
        traces: traces of what ran, one plot each, from top to bottom.
        names: what to call them; by default their numbers.

    Raises:
        ValueError: if there is no trace, or not one name for each.
    """
    names = check_traces("memory_timeline", traces, names)
    most = max(max(trace.peak_bytes for trace in traces), 1)
    plots, y = [], 0.0
    for trace, name in zip(traces, names, strict=True):
        plots.append(_Plot(trace, most).draw(name).translate(0, y))
        y += HEIGHT + 5.0
    used = {role_of(buffer) for trace in traces for buffer in trace.buffers}
    legend = _legend([role for role in ROLES if role in used]).translate(0, y - 1.9)
    return Figure(
        concat([*plots, legend]),
        "memory of " + ", ".join(names),
        " ".join(_in_words(trace, name) for trace, name in zip(traces, names, strict=True))
        + " Each array is a block over the time it was alive, stacked on the others."
        + (LONG if any(map(is_long, traces)) else ""),
    )


def role_of(buffer) -> str:
    """One of :data:`ROLES`."""
    if buffer.role == "workspace":
        return "workspace"
    if buffer.saved:
        return "saved"
    return "gradient" if buffer.phase == "backward" else "result"


def _in_words(trace, name: str) -> str:
    count = len(trace.buffers)
    return (
        f"{name}: {count} arrays, a peak of {bytes_in_words(trace.peak_bytes)}, "
        f"{saved_in_words(trace)}."
    )


def saved_in_words(trace) -> str:
    """What is saved for backward; what of it the trace did not see made is not drawn."""
    drawn = sum(buffer.nbytes for buffer in trace.buffers if buffer.saved)
    text = f"{bytes_in_words(trace.saved_bytes)} saved for backward"
    before = trace.saved_bytes - drawn
    if before <= 0:
        return text
    return f"{text}, {short_bytes(before) if drawn else 'all'} of it made before"


class _Plot:
    """One trace: the lower left corner of its axes at (0, HEIGHT)."""

    def __init__(self, trace, most: int):
        self.trace = trace
        self.most = most  # bytes: the top of the scale
        self.per_byte = HEIGHT / most
        self.ticks = len(trace.live_bytes)
        self.columns = columns_of(trace)

    def x(self, tick: float) -> float:
        return tick * WIDTH / self.ticks

    def y(self, count: float) -> float:
        return HEIGHT - count * self.per_byte

    def draw(self, name: str) -> Diagram:
        return concat([self._axes(), self._blocks(), self._outline(), self._title(name)]) + concat(
            [self._peak(), self._events(), self._phases()]
        )

    def _title(self, name: str) -> Diagram:
        saved = saved_in_words(self.trace)
        width = width_of(name, TEXT, bold=True)
        title = label(name, TEXT, INK, bold=True).translate(width / 2, -1.45)
        half = width_of(saved, SMALL) / 2
        return title + label(saved, SMALL, QUIET).translate(WIDTH - half, -1.45)

    def _axes(self) -> Diagram:
        scale = polylines([[(0, 0), (0, HEIGHT)], [(0, HEIGHT), (WIDTH, HEIGHT)]])
        marks = [_beside("0", HEIGHT, QUIET)]
        if self.trace.peak_bytes < 0.9 * self.most:  # else the peak is marked there
            marks.append(_beside(short_bytes(self.most), 0, QUIET))
        if (turn := self._turn()) is not None:  # behind the blocks, so as not to cross their names
            line = polylines([[(turn, -0.2), (turn, HEIGHT)]])
            marks.append(line.line_color(THREAD).dashing([3, 3], 0))
        return concat([scale.line_color(THREAD), *marks])

    def _blocks(self) -> Diagram:
        """The arrays, each a stepped block: it sinks when one beneath it is freed."""
        outlines: dict[str, list[list[Point]]] = {role: [] for role in ROLES}
        rects: dict[str, list[Rect]] = {role: [] for role in ROLES}
        labels = []
        for buffer, role, runs in self._stacked():
            outlines[role].append(around(runs))
            rects[role] += runs
            if buffer is not None:
                labels += self._named(buffer, role, max(runs, key=lambda r: r[2] - r[0]))
        drawn = [role for role in ROLES if outlines[role]]
        areas = [polygons(outlines[role]).fill_color(ROLES[role][1]) for role in drawn]
        edges = [polylines([[*o, o[0]] for o in outlines[role]]) for role in drawn]
        lines = [hatched(rects[role], ROLES[role][2]) for role in drawn]
        return concat([*areas, *lines, *edges, *labels])

    def _stacked(self):
        """Each layer with its role, as rectangles: one for each time it sinks or changes.

        A layer of many arrays comes in pieces where it is gone for a while.
        """
        floor = [0] * len(self.columns)
        least = 0.62 / self.per_byte  # that there is room for a name
        for buffer, role, heights in layers_of(self.trace, self.columns, role_of, least):
            piece: list[tuple[int, int, int]] = []  # column, floor, height
            for c, height in heights:
                low = height * self.per_byte < SLIVER
                if piece and low:
                    yield buffer, role, self._runs(piece)
                    piece = []
                if not low:
                    piece.append((c, floor[c], height))
                floor[c] += height
            if piece:
                yield buffer, role, self._runs(piece)

    def _runs(self, piece: list[tuple[int, int, int]]) -> list[Rect]:
        runs: list[Rect] = []
        start = 0
        for n in range(1, len(piece) + 1):
            if n == len(piece) or piece[n][1:] != piece[start][1:]:
                first, floor, height = piece[start]
                left = self.x(self.columns[first].start)
                right = self.x(self.columns[piece[n - 1][0]].stop)
                runs.append((left, self.y(floor + height), right, self.y(floor)))
                start = n
        return runs

    def _named(self, buffer, role: str, rect: Rect) -> list[Diagram]:
        """The name of an array on its block, if there is room for it."""
        left, top, right, bottom = rect
        for text in (f"{buffer.name} {buffer.shape}", buffer.name, str(buffer.shape)):
            width = width_of(text, TINY)
            if width + 0.5 <= right - left and bottom - top >= 0.62:
                x, y = (left + right) / 2, (top + bottom) / 2
                ground = polygons([box(x - width / 2 - 0.12, y - 0.24, width + 0.24, 0.48)])
                ground = ground.fill_color(ROLES[role][1]).line_width(0)
                return [ground, label(text, TINY).translate(x, y)]
        return []

    def _outline(self) -> Diagram:
        points: list[Point] = [(0, HEIGHT)]
        for start, stop, tick in self.columns:
            y = self.y(self.trace.live_bytes[tick])
            points += [(self.x(start), y), (self.x(stop), y)]
        return polylines([points]).line_width(0.15)

    def _peak(self) -> Diagram:
        peak = self.trace.peak_bytes
        tick = self.trace.live_bytes.index(peak)
        y = self.y(peak)
        text = f"peak {bytes_in_words(peak)}"
        half = width_of(text, SMALL, bold=True) / 2
        x = min(max(self.x(tick + 0.5), half), WIDTH - half)
        line = polylines([[(0, y), (WIDTH, y)]]).line_color(PAPAYA_INK).dashing([4, 3], 0)
        note = label(text, SMALL, PAPAYA_INK, bold=True).translate(x, y - 0.42)
        if y > HEIGHT - 0.6:  # too near the zero
            return line + note
        return concat([line, note, _beside(short_bytes(peak), y, PAPAYA_INK)])

    def _events(self) -> Diagram:
        """The operations along the axis, named while there is room: what allocates most first."""
        marks, texts = [], []
        taken: list[list[tuple[float, float]]] = [[], []]
        events = sorted(self.trace.events, key=lambda e: (-e.bytes_allocated, e.start))
        for event in events:
            left = self.x(event.start + 1)
            right = self.x(event.stop + 1) if event.stop > event.start else left + 0.12
            marks.append((left, max(right, left + 0.12) - 0.04))
            if event.stop == event.start:
                continue  # a view: it makes nothing
            half = width_of(event.name, TINY) / 2
            x = min(max((left + right) / 2, half), WIDTH - half)
            for level, row in enumerate(taken):
                if all(x + half + 0.25 < a or b + 0.25 < x - half for a, b in row):
                    row.append((x - half, x + half))
                    y = HEIGHT + 0.66 + 0.5 * level
                    texts.append(label(event.name, TINY, QUIET).translate(x, y))
                    break
        if is_long(self.trace):
            marks = joined_spans(marks)
        outlines = [box(left, HEIGHT + 0.14, right - left, 0.16) for left, right in marks]
        return polygons(outlines).fill_color(QUIET).line_width(0) + concat(texts)

    def _turn(self) -> float | None:
        """Where going forward ends and going backward begins; None if it never does."""
        starts = [e.start + 1 for e in self.trace.events if e.phase == "backward"]
        starts += [b.born for b in self.trace.buffers if b.phase == "backward"]
        return self.x(min(starts)) if starts else None

    def _phases(self) -> Diagram:
        turn, y = self._turn(), HEIGHT + 1.75
        if turn is None:
            return phase("forward", 0, WIDTH, y, WIDTH)
        if self._turns_again():
            return phase("forward and backward, in turn", 0, WIDTH, y, WIDTH)
        return phase("forward", 0, turn, y, WIDTH) + phase("backward", turn, WIDTH, y, WIDTH)

    def _turns_again(self) -> bool:
        """Whether anything goes forward after something went backward."""
        phases = [e.phase for e in sorted(self.trace.events, key=lambda e: e.start)]
        return "backward" in phases and "forward" in phases[phases.index("backward") :]


def _beside(text: str, y: float, color: Color) -> Diagram:
    """A number at the scale of bytes."""
    return label(text, TINY, color).translate(-0.25 - width_of(text, TINY) / 2, y)


def _legend(roles: list[str]) -> Diagram:
    parts, x = [], 0.0
    for role in roles:
        words, color, texture = ROLES[role]
        width = width_of(words, SMALL)
        parts.append(swatch(color, texture).translate(x + 0.55, 0))
        parts.append(label(words, SMALL).translate(x + 1.4 + width / 2, 0))
        x += 2.4 + width
    return concat(parts)

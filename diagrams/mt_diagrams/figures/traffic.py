"""What moves between memory and processor, side by side: the argument for fusing."""

from __future__ import annotations

from collections.abc import Sequence

from chalk import concat
from chalk.types import Diagram

from mt_diagrams.pieces.layout import fitted, from_left
from mt_diagrams.pieces.ledger import Ledger
from mt_diagrams.pieces.legend import filled, with_legend
from mt_diagrams.pieces.scale import ticks_of, times, zoom_of
from mt_diagrams.pieces.shapes import bytes_in_words, short_bytes
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.hatch import hatched
from mt_diagrams.svg.lettering import label
from mt_diagrams.svg.roles import GRADIENT, INTERMEDIATE, OPERANDS, RESULT
from mt_diagrams.svg.strokes import box, polygons, polylines
from mt_diagrams.svg.theme import INK, MIST, QUIET, SMALL, TEXT, THREAD, TINY

WIDTH = 27.0
BAR = 0.9
STACKED = (OPERANDS, INTERMEDIATE, RESULT, GRADIENT)  # from left to right
SMALL_BAR = 0.2  # of the width: one that is shorter is drawn again, enlarged


def traffic_bar(
    *traces, names: Sequence[str] | None = None, predicted: Sequence[int | None] | None = None
) -> Figure:
    """The bytes that each trace must move between memory and processor, on one scale.

    An operation moves each distinct element of what goes in and of what comes out once.  A bar is
    stacked by what that was; what of it is saved for backward is hatched.  A short bar is drawn
    once more, enlarged.

    Args:
        traces: traces of what ran, with ``events`` and ``buffers``.
        names: what to call them; by default their numbers.
        predicted: bytes for each, or None, that stand as a ghost behind what was measured.

    Raises:
        ValueError: if there is no trace, or not one name or one prediction for each.
    """
    who = "traffic_bar"
    names = check_traces(who, traces, names)
    guesses = [None] * len(traces) if predicted is None else list(predicted)
    if len(guesses) != len(traces):
        raise ValueError(f"{who}: {len(traces)} traces but {len(guesses)} predictions")
    ledgers = [Ledger(trace) for trace in traces]
    totals = [ledger.total for ledger in ledgers]
    most = max(1, *totals, *(guess or 0 for guess in guesses))
    scale = WIDTH / most
    parts, words, y = [], [], 0.0
    largest = totals.index(max(totals))
    for ledger, total, guess, name in zip(ledgers, totals, guesses, names, strict=True):
        less = ""
        if 0 < total < totals[largest]:
            than = fitted(names[largest], SMALL, 6.0, bold=True)
            less = f"{times(totals[largest], total)} less than {than}"
        row, height = _row(ledger, name, guess, less, scale)
        parts.append(row.translate(0, y))
        words.append(_in_words(ledger, name, guess, less))
        y += height
    saved = any(b.saved for trace in traces for b in trace.buffers)
    used = {role for ledger in ledgers for role, count in ledger.by_role().items() if count}
    return Figure(
        with_legend(
            concat([*parts, _axis(most, y)]), [role for role in STACKED if role in used], saved
        ),
        "bytes moved by " + ", ".join(names),
        " ".join(words) + " Each distinct element of what an operation reads and writes is counted "
        "once, and views not at all.",
    )


def check_traces(who: str, traces: Sequence, names: Sequence[str] | None) -> list[str]:
    """The names of ``traces``, or ValueError if they cannot be drawn."""
    if not traces:
        raise ValueError(f"{who}: needs at least one trace")
    names = [f"trace {n + 1}" for n in range(len(traces))] if names is None else list(names)
    if len(names) != len(traces):
        raise ValueError(f"{who}: {len(traces)} traces but {len(names)} names")
    return names


def _in_words(ledger: Ledger, name: str, guess: int | None, less: str) -> str:
    sums = ledger.by_role()
    some = ", ".join(f"{short_bytes(sums[r])} {r.words}" for r in STACKED if sums.get(r))
    text = f"{name}: {bytes_in_words(ledger.total)} moved" + (f", of them {some}" if some else "")
    if guess is not None:
        text += f"; predicted were {bytes_in_words(guess)}"
    return text + (f"; {less}." if less else ".")


def _row(ledger: Ledger, name: str, guess: int | None, less: str, scale: float):
    """One trace: its name and numbers, its bar, and the bar enlarged; and how high that is."""
    total = ledger.total
    title, at = from_left(fitted(name, TEXT, 6.0, bold=True), TEXT, INK, bold=True)
    for in_words in (bytes_in_words, short_bytes):  # the second, if there is no room for the first
        text = f"{in_words(total)} moved" + (f": {less}" if less else "")
        numbers, taken = from_left(text, SMALL, INK, bold=bool(less))
        foreseen = "" if guess is None else f"predicted {in_words(guess)}"
        said, wide = from_left(foreseen, SMALL, QUIET)
        if at + taken + wide + 1.4 <= WIDTH:
            break
    parts = [title, numbers.translate(at + 0.7, 0)]
    if guess is not None:
        parts.append(said.translate(WIDTH - wide, 0))
        ghost = polygons([box(0, 0.6, guess * scale, BAR + 0.4)]).fill_color(MIST)
        parts.append(ghost.line_color(QUIET).dashing([4, 3], 0))
    parts.append(_bar(ledger, scale, 0.8))
    height = BAR + 1.9
    if 0 < total * scale < SMALL_BAR * WIDTH:
        zoom = zoom_of(WIDTH / (total * scale))
        top = BAR + 1.9
        ends = [[(x, 0.8 + BAR), (zoom * x, top)] for x in (0.0, total * scale)]
        parts.append(polylines(ends).line_color(THREAD).dashing([2, 3], 0))
        parts.append(_bar(ledger, zoom * scale, top))
        note, wide = from_left(f"the same bar, {zoom} × as long", SMALL, QUIET)
        parts.append(note.translate(WIDTH - wide, top + BAR + 0.45))
        height = top + BAR + 1.6
    return concat(parts), height


def _bar(ledger: Ledger, scale: float, top: float) -> Diagram:
    """The bytes of a trace stacked by role, what is saved of each hatched at its start."""
    sums = ledger.by_role()
    parts, x = [], 0.0
    for role in STACKED:
        wide = sums.get(role, 0) * scale
        if not wide:
            continue
        parts.append(filled([(x, top, x + wide, top + BAR)], role))
        kept = min(ledger.saved(role), sums[role]) * scale
        parts.append(hatched([(x, top, x + kept, top + BAR)], "/" if kept else ""))
        x += wide
    return concat(parts)


def _axis(most: int, y: float) -> Diagram:
    """The scale of bytes beneath all the bars."""
    marks, texts = [[(0.0, y), (WIDTH, y)]], []
    for value in ticks_of(most):
        x = value * WIDTH / most
        marks.append([(x, y), (x, y + 0.16)])
        texts.append(label(short_bytes(value), TINY, QUIET).translate(x, y + 0.5))
    return concat([polylines(marks).line_color(THREAD), *texts])

"""How many elements were read and written, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from chalk import concat
from chalk.types import Diagram

from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.hatch import hatched
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import box, polygons, polylines
from mt_diagrams.svg.theme import INK, SMALL, TEXT, THREAD

WIDTH = 18.0
BAR = 0.8

# Reads and writes: colour and texture.
LOOKS = {"reads": (aqua, ""), "writes": (papaya, "/")}


def traffic_bar(*traces, names: Sequence[str] | None = None) -> Figure:
    """Elements read and written by each trace, as bars on one scale.

    Args:
        traces: anything with ``events`` that count their ``reads`` and ``writes``.
        names: what to call them; by default their numbers.

    Raises:
        ValueError: if there is no trace, or not one name for each.
    """
    names = check_traces("traffic_bar", traces, names)
    counts = [
        {kind: sum(getattr(event, kind) for event in trace.events) for kind in LOOKS}
        for trace in traces
    ]
    most = max(1, *(count for pair in counts for count in pair.values()))
    bars, y = [], 0.0
    for pair, name in zip(counts, names, strict=True):
        bars.append(_bars(pair, name, WIDTH / most).translate(0, y))
        y += 3.5
    words = [
        f"{name}: {pair['reads']:,} elements read and {pair['writes']:,} written."
        for pair, name in zip(counts, names, strict=True)
    ]
    return Figure(concat(bars), "reads and writes of " + ", ".join(names), " ".join(words))


def check_traces(who: str, traces: Sequence, names: Sequence[str] | None) -> list[str]:
    """The names of ``traces``, or ValueError if they cannot be drawn."""
    if not traces:
        raise ValueError(f"{who}: needs at least one trace")
    names = [f"trace {n + 1}" for n in range(len(traces))] if names is None else list(names)
    if len(names) != len(traces):
        raise ValueError(f"{who}: {len(traces)} traces but {len(names)} names")
    return names


def _bars(pair: dict[str, int], name: str, per_element: float) -> Diagram:
    parts = [label(name, TEXT, INK, bold=True).translate(width_of(name, TEXT, bold=True) / 2, 0)]
    for n, (kind, (color, texture)) in enumerate(LOOKS.items()):
        top = 0.55 + n * (BAR + 0.2)
        length = pair[kind] * per_element
        text = f"{pair[kind]:,}"
        parts += [
            label(kind, SMALL).translate(-0.3 - width_of(kind, SMALL) / 2, top + BAR / 2),
            polygons([box(0, top, length, BAR)]).fill_color(color),
            hatched([(0, top, length, top + BAR)], texture),
            label(text, SMALL).translate(length + 0.3 + width_of(text, SMALL) / 2, top + BAR / 2),
        ]
    axis = polylines([[(0, 0.4), (0, 0.7 + 2 * (BAR + 0.2))]]).line_color(THREAD)
    return concat([*parts, axis])

"""Memory over time, drawn from what ran: plots side by side on one scale.

A trace is anything with ``events``, ``buffers``, ``live_bytes`` and ``peak_bytes``, as the ledger
of mtlib has them; nothing of mtlib is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence

from mt_diagrams.figures.traffic import check_traces
from mt_diagrams.pieces.layout import FITS, row, under
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.plot import LEFT, Plot
from mt_diagrams.pieces.shapes import bytes_in_words, short_bytes
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.roles import OPERANDS, ROLES

BETWEEN = 0.8  # two plots side by side

LONG = (
    " In a long trace, small arrays are added up by what they are, and each column shows the "
    "moment at which it held the most."
)


def memory_timeline(*traces, names: Sequence[str] | None = None) -> Figure:
    """What each trace held in memory from beginning to end, on one scale of bytes.

    Every array is a block over the ticks it was alive, stacked on those made before it, in the
    colour of its role, and hatched while it is saved for backward.  Of steps that repeat, as in
    training, the first, the fullest and the last are drawn.  What is small beside the others is
    drawn once more, enlarged.

    Args:
        traces: traces of what ran, one plot each, two side by side.
        names: what to call them; by default their numbers.

    Raises:
        ValueError: if there is no trace, or not one name for each.
    """
    names = check_traces("memory_timeline", traces, names)
    peaks = [trace.peak_bytes for trace in traces]
    largest = peaks.index(max(peaks))
    width = FITS - LEFT if len(traces) == 1 else (FITS - BETWEEN) / 2 - LEFT
    plots = [
        Plot(trace, name, max(peaks[largest], 1), names[largest], width)
        for trace, name in zip(traces, names, strict=True)
    ]
    pairs = [plots[n : n + 2] for n in range(0, len(plots), 2)]
    drawing = under([row([plot.draw() for plot in pair], BETWEEN) for pair in pairs])
    used = {kind[0] for plot in plots for kind in plot.kinds}
    return Figure(
        with_legend(
            drawing,
            [role for role in (OPERANDS, *ROLES) if role in used],
            any(kept for plot in plots for _, kept in plot.kinds),
        ),
        "memory of " + ", ".join(names),
        " ".join(_in_words(plot) for plot in plots)
        + " Each array is a block over the time it was alive, stacked on the others."
        + (LONG if any(plot.long for plot in plots) else ""),
    )


def _in_words(plot: Plot) -> str:
    count, trace = len(plot.trace.buffers), plot.trace
    text = f"{plot.name}: {count} arrays, a peak of {bytes_in_words(trace.peak_bytes)}"
    text += f", {plot.less}" if plot.less else ""
    text += f", {bytes_in_words(trace.saved_bytes)} saved for backward"
    before = plot.saved_before
    text += f", {short_bytes(before)} of them in operands that were there before" if before else ""
    left_out = sum(span.after for span in plot.spans)
    return text + (f"; {left_out} steps like those drawn are left out." if left_out else ".")

"""Online softmax: what is kept after each value, the maximum and the sum, and the terms of it."""

from __future__ import annotations

from math import exp

import numpy as np
from chalk import concat
from chalk.types import Diagram

from mt_diagrams.pieces.cells import paint
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.values import real_values, short_number
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label
from mt_diagrams.svg.roles import FIRST, INTERMEDIATE, RESULT
from mt_diagrams.svg.strokes import box, polygons, polylines
from mt_diagrams.svg.theme import CELL, INK, QUIET, SMALL, TEXT, THREAD, TINY

WIDE = 1.9  # a column
TALL = 3.6  # a bar of 1
MOST = 12
LINES = 2


def frames_of_softmax(values) -> list[Figure]:
    """A figure after each value, and one of the result; see ``step_online_softmax``."""
    who = "step_online_softmax"
    x = real_values(who, values)
    if x.ndim != 1 or not 1 <= len(x) <= MOST:
        raise ValueError(f"{who}: shape {x.shape}: needs one row of 1 to {MOST} values")
    if not np.isfinite(x).all():
        at = int(np.flatnonzero(~np.isfinite(x))[0])
        raise ValueError(f"{who}: value {at} is {x[at]}, must be finite")
    x = [float(v) for v in x]
    figures, m, s = [], None, 0.0
    for t, value in enumerate(x):
        before, m = m, value if m is None else max(m, value)
        rescale = 1.0 if before is None else exp(before - m)
        kept, s = s, s * rescale + exp(value - m)
        figures.append(_step(x, t, before, m, kept, s))
    return [*figures, _result(x, m, s)]


def _step(x: list[float], t: int, before, m: float, kept: float, s: float) -> Figure:
    new, old = short_number(x[t]), "" if before is None else short_number(before)
    if before is None:
        lines = [f"m = x[0] = {new}", f"s = e^(x[0] − m) = {_number(s)}"]
        title = f"x[0] = {new}: the first maximum"
    else:
        grown = m > before
        factor = f" · e^({old} − {_bracketed(m)})" if grown else ""
        lines = [
            f"m = max({old}, {new}) = {short_number(m)}",
            f"s = {_number(kept)}{factor} + e^({new} − {_bracketed(m)}) = {_number(s)}",
        ]
        title = f"x[{t}] = {new}: " + (
            "a new maximum, so the sum so far shrinks" if grown else "one more term of the sum"
        )
    terms = [exp(value - m) for value in x[: t + 1]]
    shrunk = [] if before is None else [exp(value - before) for value in x[:t]]
    drawing = _drawing(x, t, terms, shrunk if before != m else [], lines, "e^(x − m)")
    return Figure(
        drawing,
        title,
        f"Of {len(x)} values, {t + 1} read: the maximum so far is {short_number(m)}, the sum of "
        f"e^(x − m) is {_number(s)}. Bars show its {t + 1} terms.",
    )


def _result(x: list[float], m: float, s: float) -> Figure:
    parts = [exp(value - m) / s for value in x]
    lines = ["softmax(x) = e^(x − m) / s", f"m = {short_number(m)}, s = {_number(s)}"]
    return Figure(
        _drawing(x, None, parts, [], lines, "softmax(x)"),
        "the maximum and the sum are all that a second pass needs",
        f"The softmax of {len(x)} values, as bars that add up to 1: "
        f"{', '.join(_number(p) for p in parts)}.",
    )


def _number(value: float) -> str:
    return f"{value:.2f}"


def _bracketed(value: float) -> str:
    text = short_number(value)
    return f"({text})" if text.startswith("-") else text


def _drawing(x, t, terms, shrunk, lines, what: str) -> Diagram:
    """The values in a row, the bars above them, the sums in words beneath."""
    count = len(x)
    width = max(count * WIDE, 15.0)
    left = (width - count * WIDE) / 2

    def paint_of(n: int):
        return CELL if t is not None and n > t else FIRST.fill if n == t else FIRST.tint

    cells = paint((box(left + n * WIDE, 0, WIDE, 1), paint_of(n)) for n in range(count))
    texts = [
        label(short_number(v), SMALL).translate(left + (n + 0.5) * WIDE, 0.5)
        for n, v in enumerate(x)
    ]
    texts += [
        label(str(n), TINY, QUIET).translate(left + (n + 0.5) * WIDE, 1.3) for n in range(count)
    ]
    texts.append(label("x", SMALL, QUIET, bold=True).translate(left - 0.5, 0.5))
    texts.append(label(what, SMALL, QUIET).translate(left + count * WIDE / 2, -TALL - 1.75))
    bars, outlines = [], []
    for n, term in enumerate(terms):
        edge = left + n * WIDE + 0.45
        high, wide = max(term * TALL, 0.02), WIDE - 0.9
        look = RESULT.fill if t is None else INTERMEDIATE.fill if n == t else INTERMEDIATE.tint
        bars.append(polygons([box(edge, -0.5 - high, wide, high)]).fill_color(look))
        top = -0.5 - high
        if n < len(shrunk):
            tall = shrunk[n] * TALL
            outlines.append(
                [(edge, -0.5), (edge, -0.5 - tall), (edge + wide, -0.5 - tall), (edge + wide, -0.5)]
            )
            top = min(top, -0.5 - tall)
        texts.append(label(_number(term), TINY).translate(left + (n + 0.5) * WIDE, top - 0.28))
    ground = polylines([[(left, -0.5), (left + count * WIDE, -0.5)]]).line_color(THREAD)
    before = polylines(outlines).line_color(INK).dashing([3, 2], 0)
    for n, line in enumerate(lines):
        texts.append(label(line, TEXT, INK, "mono").translate(width / 2, 2.25 + 0.8 * n))
    if shrunk:
        note = "dashed: the same terms before the maximum grew"
        texts.append(label(note, SMALL, INK).translate(width / 2, 2.25 + 0.8 * LINES))
    drawing = concat([ground, before, *bars, cells, *texts])
    return with_legend(drawing, [FIRST, RESULT if t is None else INTERMEDIATE])

"""The fused loop nest: the loops as nested frames, and what one step of them touches."""

from __future__ import annotations

from chalk import concat
from chalk.types import Diagram

from .drawing import aqua, papaya
from .elide import Axis, axis
from .figure import Figure
from .grids import grid
from .layout import row
from .lettering import label, width_of
from .matmul import ORIGIN
from .shapes import check_cell, matmul_shape
from .strokes import Point, box, polygons, polylines, sides
from .theme import (
    AQUA_TINT,
    CELL,
    INK,
    PAPAYA_INK,
    PAPAYA_TINT,
    QUIET,
    SMALL,
    TEXT,
    THREAD,
)

PITCH = 1.05  # from one line of code to the next
INDENT = 0.9
WIDTH = 20.5
LIMIT = 6


def image_loop_nest(
    a=ORIGIN[0], b=ORIGIN[1], cell: tuple[int, int] = (0, 0), *, step: int | None = None
) -> Figure:
    """The loops of a fused matrix multiplication, one step of them highlighted.

    Args:
        a, b: arrays, tensors or shapes of the two matrices, M and N.
        cell: the output index ``(i, j)`` that the outer loops have reached.
        step: the k that the inner loop has reached; the second, if there are two.

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the loops never reach that step.

    >>> image_loop_nest()
    <Figure: loop nest of (2, 4) @ (4, 3)>
    """
    who = "image_loop_nest"
    m, k, n = matmul_shape(who, a, b)
    check_cell(who, cell, (m, n))
    now = min(1, k - 1) if step is None else step
    if not 0 <= now < k:
        raise IndexError(f"{who}: step {now} is outside range({k})")
    i, j = cell
    drawing = row([_code(m, k, n, i, j, now), _operands(m, k, n, i, j, now)], 1.6)
    return Figure(
        drawing,
        f"loop nest of {(m, k)} @ {(k, n)}",
        f"Three nested loops: i in range({m}) and j in range({n}) walk the output, k in range({k}) "
        f"is reduced. Inside, M[i, k] and N[k, j] are zipped and added to a total in a register, "
        f"which is written to out[i, j] once. The step i = {i}, j = {j}, k = {now} is highlighted: "
        f"it reads M{[i, now]} and N{[now, j]}, and nothing of size m·k·n is ever stored.",
    )


def _code(m: int, k: int, n: int, i: int, j: int, now: int) -> Diagram:
    """The loops, each a frame around what it repeats, and the register as it stands."""
    lines = [
        (0, f"for i in range({m}):", f"output index, now {i}"),
        (1, f"for j in range({n}):", f"output index, now {j}"),
        (2, "total = 0.0", "a register"),
        (2, f"for k in range({k}):", f"reduced, now {now}"),
        (3, "total += M[i, k] * N[k, j]", "zipped, never stored"),
        (2, "out[i, j] = total", "written once"),
    ]
    parts = [
        _frame(0, 0, 5, 1),
        _frame(1, 1, 5, 0),
        _frame(2, 3, 4, 0).line_color(PAPAYA_INK).fill_color(PAPAYA_TINT),
    ]
    for number, (depth, code, note) in enumerate(lines):
        y = number * PITCH
        start = 0.45 + depth * INDENT
        color = PAPAYA_INK if note.startswith("reduced") else QUIET
        parts += [_from_left(code, start, y), _to_right(note, WIDTH - 1.2, y, color)]
    y = len(lines) * PITCH + 0.9
    note = "in the register, after this step:"
    parts.append(_to_right(note, 0.45 + width_of(note, SMALL), y, QUIET))
    parts.append(_from_left(f"total = {_so_far(i, j, now)}", 0.45, y + 0.9))
    return _centred_upright(concat(parts))


def _from_left(code: str, x: float, y: float) -> Diagram:
    width = width_of(code, TEXT, "mono")
    return label(code, TEXT, INK, "mono").translate(x + width / 2, y)


def _to_right(note: str, x: float, y: float, color) -> Diagram:
    return label(note, SMALL, color).translate(x - width_of(note, SMALL) / 2, y)


def _so_far(i: int, j: int, now: int) -> str:
    """What the register holds, in short: the first products and the last."""
    terms = [f"M[{i},{k}]·N[{k},{j}]" for k in sorted({0, now})]
    return (" + … + " if now > 1 else " + ").join(terms)


def _frame(depth: int, first: int, last: int, inside: int) -> Diagram:
    """A frame around lines ``first`` to ``last``, set in by its depth.

    It leaves room beneath for the bottom edges of the ``inside`` frames that end with it.
    """
    left, right = depth * INDENT, WIDTH - 0.4 * depth
    top, bottom = (first - 0.5) * PITCH, (last + 0.5) * PITCH + 0.25 * inside
    return polygons([box(left, top, right - left, bottom - top)]).line_color(THREAD)


def _operands(m: int, k: int, n: int, i: int, j: int, now: int) -> Diagram:
    """M, N and the output laid out so that rows and columns meet: N above it, M beside it."""
    ms, ks, ns = axis(m, LIMIT, (i,)), axis(k, LIMIT, (now,)), axis(n, LIMIT, (j,))
    gap = 1.5
    left = grid(ms, ks, "a", lambda r, c: _lit(r == i, c == now, papaya, PAPAYA_TINT))
    above = grid(ks, ns, "b", lambda r, c: _lit(c == j, r == now, aqua, AQUA_TINT))
    out = grid(ms, ns, "c", lambda r, c: (papaya, aqua) if (r, c) == (i, j) else CELL)
    x, y = (len(ks) + len(ns)) / 2 + gap, (len(ks) + len(ms)) / 2 + gap
    placed = [
        left,
        above.translate(x, -y),
        out.translate(x, 0),
        _guides(ms, ks, ns, i, j, gap, x, y),
        label(f"M {(m, k)}", TEXT).translate(0, len(ms) / 2 + 0.6),
        label(f"N {(k, n)}", TEXT).translate(x, -y - len(ks) / 2 - 0.55),
        label(f"out {(m, n)}", TEXT).translate(x, len(ms) / 2 + 0.6),
    ]
    return _centred_upright(concat(placed))


def _lit(on_line: bool, on_step: bool, strong, pale):
    if not on_line:
        return CELL
    return strong if on_step else pale


def _guides(ms: Axis, ks: Axis, ns: Axis, i: int, j: int, gap: float, x: float, y: float):
    """Dashes from row i of M, and from column j of N, to the cell they make."""
    row_y = ms.slot(i) + 0.5 - len(ms) / 2
    col_x = x + ns.slot(j) + 0.5 - len(ns) / 2
    lines: list[list[Point]] = [
        [(len(ks) / 2 + 0.12, row_y), (x + ns.slot(j) - len(ns) / 2 - 0.05, row_y)],
        [(col_x, -y + len(ks) / 2 + 0.12), (col_x, ms.slot(i) - len(ms) / 2 - 0.05)],
    ]
    return polylines(lines).line_color(THREAD).dashing([3, 3], 0)


def _centred_upright(drawing: Diagram) -> Diagram:
    """``drawing``, its middle on the line y = 0."""
    _, top, _, bottom = sides(drawing)
    return drawing.translate(0, -(top + bottom) / 2)

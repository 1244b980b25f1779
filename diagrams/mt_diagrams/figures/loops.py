"""The fused loop nest: the loops as nested frames, and what one step of them touches."""

from __future__ import annotations

from chalk import concat
from chalk.types import Diagram

from mt_diagrams.figures.matmul import ORIGIN
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.layout import wrapped
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, matmul_shape
from mt_diagrams.pieces.stacks import ASIDE, empty_product, layers, sheaf
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import FIRST, RESULT, SECOND, Role
from mt_diagrams.svg.strokes import Point, box, polygons, polylines, sides
from mt_diagrams.svg.theme import CELL, INK, MIST, QUIET, SMALL, TEXT, THREAD

PITCH = 1.05  # from one line of code to the next
INDENT = 0.9
WIDTH = 20.5
LIMIT = 6


def image_loop_nest(
    a=ORIGIN[0], b=ORIGIN[1], cell: tuple[int, int] = (0, 0), *, step: int | None = None
) -> Figure:
    """The loops of a fused matrix multiplication, one step of them highlighted.

    Args:
        a, b: arrays, tensors or shapes of the two operands, M and N: matrices or stacks of them.
        cell: the output index ``(i, j)`` that the outer loops have reached.
        step: the k that the inner loop has reached; the second, if there are two.

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the loops never reach that step.

    >>> image_loop_nest()
    <Figure: loop nest of (2, 4) @ (4, 3)>
    """
    who = "image_loop_nest"
    p = matmul_shape(who, a, b)
    if p.empty:
        return empty_product(p)
    m, k, n = p[:3]
    check_cell(who, cell, (m, n))
    now = min(1, k - 1) if step is None else step
    if not 0 <= now < k:
        raise IndexError(f"{who}: step {now} is outside range({k})")
    i, j = cell
    drawing = wrapped([[_code(p, i, j, now)], [_operands(p, i, j, now)]], 1.6)
    each = f"For each of the {p.stack[0]} matrices of the stack: three" if p.stack else "Three"
    first = [[0] * (len(shape) - 2) for shape in (p.left, p.right)]
    one, other = _at(p.left, "M", "i, k"), _at(p.right, "N", "k, j")
    return Figure(
        with_legend(drawing, [FIRST, SECOND, RESULT]),
        f"loop nest of {p.left} @ {p.right}",
        f"{each} nested loops: i in range({m}) and j in range({n}) walk the output, k in "
        f"range({k}) is reduced. Inside, {one} and {other} are zipped and added to a total in a "
        f"register, which is written to {_at(p.out, 'out', 'i, j')} once. "
        f"The step {'b = 0, ' if p.stack else ''}i = {i}, j = {j}, k = {now} is highlighted: it "
        f"reads M{[*first[0], i, now]} and N{[*first[1], now, j]}, and nothing of size m·k·n is "
        f"ever stored.",
    )


def _at(shape: Shape, name: str, index: str) -> str:
    """An element of an operand, in code: with the index of the stack, if it has one."""
    stack = "" if len(shape) == 2 else "0, " if layers(shape) == 1 else "b, "
    return f"{name}[{stack}{index}]"


def _code(p: MatmulShape, i: int, j: int, now: int) -> Diagram:
    """The loops, each a frame around what it repeats, and the register as it stands."""
    m, k, n = p[:3]
    product = f"{_at(p.left, 'M', 'i, k')} * {_at(p.right, 'N', 'k, j')}"
    deep = len(p.stack)
    lines = [(0, f"for b in range({count}):", "output index, now 0") for count in p.stack]
    lines += [
        (deep, f"for i in range({m}):", f"output index, now {i}"),
        (deep + 1, f"for j in range({n}):", f"output index, now {j}"),
        (deep + 2, "total = 0.0", "a register"),
        (deep + 2, f"for k in range({k}):", f"reduced, now {now}"),
        (deep + 3, f"total += {product}", "zipped, never stored"),
        (deep + 2, f"{_at(p.out, 'out', 'i, j')} = total", "written once"),
    ]
    last = deep + 5
    parts = [_frame(d, d, last, deep + 1 - d) for d in range(deep + 2)]
    reduced = _frame(deep + 2, deep + 3, deep + 4, 0)
    parts.append(reduced.line_color(INK).fill_color(MIST))
    for number, (depth, code, note) in enumerate(lines):
        y = number * PITCH
        start = 0.45 + depth * INDENT
        color = INK if note.startswith("reduced") else QUIET
        parts += [_from_left(code, start, y), _to_right(note, WIDTH - 0.4 * (deep + 3), y, color)]
    y = len(lines) * PITCH + 0.9
    note = "in the register, after this step:"
    parts.append(_to_right(note, 0.45 + width_of(note, SMALL), y, QUIET))
    parts.append(_from_left(f"total = {_so_far(p, i, j, now)}", 0.45, y + 0.9))
    return _centred_upright(concat(parts))


def _from_left(code: str, x: float, y: float) -> Diagram:
    width = width_of(code, TEXT, "mono")
    return label(code, TEXT, INK, "mono").translate(x + width / 2, y)


def _to_right(note: str, x: float, y: float, color) -> Diagram:
    return label(note, SMALL, color).translate(x - width_of(note, SMALL) / 2, y)


def _so_far(p: MatmulShape, i: int, j: int, now: int) -> str:
    """What the register holds, in short: the first products and the last."""
    m, n = ("0," if len(shape) > 2 else "" for shape in (p.left, p.right))  # of a stack, the first
    terms = [f"M[{m}{i},{k}]·N[{n}{k},{j}]" for k in sorted({0, now})]
    return (" + … + " if now > 1 else " + ").join(terms)


def _frame(depth: int, first: int, last: int, inside: int) -> Diagram:
    """A frame around lines ``first`` to ``last``, set in by its depth.

    It leaves room beneath for the bottom edges of the ``inside`` frames that end with it.
    """
    left, right = depth * INDENT, WIDTH - 0.4 * depth
    top, bottom = (first - 0.5) * PITCH, (last + 0.5) * PITCH + 0.25 * inside
    return polygons([box(left, top, right - left, bottom - top)]).line_color(THREAD)


def _operands(p: MatmulShape, i: int, j: int, now: int) -> Diagram:
    """M, N and the output laid out so that rows and columns meet: N above it, M beside it."""
    m, k, n = p[:3]
    ms, ks, ns = axis(m, LIMIT, (i,)), axis(k, LIMIT, (now,)), axis(n, LIMIT, (j,))
    gap = 1.5
    lift = ASIDE if layers(p.right) > 1 else 0.0
    left = sheaf(p.left, ms, ks, "a", lambda r, c: _lit(r == i, c == now, FIRST))
    above = sheaf(p.right, ks, ns, "b", lambda r, c: _lit(c == j, r == now, SECOND))
    out = sheaf(p.out, ms, ns, "c", lambda r, c: RESULT.fill if (r, c) == (i, j) else CELL)
    names = f"M {p.left}", f"out {p.out}"
    beside = sum(width_of(name, TEXT) for name in names) / 2 + 0.5  # that they do not touch
    x = max((len(ks) + len(ns)) / 2 + gap, beside)
    y = (len(ks) + len(ms)) / 2 + gap
    placed = [
        left,
        above.translate(x, -y),
        out.translate(x, 0),
        _guides(ms, ks, ns, i, j, gap, x, y),
        label(names[0], TEXT).translate(0, len(ms) / 2 + 0.6),
        label(f"N {p.right}", TEXT).translate(x, -y - len(ks) / 2 - 0.55 - lift),
        label(names[1], TEXT).translate(x, len(ms) / 2 + 0.6),
    ]
    return _centred_upright(concat(placed))


def _lit(on_line: bool, on_step: bool, role: Role):
    if not on_line:
        return CELL
    return role.fill if on_step else role.tint


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

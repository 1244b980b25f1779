"""Matrix multiplication as broadcast, zip and reduce, with its intermediate in full view."""

from __future__ import annotations

from math import prod

from chalk import concat, empty
from chalk.types import Diagram

from mt_diagrams.figures.matmul import ORIGIN
from mt_diagrams.pieces.cubes import cube
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.layout import blank, captioned, row, step
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, elements, matmul_shape
from mt_diagrams.pieces.stacks import empty_product, sheaf, stacked
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import arrows, boxed, polylines, sides
from mt_diagrams.svg.theme import (
    AQUA_INK,
    AQUA_TINT,
    CELL,
    INK,
    PAPAYA_INK,
    PAPAYA_TINT,
    QUIET,
    SMALL,
)

LIMIT = 6
P = 0.4  # perspective
GAP = 0.2


def image_matmul_full(a=ORIGIN[0], b=ORIGIN[1], *, cell: tuple[int, int] = (0, 0)) -> Figure:
    """``M @ N`` step by step: view, broadcast, zip, reduce, view.

    Args:
        a, b: arrays, tensors or shapes of the two matrices, M and N, or of stacks of them.
        cell: the cell of the result whose products are coloured.

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the result has no such cell.

    >>> image_matmul_full()
    <Figure: (2, 4) @ (4, 3) by zip and reduce>
    """
    who = "image_matmul_full"
    p = matmul_shape(who, a, b)
    return empty_product(p) if p.empty else full(who, p, cell)


STAGES = ("view", "broadcast", "zip", "reduce", "view back")


def full(who: str, p: MatmulShape, cell: tuple[int, int], stages: int = len(STAGES)) -> Figure:
    """The figure itself, or its first ``stages``: the rest is then left blank."""
    m, k, n = p[:3]
    check_cell(who, cell, (m, n))
    i, j = cell
    deep, down, across = axis(m, LIMIT, (i,)), axis(k, LIMIT), axis(n, LIMIT, (j,))
    one = axis(1)
    both = (papaya, aqua)
    drop = (len(down) + len(deep) * P) / 2 + 1.75
    of_m, of_n = (shape[:-2] for shape in (p.left, p.right))

    def chosen(d, _, c):
        return both if (d, c) == (i, j) else CELL

    def part(drawing: Diagram, *lines: str) -> Diagram:
        return captioned(drawing, lines, drop)

    def solid(stack: Shape, *dimensions, colormap, extras=(), aside=0.0) -> Diagram:
        """A cube centred on its origin, with marks that are placed as the cube's own corners."""
        d, y, x = map(len, dimensions)
        shift = ((x - d * P) / 2, (d * P - y) / 2)
        seen = [(-x, 0), (d * P - x, -d * P), (d * P, -d * P), (d * P, y - d * P), (0, y), (-x, y)]
        count = stack[0] if stack else None
        front = stacked(cube(*dimensions, P, "", colormap), seen, count)
        left, top, right, bottom = sides(front)
        # Marks beside the cube are low, where the arrows to its neighbours are not: they count
        # little (``aside``), so that seven drawings fit in a row.
        both = boxed(concat([front, *extras]), left - aside, top, right, bottom)
        return both.translate(*shift)

    column = solid(of_m, deep, down, one, colormap=lambda *_: papaya)
    plane = solid(of_n, one, down, across, colormap=lambda *_: aqua)
    wide = solid(
        of_m,
        deep,
        down,
        across,
        colormap=lambda d, y, x: papaya if x == 0 else PAPAYA_TINT,
        extras=[_stretched_across(len(down), len(across))],
    )
    thick = solid(
        of_n,
        deep,
        down,
        across,
        colormap=lambda d, y, x: aqua if d == 0 else AQUA_TINT,
        extras=[_stretched_back(len(deep), len(down), len(across))],
    )
    product = solid(
        p.stack,
        deep,
        down,
        across,
        colormap=chosen,
        extras=[_named_sides(m, k, n, deep, down, across)],
        aside=0.4,
    )
    flat = solid(p.stack, deep, one, across, colormap=chosen)
    result = sheaf(p.out, deep, across, "", lambda r, c: both if (r, c) == (i, j) else CELL)
    whole = (*p.stack, m, k, n)
    parts = [
        part(column, str((*of_m, m, k, 1)), "M, viewed"),
        part(plane, str((*of_n, 1, k, n)), "N, viewed"),
        step("broadcast"),
        part(wide, str(whole), f"{prod(p.left):,} stored"),
        part(thick, str(whole), f"{prod(p.right):,} stored"),
        step("zip", under="×", least=1.1),
        part(product, str(whole), elements(whole)),
        step("reduce", under="+", least=1.1),
        part(flat, str((*p.stack, m, 1, n)), elements((*p.stack, m, 1, n))),
        step("view", least=1.1),
        part(result, str(p.out), elements(p.out)),
    ]
    reached = (2, 5, 7, 9, 11)[stages - 1]
    shown = [x if at < reached else blank(x) for at, x in enumerate(parts)]
    drawing = row(shown, GAP)
    stretched = f"broadcast to {whole}: M is repeated along n and N along m, each with stride 0"
    if p.stack and len({p.left[:-2], p.right[:-2]}) > 1:
        stretched += ", the one that lacks it along the stack too"
    return Figure(
        drawing,
        f"{p.left} @ {p.right} by zip and reduce",
        f"M of shape {p.left} is viewed as {(*of_m, m, k, 1)} and N of shape {p.right} as "
        f"{(*of_n, 1, k, n)}. Both are {stretched}, so nothing is copied. Zipping them with "
        f"multiplication makes an intermediate of {elements(whole)}. Reducing it along k gives "
        f"{(*p.stack, m, 1, n)}, which is viewed as {p.out}. The {k} products that are summed "
        f"into cell {(i, j)} are coloured."
        + (f" Drawn is the first of a stack of {p.stack[0]}." if p.stack else "")
        + (f" Only the first {stages} of 5 steps are drawn." if stages < len(STAGES) else ""),
    )


def _stretched_across(height: int, width: int) -> Diagram:
    """Under a broadcast M: the direction in which its column is repeated."""
    if width == 1:
        return empty()  # nothing is repeated
    y = height + 0.4
    note = label("n: stride 0", SMALL, PAPAYA_INK).translate(-width / 2, y + 0.5)
    return arrows([[(0.4 - width, y), (-0.1, y)]], PAPAYA_INK) + note


def _stretched_back(depth: int, height: int, width: int) -> Diagram:
    """Beside a broadcast N: the direction in which its plane is repeated."""
    if depth == 1:
        return empty()
    reach = depth * P
    start, end = (0.32, height - 0.05), (reach + 0.22, height + 0.05 - reach)
    note = label("m: stride 0", SMALL, AQUA_INK).translate(-width / 2, height + 0.9)
    return arrows([[start, end]], AQUA_INK) + note


def _named_sides(m: int, k: int, n: int, deep: Axis, down: Axis, across: Axis) -> Diagram:
    """On the product: an arrow up each column, k strong because it goes, m and n to stay."""
    left, height, reach = -len(across), len(down), len(deep) * P
    columns = [left + x + 0.5 for x, _ in across.shown]
    ups = [[(x, height - 0.5), (x, 0.42)] for x in columns] if height > 1 else []
    x = left - 0.3
    side = polylines([[(x, 0.06), (x, height - 0.06)]]).line_color(PAPAYA_INK).line_width(0.2)
    text = f"k = {k}"
    away = width_of(text, SMALL, bold=True) / 2 - 0.1
    kept = polylines(
        [
            [(left + 0.06, height + 0.35), (-0.06, height + 0.35)],
            [(0.35, height + 0.05), (reach + 0.25, height + 0.15 - reach)],
        ]
    )
    deep_text = f"m = {m}"
    under = 0.12 + width_of(deep_text, SMALL) / 2
    return concat(
        [
            arrows(ups, INK),
            side,
            label(text, SMALL, PAPAYA_INK, bold=True).translate(x - away, height + 0.35),
            kept.line_color(QUIET),
            label(f"n = {n}", SMALL, QUIET).translate(left / 2, height + 0.9),
            label(deep_text, SMALL, QUIET).translate(under, height + 0.5),
        ]
    )

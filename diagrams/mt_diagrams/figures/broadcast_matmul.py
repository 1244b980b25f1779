"""Matrix multiplication as broadcast, zip and reduce, with its intermediate in full view."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from chalk import concat, empty
from chalk.types import Diagram

from mt_diagrams.figures.matmul import ORIGIN
from mt_diagrams.pieces.cubes import cube
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.layout import blank, captioned, step, wrapped
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, elements, matmul_shape
from mt_diagrams.pieces.stacks import empty_product, sheaf, stacked
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import FIRST, INTERMEDIATE, RESULT, SECOND, Role
from mt_diagrams.svg.strokes import arrows, polylines
from mt_diagrams.svg.theme import CELL, INK, QUIET, SMALL

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
    drop = (len(down) + len(deep) * P) / 2 + 0.85
    of_m, of_n = (shape[:-2] for shape in (p.left, p.right))

    def followed(role: Role):
        return lambda *index: role.fill if (index[0], index[-1]) == (i, j) else CELL

    def part(drawing: Diagram, *lines: str) -> Diagram:
        return captioned(drawing, lines, drop)

    def solid(stack: Shape, *dimensions, colormap, extras=()) -> Diagram:
        """A cube centred on its origin, with marks that are placed as the cube's own corners."""
        d, y, x = map(len, dimensions)
        r = d * P
        seen = [(-x, 0), (0, 0), (r, r), (r, y + r), (r - x, y + r), (-x, y)]
        front = stacked(cube(*dimensions, P, "", colormap), seen, stack[0] if stack else None)
        return concat([front, *extras]).translate((x - r) / 2, -(y + r) / 2)

    column = solid(of_m, deep, down, one, colormap=lambda *_: FIRST.fill)
    plane = solid(of_n, one, down, across, colormap=lambda *_: SECOND.fill)
    wide = solid(
        of_m,
        deep,
        down,
        across,
        colormap=lambda d, y, x: FIRST.tint if x else FIRST.fill,
        extras=[_stretched_across(len(across))],
    )
    thick = solid(
        of_n,
        deep,
        down,
        across,
        colormap=lambda d, y, x: SECOND.tint if d else SECOND.fill,
        extras=[_stretched_back(len(deep), len(across))],
    )
    product = solid(
        p.stack,
        deep,
        down,
        across,
        colormap=followed(INTERMEDIATE),
        extras=[_named_sides(m, k, n, deep, down, across)],
    )
    flat = solid(p.stack, deep, one, across, colormap=followed(RESULT))
    result = sheaf(p.out, deep, across, "", followed(RESULT))
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
    starts = (0, 2, 5, 7, 9, 11)
    drawing = wrapped([shown[a:b] for a, b in pairwise(starts)], GAP)
    stretched = f"broadcast to {whole}: M is repeated along n and N along m, each with stride 0"
    if p.stack and len({p.left[:-2], p.right[:-2]}) > 1:
        stretched += ", the one that lacks it along the stack too"
    return Figure(
        with_legend(drawing, [FIRST, SECOND, INTERMEDIATE, RESULT]),
        f"{p.left} @ {p.right} by zip and reduce",
        f"M of shape {p.left} is viewed as {(*of_m, m, k, 1)} and N of shape {p.right} as "
        f"{(*of_n, 1, k, n)}. Both are {stretched}, so nothing is copied. Zipping them with "
        f"multiplication makes an intermediate of {elements(whole)}. Reducing it along k gives "
        f"{(*p.stack, m, 1, n)}, which is viewed as {p.out}. The {k} products that are summed "
        f"into cell {(i, j)} are coloured."
        + (f" Drawn is the first of a stack of {p.stack[0]}." if p.stack else "")
        + (f" Only the first {stages} of 5 steps are drawn." if stages < len(STAGES) else ""),
    )


def _stretched_across(width: int) -> Diagram:
    """Over a broadcast M: the direction in which its column is repeated."""
    if width == 1:
        return empty()  # nothing is repeated
    note = label("n: stride 0", SMALL, FIRST.ink).translate(-width / 2, -0.85)
    return arrows([[(0.4 - width, -0.35), (-0.1, -0.35)]], FIRST.ink) + note


def _stretched_back(depth: int, width: int) -> Diagram:
    """Beside a broadcast N: the direction in which its plane is repeated."""
    if depth == 1:
        return empty()
    reach = depth * P
    start, end = (0.32, 0.05), (reach + 0.22, reach - 0.05)
    note = label("m: stride 0", SMALL, SECOND.ink).translate(-width / 2, -0.5)
    return arrows([[start, end]], SECOND.ink) + note


def _named_sides(m: int, k: int, n: int, deep: Axis, down: Axis, across: Axis) -> Diagram:
    """On the product: an arrow up each column, k strong because it goes, m and n to stay."""
    left, height, reach = -len(across), len(down), len(deep) * P
    columns = [left + x + 0.5 for x, _ in across.shown]
    ups = [[(x, height - 0.5), (x, 0.42)] for x in columns] if height > 1 else []
    x = left - 0.3
    side = polylines([[(x, 0.06), (x, height - 0.06)]]).line_width(0.2)
    text = f"k = {k}"
    away = width_of(text, SMALL, bold=True) / 2 - 0.1
    kept = polylines(
        [
            [(left + 0.06, -0.35), (-0.06, -0.35)],
            [(0.35, -0.05), (reach + 0.25, reach - 0.15)],
        ]
    )
    deep_text = f"m = {m}"
    beyond = reach / 2 + 0.5 + width_of(deep_text, SMALL) / 2
    return concat(
        [
            arrows(ups, INK),
            side,
            label(text, SMALL, INK, bold=True).translate(x - away, height + 0.35),
            kept.line_color(QUIET),
            label(f"n = {n}", SMALL, QUIET).translate(left / 2, -0.8),
            label(deep_text, SMALL, QUIET).translate(beyond, reach / 2 - 0.35),
        ]
    )

"""Matrix multiplication as broadcast, zip and reduce, with its intermediate in full view."""

from __future__ import annotations

from chalk import concat, empty
from chalk.types import Diagram

from .cubes import cube
from .drawing import aqua, papaya
from .elide import Axis, axis
from .figure import Figure
from .grids import grid
from .layout import captioned, row, step
from .lettering import label, width_of
from .matmul import ORIGIN
from .shapes import check_cell, elements, matmul_shape
from .strokes import arrows, polylines
from .theme import AQUA_INK, AQUA_TINT, CELL, INK, PAPAYA_INK, PAPAYA_TINT, QUIET, SMALL

LIMIT = 6
P = 0.5  # perspective


def image_matmul_full(a=ORIGIN[0], b=ORIGIN[1], *, cell: tuple[int, int] = (0, 0)) -> Figure:
    """``M @ N`` step by step: view, broadcast, zip, reduce, view.

    Args:
        a, b: arrays, tensors or shapes of the two matrices, M and N.
        cell: the cell of the result whose products are coloured.

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the result has no such cell.

    >>> image_matmul_full()
    <Figure: (2, 4) @ (4, 3) by zip and reduce>
    """
    who = "image_matmul_full"
    m, k, n = matmul_shape(who, a, b)
    check_cell(who, cell, (m, n))
    i, j = cell
    deep, down, across = axis(m, LIMIT, (i,)), axis(k, LIMIT), axis(n, LIMIT, (j,))
    one = axis(1)
    both = (papaya, aqua)
    drop = (len(down) + len(deep) * P) / 2 + 1.75

    def chosen(d, _, c):
        return both if (d, c) == (i, j) else CELL

    def part(drawing: Diagram, *lines: str) -> Diagram:
        return captioned(drawing, lines, drop)

    def solid(*dimensions, colormap, extras=()) -> Diagram:
        """A cube centred on its origin, with marks that are placed as the cube's own corners."""
        d, y, x = map(len, dimensions)
        shift = ((x - d * P) / 2, (d * P - y) / 2)
        return concat([cube(*dimensions, P, "", colormap), *extras]).translate(*shift)

    column = solid(deep, down, one, colormap=lambda *_: papaya)
    plane = solid(one, down, across, colormap=lambda *_: aqua)
    wide = solid(
        deep,
        down,
        across,
        colormap=lambda d, y, x: papaya if x == 0 else PAPAYA_TINT,
        extras=[_stretched_across(len(down), len(across))],
    )
    thick = solid(
        deep,
        down,
        across,
        colormap=lambda d, y, x: aqua if d == 0 else AQUA_TINT,
        extras=[_stretched_back(len(deep), len(down), len(across))],
    )
    product = solid(
        deep, down, across, colormap=chosen, extras=[_named_sides(m, k, n, deep, down, across)]
    )
    flat = solid(deep, one, across, colormap=chosen)
    result = grid(deep, across, "", lambda r, c: both if (r, c) == (i, j) else CELL)
    drawing = row(
        [
            part(column, str((m, k, 1)), "M, viewed"),
            part(plane, str((1, k, n)), "N, viewed"),
            step("broadcast"),
            part(wide, str((m, k, n)), f"{m * k:,} stored"),
            part(thick, str((m, k, n)), f"{k * n:,} stored"),
            step("zip ×"),
            part(product, str((m, k, n)), elements((m, k, n))),
            step("reduce +"),
            part(flat, str((m, 1, n)), elements((m, 1, n))),
            step("view"),
            part(result, str((m, n)), elements((m, n))),
        ],
        0.45,
    )
    return Figure(
        drawing,
        f"{(m, k)} @ {(k, n)} by zip and reduce",
        f"M of shape {(m, k)} is viewed as {(m, k, 1)} and N of shape {(k, n)} as {(1, k, n)}. "
        f"Both are broadcast to {(m, k, n)}: M is repeated along n and N along m, each with "
        f"stride 0, so nothing is copied. Zipping them with multiplication makes an intermediate "
        f"of {elements((m, k, n))}. Reducing it along k gives {(m, 1, n)}, which is viewed as "
        f"{(m, n)}. The {k} products that are summed into cell {(i, j)} are coloured.",
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
    away = width_of(text, SMALL, bold=True) / 2 + 0.2
    kept = polylines(
        [
            [(left + 0.06, height + 0.35), (-0.06, height + 0.35)],
            [(0.35, height + 0.05), (reach + 0.25, height + 0.15 - reach)],
        ]
    )
    deep_text = f"m = {m}"
    return concat(
        [
            arrows(ups, INK),
            side,
            label(text, SMALL, PAPAYA_INK, bold=True).translate(x - away, height / 2),
            kept.line_color(QUIET),
            label(f"n = {n}", SMALL, QUIET).translate(left / 2, height + 0.9),
            label(deep_text, SMALL, QUIET).translate(
                reach / 2 + 0.45 + width_of(deep_text, SMALL) / 2, height + 0.3 - reach / 2
            ),
        ]
    )

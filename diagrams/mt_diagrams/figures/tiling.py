"""Tiling: a matrix multiplication cut into cache blocks, strips and register tiles."""

from __future__ import annotations

from chalk import concat
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.cells import left_out, paint
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.layout import wrapped
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import short_bytes
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import FIRST, RESULT, SECOND, Role
from mt_diagrams.svg.strokes import box, boxed, polylines, sides
from mt_diagrams.svg.theme import CELL, INK, QUIET, SMALL, TEXT, THREAD

LIMIT = 6
GAP = 0.9


def image_tiling(
    m: int,
    k: int,
    n: int,
    *,
    tile: tuple[int, int] = (12, 16),
    block: tuple[int, int] = (512, 384),
    itemsize: int = 8,
) -> Figure:
    """How a fast ``(m, k) @ (k, n)`` is cut: for the caches, for reading in order, for registers.

    Three drawings, each the inside of one coloured piece of the one before.

    Args:
        m, k, n: the sizes of the multiplication.
        tile: rows and columns of the register tile.  Its columns are two vectors.
        block: depth (along k) and columns of a cache block of N; M is cut along k only.
        itemsize: bytes to an element.

    Raises:
        ValueError: if a size is below 1.

    >>> image_tiling(1024, 1024, 1024)
    <Figure: tiling of (1024, 1024) @ (1024, 1024)>
    """
    for name, size in zip("mkn", (m, k, n), strict=True):
        if size < 1:
            raise ValueError(f"image_tiling: {name} is {size}, must be at least 1")
    if min(*tile, *block, itemsize) < 1:
        raise ValueError(f"image_tiling: tile {tile} and block {block} must be at least 1 each way")
    depth, columns = min(block[0], k), min(block[1], n)
    tall, broad = tile
    blocks = [1, _pieces(k, depth), _pieces(n, columns)]
    strips = _pieces(m, tall), _pieces(columns, broad)
    kept = short_bytes(depth * columns * itemsize), short_bytes(tall * depth * itemsize)
    panels = [
        _panel(
            "1. Blocks, for the caches",
            [axis(c, LIMIT) for c in blocks],
            1.0,
            (f"M {(m, k)}", f"N {(k, n)}", f"out {(m, n)}"),
            [
                _cut("block", "M", k, depth, f"{m} × {depth}"),
                f"{blocks[1]:,} × {blocks[2]:,} block{'s' * (blocks[1] * blocks[2] > 1)} of N, "
                f"{depth} × {columns}",
                f"a block of N is {kept[0]}",
            ],
        ),
        _panel(
            "2. Strips, read one after the other",
            [axis(strips[0], LIMIT), axis(1), axis(strips[1], LIMIT)],
            3.0,
            (f"{m} × {depth}", f"{depth} × {columns}", f"{m} × {columns}"),
            [
                _cut("strip", "M", m, tall, f"{min(tall, m)} rows"),
                _cut("strip", "N", columns, broad, f"{min(broad, columns)} columns"),
                f"a strip of M is {kept[1]}",
            ],
        ),
        _panel(
            "3. A tile, kept in registers",
            [axis(tall, 12), axis(1), axis(broad, 16)],
            1.0,
            (f"{tall} × 1", f"1 × {broad}", f"{tall} × {broad}"),
            [
                f"one step of k, of {depth}: loads {tall} + {broad},",
                f"multiplies and adds {tall * broad}",
                "the totals are written once per block",
            ],
            size=0.58,
            at_once=True,
        ),
    ]
    return Figure(
        with_legend(_linked(_under_titles(panels), broad), [FIRST, SECOND, RESULT]),
        f"tiling of {(m, k)} @ {(k, n)}",
        f"The multiplication {(m, k)} @ {(k, n)} is cut three times. First into cache blocks: "
        f"{blocks[1]} blocks of M of {m} by {depth}, and {blocks[1]} by {blocks[2]} blocks of N of "
        f"{depth} by {columns}, {kept[0]} each. Then into strips, read one after the other: "
        f"{strips[0]} of {tall} rows of M, {kept[1]} each, {strips[1]} of {broad} columns of N. "
        f"Last into register tiles of {tall} by {broad}: one step of k loads "
        f"{tall} + {broad} elements and makes {tall * broad} products of them.",
    )


def _cut(what: str, name: str, size: int, piece: int, each: str) -> str:
    """How many pieces a matrix is cut into; the last may be smaller.

    >>> _cut("strip", "M", 1000, 12, "12 rows"), _cut("strip", "M", 8, 12, "8 rows")
    ('84 strips of M, 12 rows, the last 4', '1 strip of M, 8 rows')
    """
    count, rest = _pieces(size, piece), size % piece
    last = f", the last {rest}" if rest and count > 1 else ""
    return f"{count:,} {what}{'s' * (count > 1)} of {name}, {each}{last}"


def _pieces(size: int, piece: int) -> int:
    return -(-size // piece)


def _panel(title, axes, deep: float, names, lines, size: float = 1.0, at_once: bool = False):
    """A drawing and the texts for above and beneath it.

    M left, N above, out in the corner where they meet; the first piece of each is coloured.

    Args:
        axes: how m, k and n are cut.
        deep: the length of a piece along k.
        names: what to write on M, N and out.
        lines: what to write beneath.
        size: the side of a piece along m and n.
        at_once: whether all the pieces are used at once, and so all coloured.
    """
    ms, ks, ns = axes

    def result(i: int, j: int):
        if at_once:
            return RESULT.tint
        return RESULT.fill if (i, j) == (0, 0) else CELL

    def lit(line: int, piece: int, role: Role) -> Color:
        if line and not at_once:
            return CELL
        return role.tint if piece else role.fill

    left = _lattice(ms, ks, deep, size, lambda i, p: lit(i, p, FIRST))
    above = _lattice(ks, ns, size, deep, lambda p, j: lit(j, p, SECOND))
    out = _lattice(ms, ns, size, size, result)
    wide, length = len(ks) * deep, len(ns) * size
    beside = (width_of(names[0], SMALL) + width_of(names[2], SMALL)) / 2 + 0.5
    x = max(wide + GAP, (wide - length) / 2 + beside)  # so that the names do not touch
    right, bottom = x + length, len(ms) * size
    guides = [
        [(wide + 0.1, size / 2), (x - 0.1, size / 2)],
        [(x + size / 2, 0.1 - GAP), (x + size / 2, -0.1)],
    ]
    drawing = concat(
        [
            left,
            above.translate(x, -wide - GAP),
            out.translate(x, 0),
            polylines(guides).line_color(THREAD).dashing([3, 3], 0),
            label(names[0], SMALL).translate(wide / 2, bottom + 0.42),
            label(names[1], SMALL).translate((x + right) / 2, -wide - GAP - 0.4),
            label(names[2], SMALL).translate((x + right) / 2, bottom + 0.42),
        ]
    )
    if at_once and not ns.elided and len(ns) % 2 == 0:  # where one vector ends and the next begins
        middle = x + right
        bars = [
            [(middle / 2, y0), (middle / 2, y1)] for y0, y1 in ((-wide - GAP, -GAP), (0, bottom))
        ]
        drawing = drawing + polylines(bars).line_width(0.25)
    return title, drawing.translate(-right / 2, 0), lines


def _linked(drawing: Diagram, broad: int) -> Diagram:
    """What ties the three drawings together, in words beneath them."""
    left, _, right, bottom = sides(drawing)
    lines = ["each drawing is the inside of what is in strong colours in the one before it"]
    if broad % 2 == 0 and broad <= 16:
        lines.append("the strong line in a tile: where one vector ends and the next begins")
    texts = [
        label(line, SMALL, INK).translate((left + right) / 2, bottom + 0.7 + 0.64 * n)
        for n, line in enumerate(lines)
    ]
    return concat([drawing, *texts])


def _under_titles(panels) -> Diagram:
    """The drawings in a row, or in several, their corners level, the texts of all on one line."""
    top = min(sides(drawing)[1] for _, drawing, _ in panels) - 0.75
    bottom = max(sides(drawing)[3] for _, drawing, _ in panels) + 0.6
    columns = []
    for title, drawing, lines in panels:
        texts = [label(title, TEXT, INK, bold=True).translate(0, top)]
        for n, line in enumerate(lines):
            texts.append(label(line, SMALL, QUIET).translate(0, bottom + 0.64 * n))
        columns.append(concat([drawing, *texts]))
    return wrapped([[column] for column in columns], 1.0)


def _lattice(down: Axis, across: Axis, width: float, height: float, colormap) -> Diagram:
    """A grid of pieces that need not be square, from its top left corner."""
    cells = paint(
        (box(x * width, y * height, width, height), colormap(i, j))
        for y, i in down.shown
        for x, j in across.shown
    )
    gaps = [(((x + 0.5) * width, down.middle * height), (1, 0)) for x in across.gaps]
    gaps += [((across.middle * width, (y + 0.5) * height), (0, 1)) for y in down.gaps]
    w, h = len(across) * width, len(down) * height
    return boxed(concat([left_out(box(0, 0, w, h), gaps), cells]), 0, 0, w, h)

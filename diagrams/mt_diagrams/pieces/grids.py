"""``matrix``: a grid of named cells."""

from __future__ import annotations

from chalk import concat, strut
from chalk.types import Diagram

from mt_diagrams.pieces.cells import Colormap, hollow, left_out, paint, paints, plain
from mt_diagrams.pieces.elide import LIMIT, Axis, axis
from mt_diagrams.pieces.shapes import check_sizes
from mt_diagrams.svg.lettering import label
from mt_diagrams.svg.strokes import box, boxed
from mt_diagrams.svg.theme import QUIET, TEXT


def matrix(rows: int, cols: int, name: str = "", colormap: Colormap = plain) -> Diagram:
    """A matrix, centred on its origin.

    Args:
        rows, cols: its shape.  Past 12 the middle of a dimension is elided, and the true shape
            is written underneath; so it is where one is 0, under an empty outline.
        name: its cells are named ``(name, i, j)``, for ``connect``.
        colormap: a function from an index ``(i, j)`` to a colour: a ``Color``, or what one is made
            of, as ``"red"`` or ``"#f00"``; or to two of them, for a cell that is split.

    Raises:
        ValueError: if a dimension is below 0, or the colormap gives no colour.

    >>> matrix(2, 4)
    <Diagram: 4 wide, 2 high>
    >>> matrix(4096, 4096).get_envelope().width
    7.0
    """
    check_sizes("matrix", (rows, cols))
    down, across = axis(rows, LIMIT), axis(cols, LIMIT)
    drawing = grid(down, across, name, colormap)
    if down.elided or across.elided:
        text = label(f"({rows}, {cols})", TEXT, QUIET)
        drawing = drawing / strut(0, 0.25) / text
    return drawing


def grid(down: Axis, across: Axis, name: str = "", colormap: Colormap = plain) -> Diagram:
    """A matrix over two laid-out dimensions, centred on its origin."""
    left, top = -len(across) / 2, -len(down) / 2
    if 0 in (down.size, across.size):
        return hollow(box(left, top, len(across), len(down)))
    places = [(left + x, top + y, i, j) for y, i in down.shown for x, j in across.shown]
    paint_of = paints(colormap)
    cells = paint((box(x, y, 1, 1), paint_of(i, j)) for x, y, i, j in places)
    names = [strut(1, 1).named((name, i, j)).translate(x + 0.5, y + 0.5) for x, y, i, j in places]
    gaps = [((left + x + 0.5, top + down.middle), (1, 0)) for x in across.gaps]
    gaps += [((left + across.middle, top + y + 0.5), (0, 1)) for y in down.gaps]
    ground = left_out(box(left, top, len(across), len(down)), gaps)
    return boxed(concat([ground, cells, *names]), left, top, -left, -top)

"""``tensor`` and ``t``: a box of named cells, drawn by the three faces that can be seen."""

from __future__ import annotations

from chalk import concat, strut
from chalk.types import Diagram

from mt_diagrams.pieces.cells import Colormap, hollow, left_out, paint, paints, plain
from mt_diagrams.pieces.elide import LIMIT, Axis, axis
from mt_diagrams.pieces.shapes import check_sizes
from mt_diagrams.svg.lettering import label
from mt_diagrams.svg.palette import papaya
from mt_diagrams.svg.strokes import boxed
from mt_diagrams.svg.theme import QUIET, TEXT


def tensor(
    perspective: float,
    depth: int,
    rows: int,
    cols: int,
    name: str = "",
    colormap: Colormap = plain,
) -> Diagram:
    """A tensor of three dimensions, seen from the front, above and right.

    Its origin is the top right corner of its front face, so that tensors that share a size there
    lie on one another when added with ``+``.

    Args:
        perspective: how far each layer is set off from the one before it, about 0.5 to 0.75.
        depth, rows, cols: its shape.  Depth 0 is the front.  Past 12 the middle of a dimension
            is elided, and the true shape is written underneath.
        name: its cells are named ``(name, d, i, j)``, for ``connect``.
        colormap: a function from an index ``(d, i, j)`` to a colour, as for ``matrix``.

    Raises:
        ValueError: if a dimension is below 0, or the colormap gives no colour.

    >>> tensor(0.5, 2, 4, 3)
    <Diagram: 4 wide, 5 high>
    """
    shape = (depth, rows, cols)
    check_sizes("tensor", shape)
    axes = [axis(size, LIMIT) for size in shape]
    drawing = cube(*axes, perspective, name, colormap, below=False)
    if any(a.elided for a in axes):
        text = label(f"({depth}, {rows}, {cols})", 1.3 * TEXT, QUIET)
        width, height = len(axes[2]), len(axes[1])
        drawing = drawing + text.translate(-width / 2, height + 0.75)
    return drawing


def t(depth: int, rows: int, cols: int, highlight: bool = False, n: str = "") -> Diagram:
    """A tensor in the usual perspective; ``highlight`` paints it papaya, ``n`` names it.

    >>> t(2, 4, 3, highlight=True)
    <Diagram: 4 wide, 5 high>
    """
    return tensor(0.5, depth, rows, cols, n, (lambda *_: papaya) if highlight else plain)


def cube(
    deep: Axis,
    down: Axis,
    across: Axis,
    perspective: float = 0.5,
    name: str = "",
    colormap: Colormap = plain,
    below: bool = True,
) -> Diagram:
    """A tensor over three laid-out dimensions; its origin as for :func:`tensor`.

    Seen from ``below``, its layers lie as the sheets of a pile do, each further down than the one
    in front of it: so whichever face is a matrix, row 0 of it is on top.
    """
    p, width, height, depth = perspective, len(across), len(down), len(deep)
    sink, edge = (p, height) if below else (-p, 0)  # of a layer, and where the third face starts
    outermost = down.slots[-1 if below else 0]

    def corner(d: float, y: float, x: float):
        """Where the lattice point ``d`` layers back, ``y`` down and ``x`` across is drawn."""
        return (x - width + d * p, y + d * sink)

    def front(y, x, h=1.0, w=1.0):
        return [corner(0, y + v * h, x + u * w) for u, v in ((0, 0), (1, 0), (1, 1), (0, 1))]

    def level(d, x, deep_by=1.0, w=1.0):
        near, far = (0, deep_by) if below else (deep_by, 0)
        ends = ((near, 0), (near, 1), (far, 1), (far, 0))
        return [corner(d + v, edge, x + u * w) for v, u in ends]

    def right(d, y, deep_by=1.0, h=1.0):
        ends = ((0, 0), (deep_by, 0), (deep_by, 1), (0, 1))
        return [corner(d + v, y + u * h, width) for v, u in ends]

    def seen(d, y, x):
        """The middle of the face of a cell that can be seen; for a hidden cell, of its front."""
        if d == 0:
            return corner(0, y + 0.5, x + 0.5)
        if y == (height - 1 if below else 0):
            return corner(d + 0.5, edge, x + 0.5)
        if x == width - 1:
            return corner(d + 0.5, y + 0.5, width)
        return corner(d, y + 0.5, x + 0.5)

    low = height + max(0, depth * sink)
    if 0 in (deep.size, down.size, across.size):
        faces = (right(0, 0, depth, height), level(0, 0, depth, width), front(0, 0, height, width))
        return boxed(hollow(*faces), -width, min(0, depth * sink), depth * p, low)

    last, paint_of = across.slots[-1], paints(colormap)
    faces = [(right(d, y), paint_of(k, i, last)) for d, k in deep.shown for y, i in down.shown]
    faces += [
        (level(d, x), paint_of(k, outermost, j)) for d, k in deep.shown for x, j in across.shown
    ]
    faces += [(front(y, x), paint_of(0, i, j)) for y, i in down.shown for x, j in across.shown]

    back, aside, along = (p, sink), (1, 0), (0, 1)
    grounds = [
        left_out(
            right(0, 0, depth, height),
            [(corner(d + 0.5, down.middle, width), back) for d in deep.gaps]
            + [(corner(deep.middle, y + 0.5, width), along) for y in down.gaps],
        ),
        left_out(
            level(0, 0, depth, width),
            [(corner(d + 0.5, edge, across.middle), back) for d in deep.gaps]
            + [(corner(deep.middle, edge, x + 0.5), aside) for x in across.gaps],
        ),
        left_out(
            front(0, 0, height, width),
            [(corner(0, y + 0.5, across.middle), along) for y in down.gaps]
            + [(corner(0, down.middle, x + 0.5), aside) for x in across.gaps],
        ),
    ]
    names = [
        strut(1, 1).named((name, k, i, j)).translate(*seen(d, y, x))
        for d, k in deep.shown
        for y, i in down.shown
        for x, j in across.shown
    ]
    everything = concat([*grounds, paint(faces), *names])
    return boxed(everything, -width, min(0, depth * sink), depth * p, low)

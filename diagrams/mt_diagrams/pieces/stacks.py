"""Stacks of matrices, the batch rule: one matrix is drawn, the others lie behind it.

Also what is left of a product when there is nothing to multiply.
"""

from __future__ import annotations

from collections.abc import Callable

from chalk.types import Diagram

from mt_diagrams.pieces.cells import plain
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.grids import grid
from mt_diagrams.pieces.layout import captioned, row, sign, step
from mt_diagrams.pieces.shapes import MatmulShape, Shape, elements
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.strokes import Point, box, boxed, polygons, sides
from mt_diagrams.svg.theme import CELL, QUIET

SHEETS = 2  # drawn behind, however many there are
OFFSET = 0.24
ASIDE = SHEETS * OFFSET


def stacked(drawing: Diagram, outline: list[Point], count: int | None) -> Diagram:
    """``drawing`` with the sheets of a stack behind it.

    Args:
        drawing: the matrix, or whatever it was made into, in front.
        outline: of one sheet, where the front one lies.
        count: how many there are; None or 1 for no stack.
    """
    behind = min(SHEETS, (count or 1) - 1)
    if behind < 1:
        return drawing
    shifts = [OFFSET * n for n in range(behind, 0, -1)]
    outlines = [[(x + s, y - s) for x, y in outline] for s in shifts]
    left, top, right, bottom = sides(drawing)
    over = OFFSET * behind
    both = polygons(outlines).fill_color(CELL).line_color(QUIET) + drawing
    return boxed(both, left, top - over, right + over, bottom)


def sheaf(
    shape: Shape, down: Axis, across: Axis, name: str = "", colormap: Callable = plain
) -> Diagram:
    """The grid of a matrix, or of the first of a stack of them with the others behind."""
    width, height = len(across), len(down)
    front = grid(down, across, name, colormap)
    return stacked(front, box(-width / 2, -height / 2, width, height), layers(shape))


def lines_of_stack(p: MatmulShape, shape: Shape) -> list[str]:
    """What a caption says of an operand's stack: nothing where there is none.

    >>> from mt_diagrams.pieces.shapes import matmul_shape
    >>> p = matmul_shape("f", (5, 2, 4), (4, 3))
    >>> lines_of_stack(p, p.left), lines_of_stack(p, p.right)
    (['a stack of 5'], ['shared by all 5'])
    """
    if not p.stack:
        return []
    (count,) = p.stack
    here = layers(shape)
    return [f"a stack of {here}" if here == count else f"shared by all {count}"]


def layers(shape: Shape) -> int:
    """How many matrices ``shape`` has."""
    return shape[0] if len(shape) == 3 else 1


def empty_product(p: MatmulShape) -> Figure:
    """A product in which a size is 0: outlines, and what the result holds."""
    names = (("M", p.left), ("N", p.right), ("M @ N", p.out))
    axes = [[axis(size, 8) for size in shape[-2:]] for _, shape in names]
    drop = max(len(down) for down, _ in axes) / 2 + 0.75
    parts = [
        captioned(grid(*pair), [f"{name} {shape}", elements(shape)], drop)
        for pair, (name, shape) in zip(axes, names, strict=True)
    ]
    fate = "all 0: nothing is summed" if 0 not in p.out else "nothing to compute"
    return Figure(
        row([parts[0], sign("@"), parts[1], step(fate), parts[2]], 0.6),
        f"{p.left} @ {p.right} = {p.out}",
        f"M of shape {p.left} times N of shape {p.right} has no products, since a dimension is 0. "
        f"The result has shape {p.out}: {fate}.",
    )

"""Matrix multiplication going forward: rows meet columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from chalk import empty
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.layout import captioned, row, ruled, sign, step
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, matmul_shape
from mt_diagrams.pieces.stacks import ASIDE, empty_product, layers, lines_of_stack, sheaf
from mt_diagrams.pieces.values import matrix_of, values_of, written
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label
from mt_diagrams.svg.roles import FIRST, RESULT, SECOND, Role
from mt_diagrams.svg.strokes import hoop
from mt_diagrams.svg.theme import CELL, INK, QUIET, SMALL

ORIGIN = ((2, 4), (4, 3))  # the shapes of the page this suite grew from
LIMIT = 6


class Side(NamedTuple):
    """One of the three matrices of a product, as it is drawn."""

    name: str
    shape: Shape
    role: Role
    dims: str  # what its rows and its columns are counted by, a letter each
    down: Axis
    across: Axis
    notes: Sequence[str] = ()


def image_matmul_simple(
    a=ORIGIN[0], b=ORIGIN[1], *, cell: tuple[int, int] = (0, 0), values: bool = False
) -> Figure:
    """Which row and which column meet in a cell of ``M @ N``.

    Args:
        a, b: arrays, tensors or shapes of the two matrices, M and N, or of stacks of them.
        cell: the cell of the result to follow.
        values: write the numbers into the cells (the operands must hold some).

    Raises:
        ValueError: if they do not multiply.
        IndexError: if the result has no such cell.
        TypeError: if values are asked of a shape.

    >>> image_matmul_simple()
    <Figure: (2, 4) @ (4, 3) = (2, 3)>
    >>> image_matmul_simple((2, 4), (3, 5))
    Traceback (most recent call last):
    ValueError: image_matmul_simple: (2, 4) @ (3, 5): inner dimensions 4 and 3 differ
    """
    who = "image_matmul_simple"
    p = matmul_shape(who, a, b)
    return empty_product(p) if p.empty else simple(who, p, (a, b), cell, values)


def simple(
    who: str,
    p: MatmulShape,
    operands: tuple,
    cell: tuple[int, int],
    values: bool,
    done: int | None = None,
) -> Figure:
    """The figure itself; of the result only the first ``done`` cells, in reading order, if given.

    Those before the chosen one are then tinted, and the others hold no values yet.
    """
    m, k, n = p[:3]
    check_cell(who, cell, (m, n))
    i, j = cell
    rows, inner, cols = axis(m, LIMIT, (i,)), axis(k, LIMIT), axis(n, LIMIT, (j,))
    sides = (
        Side("M", p.left, FIRST, "mk", rows, inner, lines_of_stack(p, p.left)),
        Side("N", p.right, SECOND, "kn", inner, cols, lines_of_stack(p, p.right)),
        Side("M @ N", p.out, RESULT, "mn", rows, cols, lines_of_stack(p, p.out)),
    )
    numbers: Sequence[Diagram] = ()
    if values:
        x, y = (matrix_of(values) for values in values_of(who, *operands))
        numbers = (
            written(x, rows, inner),
            written(y, inner, cols),
            written(x @ y, rows, cols, done),
        )

    def reached(r: int, c: int) -> bool:
        return done is not None and r * n + c < done

    parts = meeting(sides, cell, numbers, reached)
    drawing = row(parts, 0.3)
    if not values:  # the threads would run across the numbers
        some = [] if rows.elided or done is not None else [r for r in range(m) if r != i][:2]
        drawing = threaded(drawing, sides, cell, some)
    stack = f" The first of a stack of {p.stack[0]} is drawn." if p.stack else ""
    return Figure(
        with_legend(drawing, [side.role for side in sides]),
        f"{p.left} @ {p.right} = {p.out}",
        f"Matrix M of shape {p.left} times matrix N of shape {p.right} gives a matrix of shape "
        f"{p.out}.{stack} Row {i} of M and column {j} of N are coloured: their {k} pairs are "
        f"multiplied and summed over k into cell {(i, j)} of the result.",
    )


def meeting(
    sides: Sequence[Side],
    cell: tuple[int, int],
    numbers: Sequence[Diagram] = (),
    reached: Callable[[int, int], bool] = lambda *_: False,
) -> list[Diagram]:
    """The parts of one row: two matrices, an arrow, and their product.

    What makes one cell of the product is coloured, each part in the colour of its role.

    Args:
        sides: the first, the second, and their product.
        cell: of the product.
        numbers: what is written into the cells of each, if anything is.
        reached: which other cells of the product are there already.
    """
    left, right, out = sides
    i, j = cell

    def of_product(r: int, c: int) -> Color:
        return out.role.fill if (r, c) == cell else out.role.tint if reached(r, c) else CELL

    paints = (
        lambda r, _: left.role.fill if r == i else CELL,
        lambda _, c: right.role.fill if c == j else CELL,
        of_product,
    )
    drop = max(len(side.down) for side in sides) / 2 + 1.95
    drawn = []
    for n, (side, paint) in enumerate(zip(sides, paints, strict=True)):
        grid = sheaf(side.shape, side.down, side.across, side.name, paint)
        grid = grid + (numbers[n] if numbers else empty())
        rulers = [
            (f"{letter} = {of.size}", *((INK, True) if letter == left.dims[1] else (QUIET, False)))
            for letter, of in zip(side.dims, (side.down, side.across), strict=True)
        ]
        aside = ASIDE if side is out and layers(side.shape) > 1 else 0.0
        grid = ruled(grid, side.down, side.across, *rulers, side is out, aside)
        drawn.append(captioned(grid, [f"{side.name} {side.shape}", *side.notes], drop))
    return [drawn[0], sign("@"), drawn[1], step(f"sum over {left.dims[1]}"), drawn[2]]


def threaded(
    drawing: Diagram, sides: Sequence[Side], cell: tuple[int, int], others: Sequence[int] = ()
) -> Diagram:
    """A row with the way of one cell: from its row, by its column, into it; and what meets there.

    With thinner threads for a few ``others`` of the same column, nested under the first.
    """
    left, right, out = sides
    i, j = cell
    top = -max(len(side.down) for side in sides) / 2 - 1.0
    lines = [(i, top, INK), *((r, top + 0.28 * n, QUIET) for n, r in enumerate(others, 1))]

    def at(up: float, *name) -> tuple[float, float]:
        x, y = drawing.get_subdiagram(name).get_location()
        return (x, y - up)

    turn = at(0.5, right.name, 0, j)
    threads = empty()
    for r, height, color in lines:
        start, end = at(0.1, left.name, r, 0), at(0.1, out.name, r, j)
        threads = threads + hoop(start, turn, height, color) + hoop(turn, end, height, color, True)
    words = f"row {i} of {left.name} meets column {j} of {right.name}"
    return drawing + threads + label(words, SMALL).translate(turn[0], top - 0.5)

"""Small pieces to build a page's own figures from: arrows, equations, a colour for each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chalk import P2, V2, arrow_at, hcat
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.cubes import tensor
from mt_diagrams.pieces.grids import matrix
from mt_diagrams.pieces.shapes import check_sizes, shape_of
from mt_diagrams.svg.palette import aqua, papaya

right_arrow = arrow_at(P2(0, 0), V2(0.5, 0))
left_arrow = arrow_at(P2(0, 0), V2(-0.5, 0))


def color(rows: int, cols: int) -> Callable[[int, int], Color]:
    """A colormap that gives every cell of a matrix its own colour, from aqua to papaya.

    Args:
        rows, cols: the shape of the matrix.

    Raises:
        ValueError: if a dimension is below 1.

    >>> color(1, 4)(0, 0).hex, color(1, 4)(0, 3).hex
    ('#69bac9', '#ff9700')
    """
    check_sizes("color", (rows, cols), least=1)
    shades = list(aqua.range_to(papaya, rows * cols)) if rows * cols > 1 else [aqua]
    return lambda i, j: shades[i * cols + j]


def tensor_to_diagram(tensor_like) -> Diagram:
    """The shape of a tensor as a drawing, whatever library it is from.

    Args:
        tensor_like: anything with a ``.shape`` of at most three dimensions, or such a shape.
            A scalar is one cell; a vector is a row, as broadcasting reads it.

    Raises:
        ValueError: if it has more than three dimensions.

    >>> tensor_to_diagram((2, 4, 3))
    <Diagram: 4 wide, 5 high>
    """
    shape = shape_of(tensor_like)
    check_sizes("tensor_to_diagram", shape)
    if len(shape) > 3:
        raise ValueError(f"tensor_to_diagram: {shape}: at most 3 dimensions can be drawn")
    if len(shape) == 3:
        return tensor(0.5, *shape)
    rows, cols = (1, 1, *shape)[-2:]
    return matrix(rows, cols)


def draw_equation(parts: Iterable[Diagram | None]) -> Diagram:
    """Diagrams in a row, middles level; None stands for an arrow.

    >>> draw_equation([matrix(2, 4), matrix(4, 3), None, matrix(2, 3)])
    <Diagram: 13.5 wide, 4 high>
    """
    return hcat([right_arrow if part is None else part.center_xy() for part in parts], 1)

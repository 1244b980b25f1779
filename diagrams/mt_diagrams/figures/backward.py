"""Matrix multiplication going backward: two more products, on transposed views."""

from __future__ import annotations

from chalk.types import Diagram

from mt_diagrams.figures.matmul import LIMIT, ORIGIN, Side, meeting, threaded
from mt_diagrams.pieces.elide import axis
from mt_diagrams.pieces.layout import rows
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, matmul_shape
from mt_diagrams.pieces.stacks import empty_product, layers
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.roles import FIRST, GRADIENT, SECOND
from mt_diagrams.svg.strokes import polylines, sides
from mt_diagrams.svg.theme import FAINT


def image_matmul_backward(
    a=ORIGIN[0], b=ORIGIN[1], *, at: tuple[int, int, int] = (0, 0, 0)
) -> Figure:
    """The backward pass of ``M @ N``: ``d @ Nᵀ`` is dM, and ``Mᵀ @ d`` is dN.

    One row for each, to be read as the forward figure is.  A transpose is a view: its caption says
    which strides it swaps.

    Args:
        a, b: arrays, tensors or shapes of the two operands, M and N: matrices or stacks of them.
        at: ``(i, k, j)``: the entries followed are dM[i, k] and dN[k, j].

    Raises:
        ValueError: if they do not multiply.
        IndexError: if there is no such entry.

    >>> image_matmul_backward()
    <Figure: backward of (2, 4) @ (4, 3)>
    """
    who = "image_matmul_backward"
    p = matmul_shape(who, a, b)
    if p.empty:
        return empty_product(p)
    m, k, n = p[:3]
    check_cell(who, at, (m, k, n))
    i, q, j = at
    ms, ks, ns = (axis(size, LIMIT, (index,)) for size, index in zip((m, k, n), at, strict=True))
    upper = (
        Side("d", p.out, GRADIENT, "mn", ms, ns, [f"row {i}"]),
        Side("Nᵀ", _turned(p.right), SECOND, "nk", ns, ks, _view("N", q)),
        Side("dM", p.left, GRADIENT, "mk", ms, ks, _shared(p, p.left)),
    )
    lower = (
        Side("Mᵀ", _turned(p.left), FIRST, "km", ks, ms, _view("M", q)),
        Side("d", p.out, GRADIENT, "mn", ms, ns, [f"column {j}"]),
        Side("dN", p.right, GRADIENT, "kn", ks, ns, _shared(p, p.right)),
    )
    for_m, for_n = rows([meeting(upper, (i, q)), meeting(lower, (q, j))], 0.2)
    drawing = _over(threaded(for_m, upper, (i, q)), threaded(for_n, lower, (q, j)))
    stack = f" The first of a stack of {p.stack[0]} is drawn." if p.stack else ""
    return Figure(
        with_legend(drawing, [FIRST, SECOND, GRADIENT]),
        f"backward of {p.left} @ {p.right}",
        f"Two products, one for each operand of M @ N; d is the gradient of the result, of shape "
        f"{p.out}.{stack} Above, d @ Nᵀ = dM, of shape {p.left}: row {i} of d meets column {q} of "
        f"Nᵀ, which is row {q} of N, and their {n} products, summed over n, are entry {(i, q)}"
        f"{_then(p, p.left)}. Below, Mᵀ @ d = dN, of shape {p.right}: row {q} of Mᵀ, which is "
        f"column {q} of M, meets column {j} of d, and their {m} products, summed over m, are "
        f"entry {(q, j)}{_then(p, p.right)}. The transposes are views: nothing is copied.",
    )


def _turned(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2])


def _view(name: str, line: int) -> list[str]:
    """What a caption says of a transposed operand, whose ``line`` is followed."""
    here, there = ("column", "row") if name == "N" else ("row", "column")
    return [f"a view of {name}, strides swapped", f"{here} {line} is {there} {line} of {name}"]


def _shared(p: MatmulShape, shape: Shape) -> list[str]:
    """What a caption says of the gradient of an operand that the whole stack shared: it adds up."""
    over = _then(p, shape)
    return [over.removeprefix(", ")] if over else []


def _then(p: MatmulShape, shape: Shape) -> str:
    if not p.stack or layers(shape) == p.stack[0]:
        return ""
    return f", then summed over the stack of {p.stack[0]}"


def _over(upper: Diagram, lower: Diagram) -> Diagram:
    """Two rows, one above the other, a rule between them."""
    (left, _, right, bottom), (_, top, _, _) = sides(upper), sides(lower)
    y = bottom + 0.6
    rule = polylines([[(left, y), (right, y)]]).line_color(FAINT)
    return upper + rule + lower.translate(0, y + 0.5 - top)

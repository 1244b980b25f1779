"""Matrix multiplication going backward: what each gradient collects, and from where."""

from __future__ import annotations

from chalk.types import Diagram

from mt_diagrams.figures.matmul import LIMIT, ORIGIN
from mt_diagrams.pieces.elide import Axis, axis
from mt_diagrams.pieces.layout import captioned, rows, ruled, sign, step
from mt_diagrams.pieces.shapes import MatmulShape, Shape, check_cell, matmul_shape
from mt_diagrams.pieces.stacks import empty_product, layers, sheaf
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import hoop, polylines, sides
from mt_diagrams.svg.theme import CELL, FAINT, INK, PAPAYA_INK, QUIET

BOTH = (papaya, aqua)
FREE, GONE = (QUIET, False), (PAPAYA_INK, True)  # how a dimension is ruled: kept, or reduced


def image_matmul_backward(
    a=ORIGIN[0], b=ORIGIN[1], *, at: tuple[int, int, int] = (0, 0, 0)
) -> Figure:
    """The backward pass of ``M @ N``: the gradient d, zipped with the other operand.

    One row for each operand, everything in the place it had going forward: M left, N in the
    middle, the result right.  So the arrows run the other way.

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
    shape = matmul_shape(who, a, b)
    if shape.empty:
        return empty_product(shape)
    m, k, n = shape[:3]
    check_cell(who, at, (m, k, n))
    axes = [axis(size, LIMIT, (index,)) for size, index in zip((m, k, n), at, strict=True)]
    upper, lower = rows([_parts_for_m(shape, axes, at), _parts_for_n(shape, axes, at)], 0.6)
    i, p, j = at
    top = -max(len(axes[0]), len(axes[1])) / 2 - 0.8
    _, middle = axes[2].shown[len(axes[2].shown) // 2]  # a row starts clear of its ruler
    upper = upper + _threads(upper, ("d", i, middle), ("other", p, middle), ("out", i, p), top)
    lower = lower + _threads(lower, ("d", 0, j), ("other", 0, p), ("out", p, j), top)
    stack = f" The first of a stack of {shape.stack[0]} is drawn." if shape.stack else ""
    return Figure(
        _over(upper, lower),
        f"backward of {shape.left} @ {shape.right}",
        f"Two rows, one for each operand of M @ N; d is the gradient of the result, of shape "
        f"{shape.out}.{stack} Above, dM = d Nᵀ of shape {shape.left}: entry {(i, p)} collects row "
        f"{i} of d zipped with row {p} of N, summed over n = {n}{_shared(shape, shape.left)}. "
        f"Below, dN = Mᵀ d of shape {shape.right}: entry {(p, j)} collects column {p} of M zipped "
        f"with column {j} of d, summed over m = {m}{_shared(shape, shape.right)}. "
        f"Arrows run from d and the other operand to the gradient.",
    )


def _shared(p: MatmulShape, shape: Shape) -> str:
    """What comes on top for an operand that every matrix of the stack shared: its gradient adds."""
    if not p.stack or layers(shape) == p.stack[0]:
        return ""
    return f", then over the stack of {p.stack[0]}"


def _over(upper: Diagram, lower: Diagram) -> Diagram:
    """Two rows, one above the other, a rule between them."""
    (left, _, right, bottom), (_, top, _, _) = sides(upper), sides(lower)
    y = bottom + 0.7
    rule = polylines([[(left, y), (right, y)]]).line_color(FAINT)
    return upper + rule + lower.translate(0, y + 0.7 - top)


def _parts_for_m(shape: MatmulShape, axes: list[Axis], at: tuple[int, int, int]) -> list[Diagram]:
    (ms, ks, ns), (i, p, _) = axes, at
    m, k, n = (f"{name} = {x.size}" for name, x in zip("mkn", axes, strict=True))
    out = sheaf(shape.left, ms, ks, "out", lambda r, c: BOTH if (r, c) == (i, p) else CELL)
    other = sheaf(shape.right, ks, ns, "other", lambda r, _: aqua if r == p else CELL)
    grad = sheaf(shape.out, ms, ns, "d", lambda r, _: papaya if r == i else CELL)
    drop = max(len(ms), len(ks)) / 2 + 1.95
    return [
        captioned(
            ruled(out, ms, ks, (m, *FREE), (k, *FREE)),
            [f"dM {shape.left}", "= d Nᵀ" + _shared(shape, shape.left)],
            drop,
        ),
        step("sum over n", back=True),
        captioned(
            ruled(other, ks, ns, (k, *FREE), (n, *GONE)),
            [f"N {shape.right}", f"row {p}, column {p} of Nᵀ"],
            drop,
        ),
        sign("×"),
        captioned(
            ruled(grad, ms, ns, (m, *FREE), (n, *GONE)),
            [f"d {shape.out}", f"row {i}"],
            drop,
        ),
    ]


def _parts_for_n(shape: MatmulShape, axes: list[Axis], at: tuple[int, int, int]) -> list[Diagram]:
    (ms, ks, ns), (_, p, j) = axes, at
    m, k, n = (f"{name} = {x.size}" for name, x in zip("mkn", axes, strict=True))
    other = sheaf(shape.left, ms, ks, "other", lambda _, c: aqua if c == p else CELL)
    out = sheaf(shape.right, ks, ns, "out", lambda r, c: BOTH if (r, c) == (p, j) else CELL)
    grad = sheaf(shape.out, ms, ns, "d", lambda _, c: papaya if c == j else CELL)
    drop = max(len(ms), len(ks)) / 2 + 1.95
    return [
        captioned(
            ruled(other, ms, ks, (m, *GONE), (k, *FREE)),
            [f"M {shape.left}", f"column {p}, row {p} of Mᵀ"],
            drop,
        ),
        step("sum over m"),
        captioned(
            ruled(out, ks, ns, (k, *FREE), (n, *FREE)),
            [f"dN {shape.right}", "= Mᵀ d" + _shared(shape, shape.right)],
            drop,
        ),
        step("sum over m", back=True),
        captioned(
            ruled(grad, ms, ns, (m, *GONE), (n, *FREE)),
            [f"d {shape.out}", f"column {j}"],
            drop,
        ),
    ]


def _threads(drawing: Diagram, grad: tuple, other: tuple, out: tuple, top: float) -> Diagram:
    """Curves from an entry of d and from one of the other operand to what they are added into."""

    def at(name: tuple, aside: float = 0.0):
        x, y = drawing.get_subdiagram(name).get_location()
        return (x + aside, y - 0.1)

    start = at(other)
    side = 0.17 if start[0] > at(out)[0] else -0.17  # come down on the side it came from
    near = hoop(start, at(out, side), top, INK, tip=True)
    return hoop(at(grad), at(out, abs(side) - side), top - 0.4, PAPAYA_INK, tip=True) + near

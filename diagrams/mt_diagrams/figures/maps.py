"""map, zip and reduce: which elements meet, and what becomes of the shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from chalk.types import Diagram

from mt_diagrams.pieces.blocks import (
    along,
    axes_of,
    block,
    cell_name,
    numbers,
    size_of,
    towards_zero,
)
from mt_diagrams.pieces.elide import Axis
from mt_diagrams.pieces.layout import captioned, row, sign, step
from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import (
    Shape,
    check_cell,
    check_rank,
    common_shape,
    elements,
    of_operand,
    shape_of,
)
from mt_diagrams.pieces.values import values_of
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.roles import FIRST, RESULT, SECOND
from mt_diagrams.svg.strokes import hoop
from mt_diagrams.svg.theme import CELL, INK

Index = Sequence[int]


def image_map(
    a, function: Callable | None = None, *, name: str = "f", at: Index = (), values: bool = False
) -> Figure:
    """A map: each element of the result comes from the element in the same place.

    Args:
        a: an array, a tensor or a shape, of at most three dimensions.
        function: what is applied, to an array; needed only for ``values``.
        name: what to call it.
        at: the index that is followed; by default the first.
        values: write the numbers into the cells (of rank 3, into the front ones).

    Raises:
        ValueError: if it has more than three dimensions.
        IndexError: if there is no such index.
        TypeError: if values are asked of a shape, or without a function.

    >>> image_map((2, 3), name="exp")
    <Figure: map exp over (2, 3)>
    """
    who = "image_map"
    shape = shape_of(a)
    check_rank(who, shape)
    at = _index(who, at, shape)
    axes = axes_of(shape, at)
    before, after = (
        block(axes, _one(at, role.fill), cell) for cell, role in (("a", FIRST), ("out", RESULT))
    )
    if values:
        if function is None:
            raise TypeError(f"{who}: values=True needs the function that is applied")
        (x,) = values_of(who, a)
        before, after = before + numbers(axes, x), after + numbers(axes, _quiet(function, x))
    drop = _drop(axes)
    parts = [
        captioned(before, [f"a {shape}", elements(shape)], drop),
        step(f"map {name}"),
        captioned(after, [f"out {shape}", f"out{_at(at)} = {name}(a{_at(at)})"], drop),
    ]
    drawing = row(parts, 0.6)
    if not values and at is not None:
        drawing = _joined(drawing, "a", at, at, axes, INK)
    return Figure(
        with_legend(drawing, [FIRST, RESULT]),
        f"map {name} over {shape}",
        f"A tensor a of shape {shape} and a result of the same shape: each of its "
        f"{elements(shape)} is {name} of the element of a in the same place. The one at {_at(at)} "
        "is coloured.",
    )


def image_zip(
    a,
    b,
    function: Callable = np.multiply,
    *,
    name: str = "×",
    at: Index = (),
    values: bool = False,
) -> Figure:
    """A zip: each element of the result comes from one of each operand.

    Args:
        a, b: arrays, tensors or shapes that broadcast, of at most three dimensions.
        function: what is applied, to two arrays; used only for ``values``.
        name: its sign.
        at: the index of the result that is followed; by default the first.
        values: write the numbers into the cells (of rank 3, into the front ones).

    Raises:
        ValueError: if they do not broadcast, or have more than three dimensions.
        IndexError: if the result has no such index.
        TypeError: if values are asked of a shape.

    >>> image_zip((2, 1), (2, 3))
    <Figure: zip × of (2, 1) and (2, 3)>
    """
    who = "image_zip"
    left, right = shape_of(a), shape_of(b)
    for shape in (left, right):
        check_rank(who, shape)
    out = common_shape(who, left, right)
    at = _index(who, at, out)
    at_a, at_b = (None if at is None else of_operand(at, shape) for shape in (left, right))
    axes_a, axes_b, axes = axes_of(left, at_a), axes_of(right, at_b), axes_of(out, at or ())
    drawings = [
        block(axes_a, _one(at_a, FIRST.fill), "a"),
        block(axes_b, _one(at_b, SECOND.fill), "b"),
        block(axes, _one(at, RESULT.fill), "out"),
    ]
    if values:
        x, y = values_of(who, a, b)
        drawings = [
            drawing + numbers(*pair)
            for drawing, pair in zip(
                drawings,
                ((axes_a, x), (axes_b, y), (axes, _quiet(function, x, y))),
                strict=True,
            )
        ]
    drop = max(map(_drop, (axes_a, axes_b, axes)))
    formula = f"out{_at(at)} = a{_at(at_a)} {name} b{_at(at_b)}"
    parts = [
        captioned(drawings[0], [f"a {left}", elements(left)], drop),
        sign(name),
        captioned(drawings[1], [f"b {right}", elements(right)], drop),
        step("zip"),
        captioned(drawings[2], [f"out {out}", formula], drop),
    ]
    drawing = row(parts, 0.6)
    if not values and at is not None:
        drawing = _joined(drawing, "b", at_b, at, axes_b, SECOND.ink, 0.17)
        drawing = _joined(drawing, "a", at_a, at, axes_a, FIRST.ink, -0.17, 0.45)
    return Figure(
        with_legend(drawing, [FIRST, SECOND, RESULT]),
        f"zip {name} of {left} and {right}",
        f"Operands a of shape {left} and b of shape {right} give a result of shape {out}, "
        f"{elements(out)}: element {_at(at)} is element {_at(at_a)} of a {name} element "
        f"{_at(at_b)} of b. The three are coloured.",
    )


def image_reduce(
    a,
    dim: int,
    function: Callable = np.sum,
    *,
    name: str = "+",
    at: Index = (),
    values: bool = False,
) -> Figure:
    """A reduce: one dimension collapses, each line along it into one element.

    Args:
        a: an array, a tensor or a shape, of one to three dimensions.
        dim: the dimension that goes; negative ones count from the last.
        function: what reduces an array along an ``axis``; used only for ``values``.
        name: the sign it reduces with.
        at: an index of ``a`` on the line that is followed; by default the first.
        values: write the numbers into the cells (of rank 3, into the front ones).

    Raises:
        ValueError: if there is no such dimension, or there are more than three.
        IndexError: if there is no such index.
        TypeError: if values are asked of a shape.

    >>> image_reduce((2, 4, 3), 1)
    <Figure: reduce + of (2, 4, 3) along dim 1>
    """
    who = "image_reduce"
    shape = shape_of(a)
    check_rank(who, shape)
    rank = len(shape)
    if not -rank <= dim < rank:
        raise ValueError(f"{who}: dim {dim} is out of range for shape {shape}")
    dim %= rank
    at = _index(who, at, shape)
    out = (*shape[:dim], *shape[dim + 1 :])
    target = None if at is None else (*at[:dim], *at[dim + 1 :])
    axes, axes_out = axes_of(shape, at or ()), axes_of(out, target or ())

    def on_line(*index: int):
        line = at is not None and (*index[:dim], *index[dim + 1 :]) == (*at[:dim], *at[dim + 1 :])
        return FIRST.fill if line else CELL

    before, after = block(axes, on_line, "a"), block(axes_out, _one(target, RESULT.fill), "out")
    before = before + along(axes, dim, f"dim {dim}: {shape[dim]}")
    if values:
        (x,) = values_of(who, a)
        reduced = _quiet(function, x, axis=dim)
        before, after = before + numbers(axes, x), after + numbers(axes_out, reduced)
    else:
        before = before + towards_zero(axes, dim)
    drop = max(_drop(axes), _drop(axes_out)) + 0.85
    lines = [f"out {out}", elements(out)]
    if at is not None:
        line = ", ".join(":" if d == dim else str(i) for d, i in enumerate(at))
        of = "Σ " if name == "+" else f"{name} of "
        lines.append(f"out{_at((*at[:dim], *at[dim + 1 :]))} = {of}a[{line}]")
    parts = [
        captioned(before, [f"a {shape}", elements(shape)], drop),
        step(f"reduce {name}"),
        captioned(after, lines, drop),
    ]
    return Figure(
        with_legend(row(parts, 0.6), [FIRST, RESULT]),
        f"reduce {name} of {shape} along dim {dim}",
        f"A tensor a of shape {shape}. Dimension {dim}, of size {shape[dim]}, collapses: each line "
        f"along it becomes one element of the result, of shape {out}, {elements(out)}. The line "
        "that is followed is coloured, and so is what it becomes.",
    )


def _quiet(function: Callable, *arrays, **options):
    """What a function makes of arrays; NaN and infinity are results, not warnings."""
    with np.errstate(all="ignore"):
        return np.asarray(function(*arrays, **options))


def _index(who: str, at: Index, shape: Shape) -> tuple[int, ...] | None:
    """The index that is followed: the first by default, None where there is none."""
    if 0 in shape:
        return None
    at = tuple(at) or (0,) * len(shape)
    check_cell(who, at, shape)
    return at


def _at(index: tuple[int, ...] | None) -> str:
    return "[…]" if index is None else f"[{', '.join(map(str, index))}]" if index else "[]"


def _one(index: tuple[int, ...] | None, color) -> Callable:
    return lambda *here: color if here == index else CELL


def _drop(axes: list[Axis]) -> float:
    _, height, reach = size_of(axes)
    return (height + reach) / 2 + 0.75


def _joined(drawing: Diagram, source: str, at, to, axes, color, aside=0.0, over=0.0) -> Diagram:
    """A curve from an element of an operand to the element of the result that it goes into."""
    x0, y0 = drawing.get_subdiagram(cell_name(source, at)).get_location()
    x1, y1 = drawing.get_subdiagram(cell_name("out", to)).get_location()
    _, height, reach = size_of(axes)
    top = min(y0, y1, -(height + reach) / 2) - 0.9 - over
    return drawing + hoop((x0, y0 - 0.1), (x1 + aside, y1 - 0.1), top, color, tip=True)

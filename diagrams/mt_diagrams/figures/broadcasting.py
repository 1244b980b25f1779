"""Broadcasting: how two operands stretch to the shape they share."""

from __future__ import annotations

from collections.abc import Sequence

from chalk import concat
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.blocks import along, axes_of, block, size_of
from mt_diagrams.pieces.layout import captioned, rows, step
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
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import FIRST, SECOND
from mt_diagrams.svg.theme import INK, QUIET, SMALL, TEXT

ROLE_OF = {"a": FIRST, "b": SECOND}


def image_broadcast(a, b, *, at: Sequence[int] = ()) -> Figure:
    """How each of two operands stretches to their common shape.

    What is stored is in full colour, what only repeats it is pale.

    Args:
        a, b: arrays, tensors or shapes, of at most three dimensions.
        at: an index of the result to follow into both; it is darkest.

    Raises:
        ValueError: if they do not broadcast, or have more than three dimensions.
        IndexError: if there is no such index.

    >>> image_broadcast((2, 4, 1), (4, 3))
    <Figure: broadcast of (2, 4, 1) and (4, 3)>
    >>> image_broadcast((2,), (3,))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: image_broadcast: (2,) and (3,) do not broadcast: sizes 2 and 3 in dimension -1 ...
    """
    who = "image_broadcast"
    shapes = {"a": shape_of(a), "b": shape_of(b)}
    for shape in shapes.values():
        check_rank(who, shape)
    out = common_shape(who, *shapes.values())
    at = tuple(at)
    if at:
        check_cell(who, at, out)
    lines = [_row_of(name, shape, out, at) for name, shape in shapes.items()]
    upper, lower = rows(lines, 0.7)
    gap = (_height(lines[0]) + _height(lines[1])) / 2 + 0.9
    words = [_in_words(name, shape, out) for name, shape in shapes.items()]
    return Figure(
        with_legend(upper + lower.translate(0, gap), [FIRST, SECOND]),
        f"broadcast of {shapes['a']} and {shapes['b']}",
        f"Operands a of shape {shapes['a']} and b of shape {shapes['b']}, aligned at the last "
        f"dimension, stretch to {out}, {elements(out)}: {words[0]}; {words[1]}."
        + "".join(f" {_read(name, shape, at)}." for name, shape in shapes.items() if at),
    )


def _height(parts: list[Diagram]) -> float:
    return max(part.get_envelope().height for part in parts)


def _new_dims(shape: Shape, out: Shape) -> int:
    return len(out) - len(shape)


def _stretched(shape: Shape, out: Shape) -> list[int]:
    """The dimensions of ``out`` along which an operand of ``shape`` only repeats."""
    aligned = (1,) * _new_dims(shape, out) + shape
    return [d for d, (n, m) in enumerate(zip(aligned, out, strict=True)) if n != m]


def _in_words(name: str, shape: Shape, out: Shape) -> str:
    dims = _stretched(shape, out)
    if not dims:
        return f"{name} has that shape"
    some = " and ".join(f"{d} ({out[d]} times)" for d in dims)
    return f"{name} is repeated along dimension {some}, with stride 0, so nothing is copied"


def _read(name: str, shape: Shape, at: tuple[int, ...]) -> str:
    """Which element of an operand stands at an index of the result."""
    return f"{list(at)} reads {name}{list(of_operand(at, shape))}"


def _row_of(name: str, shape: Shape, out: Shape, at: tuple[int, ...]) -> list[Diagram]:
    """An operand in its own shape, and stretched."""
    role = ROLE_OF[name]
    stretched = _stretched(shape, out)
    here = of_operand(at, shape) if at else None
    axes, wide = axes_of(shape, here or ()), axes_of(out, at)

    def own(*index: int) -> Color:
        return role.ink if index == here else role.fill

    def stored(*index: int) -> Color:
        if at and index == at:
            return role.ink
        return role.tint if any(index[d] for d in stretched) else role.fill

    big = block(wide, stored)
    big = concat([big, *(along(wide, d, "stride 0", role.ink) for d in stretched)])
    drop = max(sum(size_of(x)[1:]) for x in (axes, wide)) / 2 + 0.75 + (0.9 if stretched else 0)
    word = "stretch" if stretched else "as it is"
    lines = [str(out), f"{elements(shape)} stored", *([_read(name, shape, at)] if at else [])]
    return [
        _aligned(name, shape, out),
        captioned(block(axes, own), [f"{name} {shape}", elements(shape)], drop),
        step(word),
        captioned(big, lines, drop),
    ]


def _aligned(name: str, shape: Shape, out: Shape) -> Diagram:
    """The sizes of an operand over those of the result, last under last."""
    width = max([1.2, *(width_of(str(n), TEXT) + 0.5 for n in out)])
    parts = []
    for y, (who, sizes) in enumerate(((name, shape), ("out", out))):
        parts.append(label(who, SMALL, QUIET).translate(-0.9, 0.8 * y - 0.4))
        for d, n in enumerate(sizes, len(out) - len(sizes)):
            same = n == out[d]
            color = INK if same else ROLE_OF[name].ink
            text = label(str(n), TEXT, color, bold=not same)
            parts.append(text.translate(0.3 + width * d + width / 2 - 0.5, 0.8 * y - 0.4))
    return concat(parts)

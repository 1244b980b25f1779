"""Storage: the flat row of cells behind a tensor, and which of them each index reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product as every
from math import prod

from chalk import concat, empty
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.cells import hollow, left_out, paint
from mt_diagrams.pieces.elide import Axis, around, axis
from mt_diagrams.pieces.layout import row
from mt_diagrams.pieces.shapes import check_cell, elements
from mt_diagrams.pieces.strided import Strided, strided_of
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.palette import aqua, papaya
from mt_diagrams.svg.strokes import arrows, box, boxed, dots, polygons, polylines, sides
from mt_diagrams.svg.theme import INK, MIST, QUIET, SMALL, TEXT, THREAD, TINY

NAMES = "ijk"
CELLS = 30  # of the storage, up to which all are drawn
LONGEST = 42  # the row of the storage, beyond which only where the steps lead is drawn
LIMITS = {0: (1,), 1: (12,), 2: (5, 6), 3: (3, 3, 3)}  # shown of each dimension, by rank


def image_storage(tensor, *, at: Sequence[int] = (), names: Sequence[str] = NAMES) -> Figure:
    """The storage of a tensor: which cell each index reads, and how far apart neighbours are.

    The number in a cell of the tensor is the cell of the storage that it reads, in the same
    colour.  A cell that several indices read says how many do.

    Args:
        tensor: a tensor or an array with any strides, or a shape, of at most three dimensions.
        at: an index to follow: it and the cell that it reads are framed.
        names: a letter for each dimension.

    Raises:
        ValueError: if it has more than three dimensions, strides that are no whole elements, or
            more dimensions than names.
        IndexError: if there is no such index.

    >>> image_storage((2, 3))
    <Figure: storage of (2, 3), strides (3, 1)>
    """
    view = strided_of("image_storage", tensor)
    at = tuple(at)
    if at:
        check_cell("image_storage", at, view.shape)
    if len(names) < len(view.shape):
        raise ValueError(
            f"image_storage: {len(view.shape)} dimensions need as many names; got {names!r}"
        )
    limits = LIMITS[len(view.shape)]
    kept = at or (0,) * len(view.shape)
    axes = [_few(n, most, i) for n, most, i in zip(view.shape, limits, kept, strict=False)]
    indices = list(every(*([i for _, i in a.shown] for a in axes))) if prod(view.shape) else []
    read = sorted({view.position(index) for index in indices})
    shades = dict(zip(read, _shades(len(read)), strict=True))
    widest = max([1.0, *(width_of(str(n), TINY) + 0.24 for n in [*read, view.cells - 1])])
    upper = _layers(view, axes, shades, widest, at, names)
    lower = _flat(view, axes, shades, widest, at, names)
    (_, _, _, bottom), (_, top, _, _) = sides(upper), sides(lower)
    return Figure(
        upper + lower.translate(0, bottom + 0.7 - top),
        f"storage of {view.shape}, strides {view.strides}",
        _in_words(view, names) + (f" {list(at)} reads cell {view.position(at)}." if at else ""),
    )


def _few(size: int, most: int, keep: int) -> Axis:
    """Up to ``most`` indices; else the first two, for a step to be seen, ``keep`` and the last."""
    if size <= most:
        return axis(size)
    return around(size, (0, 1, keep, size - 1))


def _shades(count: int) -> list[Color]:
    return list(aqua.range_to(papaya, count)) if count > 1 else [aqua] * count


def _in_words(view: Strided, names: Sequence[str]) -> str:
    shared = prod(n for n, s in zip(view.shape, view.strides, strict=True) if s == 0)
    return (
        f"A tensor of shape {view.shape}, {elements(view.shape)}, over a storage of {view.cells:,} "
        f"cells. {_formula(view, names).capitalize()}. "
        + (
            f"Where a stride is 0 the cell stays the same: {shared:,} indices share each."
            if shared > 1
            else "Equal numbers and equal colours are the same memory."
        )
    )


def _layers(
    view: Strided, axes: list[Axis], shades: dict, width: float, at: tuple, names: Sequence[str]
) -> Diagram:
    """The tensor, of rank 3 its layers side by side, under its layout in words."""
    front, (down, across) = axes[:-2], [axis(1), axis(1), *axes][-2:]
    drawings = []
    for i in front[0].slots if front else ():
        if i is not None:
            drawings.append(_layer(view, (i,), down, across, shades, width, at, names))
        elif front[0].size:
            drawings.append(polygons(dots((0, 0), (1, 0))).fill_color(INK).line_width(0))
        else:
            drawings.append(hollow(box(-1, -0.5, 2, 1)))
    body = row(drawings, 1.0) if front else _layer(view, (), down, across, shades, width, at, names)
    left, top, right, _ = sides(body)
    middle = (left + right) / 2
    title = f"shape {view.shape} · strides {view.strides} · offset {view.offset:,}"
    formula = label(_formula(view, names), SMALL, QUIET).translate(middle, top - 0.6)
    titled = [label(title, TEXT).translate(middle, top - 1.25), formula, body]
    return concat(titled).translate(-middle, 0)


def _formula(view: Strided, names: Sequence[str]) -> str:
    names = names[: len(view.shape)]
    terms = [f"{s}·{i}" for i, s in zip(names, view.strides, strict=True)]
    if view.offset or not terms:
        terms.insert(0, str(view.offset))
    return f"index [{', '.join(names)}] reads cell {' + '.join(terms).replace('+ -', '− ')}"


def _layer(
    view: Strided,
    layer: tuple,
    down: Axis,
    across: Axis,
    shades: dict,
    width: float,
    at: tuple,
    names: Sequence[str],
) -> Diagram:
    """A matrix, each cell with the number of the storage cell it reads."""
    w, h = len(across) * width, float(len(down))
    left, top = -w / 2, -h / 2
    outline = box(left, top, w, h)
    if 0 in (down.size, across.size):
        return boxed(hollow(outline), left, top, -left, -top)
    rank = len(view.shape)
    cells, texts, frames = [], [], []
    for y, i in down.shown:
        for x, j in across.shown:
            index = (*layer, i, j) if rank > 1 else (i, j)[2 - rank :]
            cell = view.position(index)
            cells.append((box(left + x * width, top + y, width, 1), shades[cell]))
            spot = (left + (x + 0.5) * width, top + y + 0.5)
            texts.append(label(str(cell), TINY).translate(*spot))
            if at and index == at:
                frames.append(_frame(left + x * width, top + y, width))
    gaps = [((left + (x + 0.5) * width, top + down.middle), (1, 0)) for x in across.gaps]
    gaps += [((left + across.middle * width, top + y + 0.5), (0, 1)) for y in down.gaps]
    notes = []
    if rank > 1:
        notes += [_left_of(str(i), left - 0.2, top + y + 0.5) for y, i in down.shown]
    if rank:
        notes += [
            label(str(j), TINY, QUIET).translate(left + (x + 0.5) * width, -top + 0.32)
            for x, j in across.shown
        ]
    if layer:
        text = f"{names[0]} = {layer[0]}"
        notes.append(label(text, SMALL, QUIET).translate(0, -top + 0.9))
    return concat([left_out(outline, gaps), paint(cells), *frames, *texts, *notes])


def _frame(left: float, top: float, width: float) -> Diagram:
    """Around the cell that is followed."""
    return polylines([[*box(left, top, width, 1), (left, top)]]).line_width(0.32)


def _left_of(text: str, right: float, y: float) -> Diagram:
    return label(text, TINY, QUIET).translate(right - width_of(text, TINY) / 2, y)


def _flat(
    view: Strided, axes: list[Axis], shades: dict, width: float, at: tuple, names: Sequence[str]
) -> Diagram:
    """The storage itself, and beneath it what one step along each dimension means."""
    total = f"storage: {view.cells:,} cell" + ("" if view.cells == 1 else "s")
    followed = [view.position(at)] if at else []
    line = _line(view, shades, width, followed)
    w = len(line) * width
    left = -w / 2
    title = label(total, SMALL, QUIET).translate(left + width_of(total, SMALL) / 2, -1.1)
    if not view.cells:
        return title + hollow(box(left, -0.5, w, 1))
    place = {index: left + (x + 0.5) * width for x, index in line.shown}
    cells = [(box(x - width / 2, -0.5, width, 1), shades.get(p, MIST)) for p, x in place.items()]
    shared = {p: n for p, n in _shared(view, axes, shades).items() if p in place}
    texts = [
        label(str(p), TINY, INK if p in shades else QUIET).translate(x, 0) for p, x in place.items()
    ]
    counts = [
        label(f"×{n}", TINY, INK, bold=True).translate(place[p], -0.72)
        for p, n in shared.items()
        if width_of(f"×{n}", TINY, bold=True) <= width
    ]
    gaps = [((left + (x + 0.5) * width, 0), (1, 0)) for x in line.gaps]
    return concat(
        [
            title.translate(0, -0.25 if shared else 0),
            left_out(box(left, -0.5, w, 1), gaps),
            paint(cells),
            *(_frame(place[cell] - width / 2, -0.5, width) for cell in followed),
            *texts,
            *counts,
            _steps(view, place, names),
        ]
    )


def _line(view: Strided, read: Iterable[int], width: float, keep: Sequence[int]) -> Axis:
    """The cells of the storage that are drawn: all, or those read and its ends, or yet fewer."""
    if not view.cells:
        return axis(0)
    ends = {0, view.cells - 1}
    everything = range(view.cells) if view.cells <= CELLS else ends
    line = around(view.cells, {*everything, *read})
    if len(line) * width <= LONGEST:
        return line
    steps = [view.offset + s for n, s in zip(view.shape, view.strides, strict=True) if n > 1]
    return around(view.cells, {*ends, view.offset, *steps, max(read), *keep})


def _shared(view: Strided, axes: list[Axis], shades: dict) -> dict[int, int]:
    """The cells that more than one index reads, each with how many do."""
    by_stride = prod(n for n, s in zip(view.shape, view.strides, strict=True) if s == 0)
    if any(a.elided for a in axes):  # then windows that overlap are not counted
        return dict.fromkeys(shades, by_stride) if by_stride > 1 else {}
    counts = Counter(view.position(index) for index in every(*map(range, view.shape)))
    return {at: n for at, n in sorted(counts.items()) if n > 1}


def _steps(view: Strided, place: dict[int, float], names: Sequence[str]) -> Diagram:
    """An arrow for each dimension: from the first element to its neighbour there.

    The longest first, those that go back last: so no guide runs through words.
    """
    if 0 in view.shape:
        return empty()
    parts, y = [], 1.1
    dims = [(d, stride) for d, stride in enumerate(view.strides) if view.shape[d] > 1]
    for d, stride in sorted(dims, key=lambda pair: (pair[1] <= 0, -abs(pair[1]))):
        start, end = place[view.offset], place[view.offset + stride]
        if stride:
            words = f"one step of {names[d]}: {abs(stride):,} {'further' if stride > 0 else 'back'}"
            parts.append(arrows([[(start, y), (end, y)]]))
        else:
            words = f"one step of {names[d]}: the same cell (stride 0)"
            spot = polygons([box(start - 0.09, y - 0.09, 0.18, 0.18)])
            parts.append(spot.fill_color(INK).line_width(0))
        guides = [[(x, 0.6), (x, y - 0.12)] for x in sorted({start, end})]
        parts.append(polylines(guides).line_color(THREAD).dashing([2, 3], 0))
        spot = max(start, end) + 0.3 + width_of(words, SMALL) / 2
        parts.append(label(words, SMALL, QUIET).translate(spot, y))
        y += 0.72
    return concat(parts)

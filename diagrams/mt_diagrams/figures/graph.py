"""The autograd graph of a result: what made it, from what, and what is kept for going back.

A result is anything with a ``grad_fn`` that has a ``name``, a ``shape``, ``inputs`` (nodes,
leaves or None) and a ``context`` with ``saved_tensors``, as those of mtlib have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chalk import concat
from chalk.types import Diagram
from colour import Color

from mt_diagrams.pieces.legend import with_legend
from mt_diagrams.pieces.shapes import bytes_in_words, shape_of, short_bytes
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.hatch import hatched
from mt_diagrams.svg.lettering import label, width_of
from mt_diagrams.svg.roles import FIRST, INTERMEDIATE, RESULT, ROLES, SECOND
from mt_diagrams.svg.strokes import arrows, box, polygons, polylines
from mt_diagrams.svg.theme import CELL, INK, MIST, QUIET, SMALL, TEXT, THREAD, TINY

ACROSS = 8  # layers and, in each, nodes that are drawn
DOWN = 5
TOLD = 12  # operations that the description goes through
LINE = 0.62  # from one line of text in a box to the next


@dataclass(eq=False)
class _Box:
    """A node, a leaf or what stands for those left out."""

    title: str
    shape: str
    role: str  # "leaf", "node", "more", or "via" for a line that passes
    sources: list = field(default_factory=list)
    saved: list[tuple[str, int, bool]] = field(default_factory=list)  # shape, bytes, counted before
    keeps: list[int] = field(default_factory=list)  # the storages of those, by their ids
    of: list[Color] = field(default_factory=list)  # the colour of what each of those is
    fill: Color = field(default_factory=lambda: CELL)
    freed: bool = False
    layer: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def lines(self) -> list[str]:
        notes = [
            f"{shape} {'held already' if again else short_bytes(n)}"
            for shape, n, again in self.saved
        ]
        return [*([self.shape] if self.shape else []), *notes]

    @property
    def width(self) -> float:
        if self.role == "via":
            return 0.0
        widths = [width_of(text, TINY) for text in self.lines]
        return max([1.7, width_of(self.title, SMALL, bold=True), *widths]) + 0.6

    @property
    def height(self) -> float:
        if self.role == "via":
            return 0.1
        return 0.5 + LINE * (1 + len(self.lines)) + (0.1 if self.saved else 0)


def image_graph(tensor) -> Figure:
    """The graph that ``backward`` will walk, from the leaves (left) to the result (right).

    An operation that saved tensors for its backward shows each of them, with its bytes: the
    storage's, counted once.

    Args:
        tensor: a result that knows what made it, in its ``grad_fn``.

    Raises:
        TypeError: if it has no ``grad_fn`` that can be followed.

    >>> from types import SimpleNamespace as Some
    >>> leaf, context = Some(shape=(2, 3)), Some(saved_tensors=())
    >>> node = Some(name="exp", shape=(2, 3), inputs=(leaf,), context=context)
    >>> image_graph(Some(shape=(2, 3), grad_fn=node))
    <Figure: graph of exp (2, 3): 1 operation, 1 leaf>
    """
    last = getattr(tensor, "grad_fn", None)
    if last is None or not hasattr(last, "inputs"):
        raise TypeError(
            f"image_graph: {type(tensor).__name__} has no grad_fn that can be followed; draw the "
            "result of operations on tensors that require gradients"
        )
    boxes, total = _walk(last)
    nodes = sum(b.role == "node" for b in boxes)
    leaves = len(boxes) - nodes
    words = _all_in_words(boxes)
    shown = _elided(boxes)
    vias = _vias(shown)
    _place([*shown, *vias.values()])
    counts = f"{nodes} operation{'s' * (nodes != 1)}, {leaves} lea{'ves' if leaves != 1 else 'f'}"
    freed = any(b.freed for b in boxes)
    kept = "nothing is saved for backward" if not freed else "what was saved has been freed"
    if total:
        kept = f"{bytes_in_words(total)} saved for backward"
    parts = [_edges(shown, vias), *(_draw(b) for b in shown), _under(shown, f"{counts}: {kept}")]
    used = {color.hex for b in shown for color in (b.fill, *b.of)}
    roles = [role for role in ROLES if role.fill.hex in used]
    return Figure(
        with_legend(concat(parts), roles, any(b.saved for b in shown)),
        f"graph of {last.name} {shape_of(last)}: {counts}",
        f"The autograd graph of a result of shape {shape_of(last)}, leaves left, the result right: "
        f"{counts}; {kept}. {words}",
    )


def _all_in_words(boxes: list[_Box]) -> str:
    """The operations one by one, of a long graph the first and the last."""
    nodes = [_in_words(b) for b in boxes if b.role == "node"]
    if len(nodes) > TOLD:
        nodes[TOLD - 1 : -1] = [f"{len(nodes) - TOLD:,} more."]
    return " ".join(nodes)


def _in_words(b: _Box) -> str:
    names = ", ".join(f"{s.title} {s.shape}" for s in b.sources) or "nothing"
    saves = ", ".join(shape for shape, _, _ in b.saved)
    return f"{b.title} {b.shape} from {names}" + (f", saves {saves}." if saves else ".")


def _walk(last) -> tuple[list[_Box], int]:
    """Every node and leaf that ``last`` depends on, sources first, and the bytes they save."""
    boxes: dict[int, _Box] = {}
    stack, storages, total, leaves = [(last, False)], set(), 0, 0
    own: dict[int, int] = {}  # the storages of leaves, and which each is
    alive = []  # what saved_tensors gave: while held, an id stands for one storage
    while stack:
        thing, sources_done = stack.pop()
        if id(thing) in boxes:
            continue
        if not hasattr(thing, "inputs"):
            leaves += 1
            name = f"leaf {leaves}"
            boxes[id(thing)] = _Box(name, str(shape_of(thing)), "leaf")
            own[id(getattr(thing, "storage", thing))] = len(own)
            continue
        sources = [source for source in thing.inputs if source is not None]
        if not sources_done:
            stack.append((thing, True))
            stack += [(source, False) for source in reversed(sources)]
            continue
        made = _Box(thing.name, str(shape_of(thing)), "node", [boxes[id(s)] for s in sources])
        made.layer = 1 + max((s.layer for s in made.sources), default=-1)
        saved, made.freed = _saved(thing.context)
        alive += saved
        for kept in saved:
            storage = getattr(kept, "storage", kept)
            again = id(storage) in storages
            storages.add(id(storage))
            alive.append(storage)
            total += 0 if again else storage.nbytes
            made.saved.append((str(shape_of(kept)), storage.nbytes, again))
            made.keeps.append(id(storage))
        boxes[id(thing)] = made
    _give_roles(list(boxes.values()), own)
    return list(boxes.values()), total


def _give_roles(boxes: list[_Box], own: dict[int, int]) -> None:
    """The last node makes the result; what is saved is an operand or made on the way.

    Two leaves are the operands; where there are more, none is the first or the second of anything.
    """
    leaves = [b for b in boxes if b.role == "leaf"]
    if len(leaves) <= 2:
        for leaf, role in zip(leaves, (FIRST, SECOND), strict=False):
            leaf.fill = role.fill
    boxes[-1].fill = RESULT.fill
    for b in boxes:
        b.of = [leaves[own[key]].fill if key in own else INTERMEDIATE.fill for key in b.keeps]


def _saved(context) -> tuple[list, bool]:
    """The tensors a node holds for backward, and whether they were freed by one."""
    try:
        return [kept for kept in context.saved_tensors if kept is not None], False
    except RuntimeError as error:  # nothing was saved, or it is no longer there
        return [], "freed" in str(error)


def _elided(boxes: list[_Box]) -> list[_Box]:
    """What is drawn: the first and the last layers, of each the first nodes; the rest as boxes."""
    last = max(b.layer for b in boxes)
    cut = range(ACROSS // 2, last - ACROSS // 2 + 2) if last >= ACROSS else range(0)
    away: dict[_Box, _Box] = {}
    shown: list[_Box] = []
    middle = [b for b in boxes if b.layer in cut]
    if middle:
        more = _Box("…", f"{len(middle)} more", "more", layer=cut[0])
        away |= dict.fromkeys(middle, more)
        shown.append(more)
    for b in boxes:
        if b.layer > (cut[-1] if cut else last):
            b.layer -= len(cut) - 1
    for layer in range(last + 1):
        column = [b for b in boxes if b.layer == layer and b not in away]
        if len(column) > DOWN:
            more = _Box("…", f"{len(column) - DOWN + 1} more", "more", layer=layer)
            away |= dict.fromkeys(column[DOWN - 1 :], more)
            shown.append(more)
    kept = [b for b in boxes if b not in away]
    for b in boxes:
        b.sources = list(dict.fromkeys(away.get(s, s) for s in b.sources))
        if b in away:
            away[b].sources += [s for s in b.sources if s is not away[b]]
    for more in shown:
        more.sources = list(dict.fromkeys(more.sources))
    return kept + shown


def _vias(boxes: list[_Box]) -> dict[tuple[_Box, int], _Box]:
    """Where a line passes the layers between two boxes, so that it does not run behind others."""
    vias: dict[tuple[_Box, int], _Box] = {}
    for b in boxes:
        for s in b.sources:
            for layer in range(s.layer + 1, b.layer):
                before = vias.get((s, layer - 1), s)
                vias.setdefault((s, layer), _Box("", "", "via", [before], layer=layer))
    return vias


def _place(boxes: list[_Box]) -> None:
    """Columns from left to right, each node as near as it can be to the middle of its sources."""
    x = 0.0
    for layer in sorted({b.layer for b in boxes}):
        column = [b for b in boxes if b.layer == layer]
        wide = max(b.width for b in column)
        wanted = {
            b: sum(s.y for s in b.sources) / len(b.sources) if b.sources else 0.0 for b in column
        }
        column.sort(key=lambda b: wanted[b])
        tall = sum(b.height for b in column) + 0.7 * (len(column) - 1)
        y = sum(wanted.values()) / len(column) - tall / 2
        for b in column:
            b.x, b.y = x + wide / 2, y + b.height / 2
            y += b.height + 0.7
        x += wide + 1.3


def _draw(b: _Box) -> Diagram:
    left, top = b.x - b.width / 2, b.y - b.height / 2
    ground = MIST if b.role == "more" else b.fill
    parts = [polygons([box(left, top, b.width, b.height)]).fill_color(ground)]
    y = top + 0.3 + LINE / 2
    parts.append(label(b.title, SMALL, INK, bold=b.role == "node").translate(b.x, y - 0.02))
    if b.shape:
        y += LINE
        parts.append(label(b.shape, TINY, QUIET if b.role == "node" else INK).translate(b.x, y))
    if b.saved:
        y += LINE / 2 + 0.1
        high = LINE * len(b.saved) + 0.15
        ends = [y, *(y + 0.07 + LINE * n for n in range(1, len(b.saved))), y + high]
        for n, (text, color) in enumerate(zip(b.lines[-len(b.saved) :], b.of, strict=True)):
            upper, lower, at = ends[n], ends[n + 1], y + 0.07 + LINE * (n + 0.5)
            half = width_of(text, TINY) / 2 + 0.1
            plate = box(b.x - half, at - 0.27, 2 * half, LINE - 0.08)
            area = polygons([box(left, upper, b.width, lower - upper)]).fill_color(color)
            parts += [area, hatched([(left, upper, left + b.width, lower)], "/")]
            parts.append(polygons([plate]).fill_color(color).line_width(0))
            parts.append(label(text, TINY).translate(b.x, at))
    return concat(parts)


def _edges(boxes: list[_Box], vias: dict[tuple[_Box, int], _Box]) -> Diagram:
    """From each source to what uses it."""
    lines = []
    for b in boxes:
        count = len(b.sources)
        ways = [(s, [vias[s, layer] for layer in range(s.layer + 1, b.layer)]) for s in b.sources]
        ways.sort(key=lambda way: (way[1] or [way[0]])[-1].y)
        for n, (s, via) in enumerate(ways):
            spread = (n - (count - 1) / 2) * min(0.5, (b.height - 0.4) / max(count, 1))
            middle = [(v.x + aside, v.y) for v in via for aside in (-1.0, 1.0)]
            start, end = (s.x + s.width / 2, s.y), (b.x - b.width / 2 - 0.04, b.y + spread)
            lines.append([start, *middle, end])
    return arrows(lines, THREAD) if lines else polylines([])


def _under(boxes: list[_Box], text: str) -> Diagram:
    left, right = min(b.x - b.width / 2 for b in boxes), max(b.x + b.width / 2 for b in boxes)
    bottom = max(b.y + b.height / 2 for b in boxes)
    return label(text, TEXT, QUIET).translate((left + right) / 2, bottom + 0.8)

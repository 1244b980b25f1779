"""Figures in steps, with no kernel and no script: in JupyterLab, on a page, in a saved notebook.

A stepper is a row of radio buttons, which a keyboard can reach and its arrow keys move along, and
one picture for each.  Which is seen is up to a few lines of style.  Where styles are stripped (an
untrusted notebook, a preview) only the first picture is left, and no dead buttons.

Nothing in it goes by an id, so it can stand on a page more than once: the style looks from a button
to the pictures beside it, and buttons belong together that are in one form.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from html import escape

from mt_diagrams.figures.broadcast_matmul import STAGES, full
from mt_diagrams.figures.matmul import ORIGIN, simple
from mt_diagrams.figures.softmax import frames_of_softmax
from mt_diagrams.pieces.elide import axis
from mt_diagrams.pieces.shapes import matmul_shape
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.image import image
from mt_diagrams.svg.marks import Extent, extent_of, union

MOST = 24  # steps; a longer walk leaves out its middle

_STYLE = """
.mt-steps{position:relative;margin:0 0 12px;padding:4px 0 0 4px;counter-reset:mt-step}
.mt-steps>input{counter-increment:mt-step;display:inline-block!important;appearance:none;\
-webkit-appearance:none;box-sizing:border-box;width:auto;height:auto;min-width:1.9em;\
padding:3px 8px;margin:0 4px 4px 0;border:1px solid #8d949a;border-radius:6px;\
background:#fcfbf7;color:#1f2a33;font:13px Helvetica,Arial,sans-serif;text-align:center;\
cursor:pointer}
.mt-steps>input::before{content:counter(mt-step)}
.mt-steps>input:checked{background:#1f2a33;color:#fff}
.mt-steps>input:focus-visible{outline:3px solid #1b6676}
.mt-steps>div{display:none!important}
"""
_CHOSEN = ".mt-steps>input:nth-of-type(N):checked~div:nth-of-type(N){display:block!important}"


_HIDDEN = 'hidden="hidden"'  # JupyterLab's sanitizer drops one without a value
_NOT_SENT = f"<button disabled {_HIDDEN}></button>"  # so that the Enter key does not send the form
_KEYS = 'data-lm-suppress-shortcuts="true"'  # else JupyterLab takes the arrow keys for itself


class Stepper:
    """A sequence of figures to step through.

    Args:
        figures: what each step shows; its title says what happens, its description is read aloud.
        id: a name to link to, if it needs one: letters, digits, ``-`` and ``_``.
        title: what it all shows; by default the first figure's title.

    Raises:
        ValueError: if there is no figure, or the id is not one.

    >>> from mt_diagrams import matrix
    >>> figures = [Figure(matrix(1, n), f"{n} cells", "A row of cells.") for n in (1, 2, 3)]
    >>> Stepper(figures, title="a row that grows")
    <Stepper: a row that grows, 3 steps>
    """

    def __init__(
        self, figures: Sequence[Figure], *, id: str | None = None, title: str | None = None
    ) -> None:
        self.figures = list(figures)
        if not self.figures:
            raise ValueError("Stepper: needs at least one figure")
        if id is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", id):
            raise ValueError(f"Stepper: id {id!r} must be letters, digits, - and _, a letter first")
        self.id = id
        self.title = self.figures[0].title if title is None else title

    @cached_property
    def _room(self) -> Extent:
        """What all the steps need together: so nothing moves from one to the next."""
        return union(extent_of(figure.marks) for figure in self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def __repr__(self) -> str:
        return f"<Stepper: {self.title}, {len(self)} step{'s' * (len(self) != 1)}>"

    def _repr_html_(self) -> str:
        numbers = range(1, len(self) + 1)
        style = _STYLE + "\n".join(_CHOSEN.replace("N", str(n)) for n in numbers)
        frames = "\n".join(self._frame(n) for n in numbers)
        # Where a page drops forms, steppers of other content are still told apart.
        name = f"steps-{hashlib.sha256(frames.encode()).hexdigest()[:12]}"
        buttons = "\n".join(
            f'<input type="radio" name="{name}" aria-label="{self._words(n)}" '
            f"{_KEYS} {_HIDDEN}{' checked' * (n == 1)}>"
            for n in numbers
        )
        named = "" if self.id is None else f' id="{self.id}"'
        return (
            f'<form class="mt-steps"{named} role="group" aria-label="{escape(self.title)}">\n'
            f"<style>{style}\n</style>\n{_NOT_SENT}\n{buttons}\n{frames}\n</form>\n"
        )

    def _words(self, n: int) -> str:
        return escape(f"step {n} of {len(self)}: {self.figures[n - 1].title}")

    def _frame(self, n: int) -> str:
        figure = self.figures[n - 1]
        picture = image(figure.drawn(room=self._room), figure.desc)  # its title stands above it
        return f"<div{f' {_HIDDEN}' * (n > 1)}><p>{self._words(n)}</p>{picture}</div>"


def step_matmul(
    a=ORIGIN[0], b=ORIGIN[1], *, id: str | None = None, values: bool = False
) -> Stepper:
    """A matrix multiplication, one output index after the other.

    Args:
        a, b: arrays, tensors or shapes of the two matrices.
        id: as in :class:`Stepper`.
        values: write the numbers into the cells, of the result only those reached.

    Raises:
        ValueError: if they do not multiply, or there is nothing to multiply.
        TypeError: if values are asked of a shape.

    >>> step_matmul()
    <Stepper: the cells of (2, 4) @ (4, 3), one by one, 6 steps>
    """
    who = "step_matmul"
    p = _some_product(who, a, b)
    figures, before = [], -1
    for _, n in axis(p.m * p.n, MOST).shown:
        cell = divmod(n, p.n)
        later = f"{n - before - 1:,} cells later, " if n > before + 1 else ""
        before = n
        drawn = simple(who, p, (a, b), cell, values, done=n + 1)
        row, column = cell
        title = f"{later}row {row} of M meets column {column} of N in cell {cell}"
        figures.append(Figure(drawn.diagram, title, drawn.desc))
    return Stepper(figures, id=id, title=f"the cells of {p.left} @ {p.right}, one by one")


def step_zip_reduce(
    a=ORIGIN[0], b=ORIGIN[1], *, id: str | None = None, cell: tuple[int, int] = (0, 0)
) -> Stepper:
    """A matrix multiplication as zip, then reduce: each step adds what it makes.

    Args:
        a, b: arrays, tensors or shapes of the two matrices.
        id: as in :class:`Stepper`.
        cell: the cell of the result whose products are coloured.

    Raises:
        ValueError: if they do not multiply, or there is nothing to multiply.
        IndexError: if the result has no such cell.

    >>> step_zip_reduce()
    <Stepper: (2, 4) @ (4, 3) by zip and reduce, 5 steps>
    """
    who = "step_zip_reduce"
    p = _some_product(who, a, b)
    whole = (*p.stack, p.m, p.k, p.n)
    words = (
        "view: give each operand the dimension it lacks",
        f"broadcast: stretch both to {whole}, with stride 0",
        f"zip: multiply, and store {whole}",
        "reduce: sum along k",
        f"view: drop the dimension of 1, which leaves {p.out}",
    )
    drawn = [full(who, p, cell, n) for n in range(1, len(STAGES) + 1)]
    figures = [Figure(f.diagram, text, f.desc) for f, text in zip(drawn, words, strict=True)]
    return Stepper(figures, id=id, title=drawn[0].title)


def step_online_softmax(values, *, id: str | None = None) -> Stepper:
    """Softmax in one pass: the maximum and the sum so far, put right when the maximum grows.

    Args:
        values: up to twelve finite numbers.
        id: as in :class:`Stepper`.

    Raises:
        ValueError: if they are none, too many, not in one row, or not finite.

    >>> step_online_softmax([1.0, 3.0, 2.0])
    <Stepper: online softmax of 3 values, 4 steps>
    """
    figures = frames_of_softmax(values)
    count = len(figures) - 1
    return Stepper(figures, id=id, title=f"online softmax of {count} value{'s' * (count != 1)}")


def _some_product(who: str, a, b):
    p = matmul_shape(who, a, b)
    if p.empty:
        raise ValueError(f"{who}: {p.left} @ {p.right}: nothing to step through")
    return p

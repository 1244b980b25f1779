"""The palette, and ``connect``: what a page needs beside the tensors themselves."""

from __future__ import annotations

from chalk import ArrowOpts
from chalk.types import Diagram

from mt_diagrams.svg.palette import aqua, black, grey, papaya, white

__all__ = ["aqua", "black", "connect", "grey", "papaya", "white"]


def connect(diagram: Diagram, *pairs) -> Diagram:
    """Draw one straight arrow for each pair of named cells.

    Args:
        diagram: a chalk diagram that holds cells named ``(name, i, j)`` or ``(name, d, i, j)``.
        pairs: each a pair of such names, ``[start, end]``.

    Returns:
        The diagram with the arrows drawn over it.

    Raises:
        LookupError: if the diagram has no cell of that name (elided cells have none).

    >>> from mt_diagrams.tensor_draw import matrix
    >>> connect(matrix(1, 2, "a"), [("a", 0, 0), ("a", 0, 1)])
    <Diagram: 2 wide, 1 high>
    """
    for start, end in pairs:
        for name in (start, end):
            if diagram.get_subdiagram(name) is None:
                raise LookupError(f"connect: no cell is named {name!r}")
        diagram = diagram.connect(start, end, ArrowOpts())
    return diagram

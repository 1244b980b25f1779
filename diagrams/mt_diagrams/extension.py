"""``%load_ext mt_diagrams``: small tensors of mtlib show as their diagram.

Without it nothing about tensors changes.  mtlib is not imported: IPython is told the name of the
class, and looks for it when there is a tensor to show.
"""

from __future__ import annotations

from mt_diagrams.pieces.blocks import axes_of, block, numbers, size_of
from mt_diagrams.pieces.layout import captioned
from mt_diagrams.svg.figure import Figure

TYPE = ("mtlib.tensor", "Tensor")
SIDE = 12  # a tensor with a longer side, ...
SMALL = 144  # ... or more elements than this, shows as text alone


def picture(tensor) -> Figure:
    """A small tensor with its values, of rank 3 those of its front.

    Args:
        tensor: an array or a tensor of at most three dimensions.

    >>> import numpy as np
    >>> picture(np.ones((2, 3)))
    <Figure: (2, 3)>
    """
    shape = tuple(tensor.shape)
    axes = axes_of(shape, limit=SIDE)
    _, height, reach = size_of(axes)
    values = tensor.detach() if hasattr(tensor, "detach") else tensor
    drawing = block(axes) + numbers(axes, values)
    lines = [str(shape), str(tensor.dtype)]
    return Figure(
        captioned(drawing, lines, (height + reach) / 2 + 0.75),
        str(shape),
        f"A tensor of shape {shape} and dtype {tensor.dtype}, its values written in its cells.",
    )


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape shows as a picture.

    >>> is_small((2, 3)), is_small((64, 64)), is_small((2, 2, 2, 2))
    (True, False, False)
    """
    count = 1
    for size in shape:
        count *= size
    return len(shape) <= 3 and count <= SMALL and all(size <= SIDE for size in shape)


def html_of_tensor(tensor) -> str | None:
    """The picture of a small tensor; None, which IPython leaves out, for any other."""
    return picture(tensor).html if is_small(tuple(tensor.shape)) else None


def load_ipython_extension(shell) -> None:
    """What ``%load_ext mt_diagrams`` calls."""
    shell.display_formatter.formatters["text/html"].for_type_by_name(*TYPE, html_of_tensor)


def unload_ipython_extension(shell) -> None:
    """What ``%unload_ext mt_diagrams`` calls."""
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.pop(".".join(TYPE), None)

"""Figures of tensors, and of what ran on them, drawn with chalk.

``image_matmul_simple``, ``image_matmul_full``, ``image_matmul_backward``, ``image_loop_nest`` and
``image_rows_meet_columns`` draw from two operands (arrays, tensors or shapes); ``memory_timeline``
and ``traffic_bar`` from traces.  The pieces to draw with are in :mod:`mt_diagrams.tensor_draw`.

Importing this package also teaches bare chalk diagrams to show well in a notebook; see
:mod:`mt_diagrams.display`.
"""

from .display import install as _install
from .figure import Figure
from .memory import memory_timeline, traffic_bar
from .tensor_draw import (
    image_loop_nest,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
    image_rows_meet_columns,
    matrix,
    tensor,
)

_install()

__all__ = [
    "Figure",
    "image_loop_nest",
    "image_matmul_backward",
    "image_matmul_full",
    "image_matmul_simple",
    "image_rows_meet_columns",
    "matrix",
    "memory_timeline",
    "tensor",
    "traffic_bar",
]

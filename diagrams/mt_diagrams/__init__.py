"""Figures of tensors, and of what ran on them, drawn with chalk.

From a tensor, an array or a shape: ``image_storage``, ``image_map``, ``image_reduce``.  From two:
``image_broadcast``, ``image_zip``, ``image_matmul_simple``, ``image_matmul_full``,
``image_matmul_backward``, ``image_loop_nest`` and ``image_rows_meet_columns``.  From sizes
``image_tiling``, from a live result ``image_graph``, from traces ``memory_timeline`` and
``traffic_bar``.  ``Stepper``, ``step_matmul``, ``step_zip_reduce`` and ``step_online_softmax`` step
through figures without a kernel.  The pieces to draw with are in :mod:`mt_diagrams.tensor_draw`.

Importing this package also teaches bare chalk diagrams to show well in a notebook; see
:mod:`mt_diagrams.display`.  ``%load_ext mt_diagrams`` does that and shows small tensors too.
"""

from .display import install as _install
from .extension import load_ipython_extension, unload_ipython_extension
from .figure import Figure
from .memory import memory_timeline, traffic_bar
from .steppers import Stepper, step_matmul, step_online_softmax, step_zip_reduce
from .tensor_draw import (
    image_broadcast,
    image_graph,
    image_loop_nest,
    image_map,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
    image_reduce,
    image_rows_meet_columns,
    image_storage,
    image_tiling,
    image_zip,
    matrix,
    tensor,
)

_install()

__all__ = [
    "Figure",
    "Stepper",
    "image_broadcast",
    "image_graph",
    "image_loop_nest",
    "image_map",
    "image_matmul_backward",
    "image_matmul_full",
    "image_matmul_simple",
    "image_reduce",
    "image_rows_meet_columns",
    "image_storage",
    "image_tiling",
    "image_zip",
    "load_ipython_extension",
    "matrix",
    "memory_timeline",
    "step_matmul",
    "step_online_softmax",
    "step_zip_reduce",
    "tensor",
    "traffic_bar",
    "unload_ipython_extension",
]

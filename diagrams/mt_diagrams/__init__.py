"""Figures of tensors, and of what ran on them, drawn with chalk.

This is the door: everything that a page draws with can be imported from here.

From a tensor, an array or a shape: ``image_storage``, ``image_map``, ``image_reduce``.  From two:
``image_broadcast``, ``image_zip``, ``image_matmul_simple``, ``image_matmul_full``,
``image_matmul_backward``, ``image_loop_nest`` and ``image_rows_meet_columns``.  From sizes
``image_tiling``, from a live result ``image_graph``, from traces ``memory_timeline`` and
``traffic_bar``, from measurements ``roofline``.  ``Stepper``, ``step_matmul``, ``step_zip_reduce``
and ``step_online_softmax`` step through figures without a kernel, and ``Interactive`` sets a widget
beside a picture of itself.  To draw figures of one's own: ``matrix``, ``tensor``, ``t``, ``color``,
``connect``, ``draw_equation`` and the arrows.  Pages of the course import these from
:mod:`mt_diagrams.tensor_draw` and :mod:`mt_diagrams.drawing`, where they are too.

Behind it, each folder stands on those before: ``svg`` (from a diagram to a file), ``pieces`` (what
figures are put together from), ``figures`` (one subject a file) and ``cli`` (figures by name).

Importing this package also teaches bare chalk diagrams to show well in a notebook; see
:mod:`mt_diagrams.svg.display`.  ``%load_ext mt_diagrams`` does that and shows small tensors too.
"""

from mt_diagrams.drawing import connect
from mt_diagrams.extension import load_ipython_extension, unload_ipython_extension
from mt_diagrams.figures.memory import memory_timeline
from mt_diagrams.figures.roofline import roofline
from mt_diagrams.figures.steppers import Stepper, step_matmul, step_online_softmax, step_zip_reduce
from mt_diagrams.figures.traffic import traffic_bar
from mt_diagrams.interactive import Interactive
from mt_diagrams.svg.display import install as _install
from mt_diagrams.svg.figure import Figure
from mt_diagrams.tensor_draw import (
    color,
    draw_equation,
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
    left_arrow,
    matrix,
    right_arrow,
    t,
    tensor,
    tensor_to_diagram,
)

_install()

__all__ = [
    "Figure",
    "Interactive",
    "Stepper",
    "color",
    "connect",
    "draw_equation",
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
    "left_arrow",
    "load_ipython_extension",
    "matrix",
    "memory_timeline",
    "right_arrow",
    "roofline",
    "step_matmul",
    "step_online_softmax",
    "step_zip_reduce",
    "t",
    "tensor",
    "tensor_to_diagram",
    "traffic_bar",
    "unload_ipython_extension",
]

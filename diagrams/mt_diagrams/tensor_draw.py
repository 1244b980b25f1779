"""The names that a page of the course draws tensors with, in one place."""

from mt_diagrams.figures.backward import image_matmul_backward
from mt_diagrams.figures.broadcast_matmul import image_matmul_full
from mt_diagrams.figures.broadcasting import image_broadcast
from mt_diagrams.figures.graph import image_graph
from mt_diagrams.figures.loops import image_loop_nest
from mt_diagrams.figures.maps import image_map, image_reduce, image_zip
from mt_diagrams.figures.matmul import image_matmul_simple
from mt_diagrams.figures.pairing import image_rows_meet_columns
from mt_diagrams.figures.storage import image_storage
from mt_diagrams.figures.tiling import image_tiling
from mt_diagrams.pieces.cubes import t, tensor
from mt_diagrams.pieces.equation import (
    color,
    draw_equation,
    left_arrow,
    right_arrow,
    tensor_to_diagram,
)
from mt_diagrams.pieces.grids import matrix

__all__ = [
    "color",
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
    "matrix",
    "right_arrow",
    "t",
    "tensor",
    "tensor_to_diagram",
]

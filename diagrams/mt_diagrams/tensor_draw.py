"""The names that a page of the course draws tensors with, in one place."""

from .backward import image_matmul_backward
from .broadcast_matmul import image_matmul_full
from .broadcasting import image_broadcast
from .cubes import t, tensor
from .equation import color, draw_equation, left_arrow, right_arrow, tensor_to_diagram
from .graph import image_graph
from .grids import matrix
from .loops import image_loop_nest
from .maps import image_map, image_reduce, image_zip
from .matmul import image_matmul_simple
from .pairing import image_rows_meet_columns
from .storage import image_storage
from .tiling import image_tiling

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

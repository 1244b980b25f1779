"""The names that a page of the course draws tensors with, in one place."""

from .backward import image_matmul_backward
from .broadcast_matmul import image_matmul_full
from .cubes import t, tensor
from .equation import color, draw_equation, left_arrow, right_arrow, tensor_to_diagram
from .grids import matrix
from .loops import image_loop_nest
from .matmul import image_matmul_simple
from .pairing import image_rows_meet_columns

__all__ = [
    "color",
    "draw_equation",
    "image_loop_nest",
    "image_matmul_backward",
    "image_matmul_full",
    "image_matmul_simple",
    "image_rows_meet_columns",
    "left_arrow",
    "matrix",
    "right_arrow",
    "t",
    "tensor",
    "tensor_to_diagram",
]

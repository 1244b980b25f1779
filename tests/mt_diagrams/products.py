"""The figures that are drawn from the two operands of a product."""

from mt_diagrams import (
    image_loop_nest,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
    image_rows_meet_columns,
)

ALL = [
    image_loop_nest,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
    image_rows_meet_columns,
]

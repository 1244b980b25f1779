"""Chapter 00, Fuse a matrix multiplication."""

from mtlib.exercises.chapters.fusing.bytes_kept import BYTES_KEPT
from mtlib.exercises.chapters.fusing.matmul_transposed import MATMUL_TRANSPOSED
from mtlib.exercises.chapters.fusing.predictions import PREDICTIONS
from mtlib.exercises.chapters.fusing.row_dots import ROW_DOTS
from mtlib.exercises.chapters.fusing.row_dots_function import ROW_DOTS_FUNCTION

__all__ = ["EXERCISES", "PREDICTIONS"]

EXERCISES = [BYTES_KEPT, ROW_DOTS, MATMUL_TRANSPOSED, ROW_DOTS_FUNCTION]

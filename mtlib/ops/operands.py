"""Lifting what a user wrote to the operands that an operation wants."""

from __future__ import annotations

import numbers

import numpy as np

from mtlib.layout import Shape, broadcast_shapes
from mtlib.ops.views import Expand
from mtlib.tensor import BOOL, Tensor, tensor_dtype


def operands(name: str, *values, takes: str = "numbers") -> list[Tensor]:
    """``values`` as tensors of their :func:`common_dtype` and, by stretching, of one shape.

    ``name`` takes "numbers", among which bools count as 0 and 1; "bools" alone; or "both".
    """
    if takes == "bools":
        check_bools(name, *values)
    if _alike(values) and (takes != "numbers" or values[0].storage.dtype != BOOL):
        return list(values)
    dtype = common_dtype(name, *values, bools=takes != "numbers")
    return stretched(name, *((value, dtype) for value in values))


def check_bools(name: str, *values) -> None:
    """TypeError unless all ``values`` are bools."""
    if common_dtype(name, *values, bools=True) != BOOL:
        raise TypeError(f"{name}: takes bools, such as comparisons give, and no numbers")


def _alike(values) -> bool:
    """Whether these are tensors of one dtype and shape, as most are: then nothing is to be done."""
    first = values[0]
    for x in values:
        if not isinstance(x, Tensor) or x.layout.shape != first.layout.shape:
            return False
        if x.storage.dtype is not first.storage.dtype:
            return False
    return True


def common_dtype(name: str, *values, bools: bool = False) -> np.dtype:
    """The dtype that ``values`` can be computed in together.

    Numbers and bools take the dtype of the floats beside them; among those, float64 wins.  Without
    any it is float64, unless all are bools and ``bools`` says that they may stay so.
    """
    found = {_own_dtype(x, name) for x in values}
    if bools and found == {BOOL}:
        return BOOL
    floats = found - {BOOL, None}
    if not floats:
        return np.dtype(np.float64)
    return floats.pop() if len(floats) == 1 else np.result_type(*floats)


def stretched(name: str, *pairs) -> list[Tensor]:
    """Each value of ``pairs`` as a tensor of the dtype beside it, all stretched to one shape."""
    shape = broadcast_shapes(*(_shape(value) for value, _ in pairs), name=name)
    lifted = [as_tensor(value, dtype, name) for value, dtype in pairs]
    return [x if x.shape == shape else Expand.apply(x, shape) for x in lifted]


def _shape(value) -> Shape:
    return getattr(value, "shape", ())  # np.shape would ask a tensor the long way round


def _own_dtype(value, name: str) -> np.dtype | None:
    """The dtype that ``value`` brings with it; None for a number, which brings none."""
    if isinstance(value, Tensor):
        return value.dtype if value._brings_dtype or value.dtype == BOOL else None
    if isinstance(value, (bool, np.bool_)):
        return BOOL
    if isinstance(value, numbers.Real):
        return None
    if isinstance(value, (np.ndarray, np.generic)):
        return tensor_dtype(value.dtype, name)
    raise TypeError(f"{name}: an operand must be a tensor or a number, got {type(value).__name__}")


def as_tensor(value, dtype: np.dtype, name: str) -> Tensor:
    """``value`` as a tensor of ``dtype``."""
    if isinstance(value, Tensor):
        return value if value.dtype == dtype else value.to(dtype)
    out = Tensor.empty(_shape(value), dtype, name)
    out.numpy()[...] = value
    return out

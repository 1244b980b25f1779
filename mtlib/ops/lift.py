"""Running an elementwise kernel, and lifting what a user wrote to the operands it wants."""

from __future__ import annotations

import numbers

import numpy as np

from mtlib.kernels.walk import plan
from mtlib.layout import broadcast_shapes
from mtlib.ops.views import Expand
from mtlib.tensor import Tensor, float_dtype


def run(kernel, name: str, *operands: Tensor) -> Tensor:
    """A new tensor filled by ``kernel`` from operands of one shape and dtype."""
    first = operands[0]
    out = Tensor.empty(first.shape, first.dtype, name)
    if out.size:
        table = plan(out.layout, *(x.layout for x in operands))
        kernel(out.storage, *(x.storage for x in operands), table, work=out.size)
    return out


def operands(name: str, *values) -> list[Tensor]:
    """``values`` as tensors of one dtype and, by stretching, of one shape."""
    tensors = [x for x in values if isinstance(x, (Tensor, np.ndarray))]
    dtype = np.result_type(*(float_dtype(x.dtype, name) for x in tensors)) if tensors else None
    lifted = [_lift(x, dtype, name) for x in values]
    shape = broadcast_shapes(*(x.shape for x in lifted), name=name)
    return [x if x.shape == shape else Expand.apply(x, shape) for x in lifted]


def _lift(value, dtype, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, (numbers.Real, np.ndarray)):
        array = np.asarray(value, dtype)
        out = Tensor.empty(array.shape, array.dtype, name)
        out.storage[...] = array.ravel()
        return out
    raise TypeError(f"{name}: an operand must be a tensor or a number, got {type(value).__name__}")

"""Running an elementwise kernel, and lifting what a user wrote to the operands it wants."""

from __future__ import annotations

import numbers
from functools import lru_cache

import numpy as np

from mtlib.kernels.walk import plan
from mtlib.layout import Layout, Shape, broadcast_shapes, dense_like
from mtlib.memory import allocate
from mtlib.ops.views import Expand
from mtlib.tensor import Tensor, float_dtype


def run(kernel, name: str, *operands: Tensor) -> Tensor:
    """A new tensor filled by ``kernel`` from operands of one shape; its dtype is the last's."""
    layout, table, size = _together(*[x.layout for x in operands])
    out = Tensor(allocate(layout.shape, operands[-1].storage.dtype, name), layout)
    if size:
        kernel(out.storage, *[x.storage for x in operands], table, work=size)
    return out


@lru_cache(maxsize=1024)
def _together(*layouts: Layout) -> tuple[Layout, np.ndarray, int]:
    """For operands that lie so: how the result lies, the plan for all of them, and their size."""
    layout = dense_like(*layouts)
    return layout, plan(layout, *layouts), layout.size


def operands(name: str, *values) -> list[Tensor]:
    """``values`` as tensors of one dtype and, by stretching, of one shape.

    A number takes the dtype of the tensors and arrays beside it; among those, float64 wins.
    """
    if _alike(values):
        return list(values)
    dtype = common_dtype(name, *values)
    return stretched(name, *((value, dtype) for value in values))


def _alike(values) -> bool:
    """Whether these are tensors of one dtype and shape, as most are: then nothing is to be done."""
    first = values[0]
    for x in values:
        if not isinstance(x, Tensor) or x.layout.shape != first.layout.shape:
            return False
        if x.storage.dtype is not first.storage.dtype:
            return False
    return True


def common_dtype(name: str, *values) -> np.dtype:
    """The dtype that ``values`` can be computed in together."""
    found = [d for x in values if (d := _own_dtype(x, name)) is not None]
    if not found:
        return np.dtype(np.float64)
    return found[0] if len(set(found)) == 1 else np.result_type(*found)


def stretched(name: str, *pairs) -> list[Tensor]:
    """Each value of ``pairs`` as a tensor of the dtype beside it, all stretched to one shape."""
    shape = broadcast_shapes(*(_shape(value) for value, _ in pairs), name=name)
    lifted = [lift(value, dtype, name) for value, dtype in pairs]
    return [x if x.shape == shape else Expand.apply(x, shape) for x in lifted]


def _shape(value) -> Shape:
    return getattr(value, "shape", ())  # np.shape would ask a tensor the long way round


def _own_dtype(value, name: str) -> np.dtype | None:
    """The float dtype that ``value`` brings with it; None for a number, which brings none."""
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, (numbers.Real, np.bool_)):
        return None
    if isinstance(value, (np.ndarray, np.generic)):
        return float_dtype(value.dtype, name)
    raise TypeError(f"{name}: an operand must be a tensor or a number, got {type(value).__name__}")


def lift(value, dtype: np.dtype, name: str) -> Tensor:
    """``value`` as a tensor of ``dtype``."""
    if isinstance(value, Tensor):
        return value if value.dtype == dtype else value.to(dtype)
    out = Tensor.empty(_shape(value), dtype, name)
    out.numpy()[...] = value
    return out

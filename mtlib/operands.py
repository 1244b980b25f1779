"""What naive and fused ask of their operands, checked before anything is allocated."""

from __future__ import annotations

import numpy as np

from mtlib.layout import Shape, broadcast_shapes
from mtlib.ops.lift import common_dtype, lift
from mtlib.tensor import Tensor


def matmul_operands(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Shape, Shape]:
    """``a`` and ``b`` as stacks of matrices of one dtype, and their batch and product shapes.

    A 1-D operand is taken as one row (on the left) or one column (on the right), and that
    dimension is missing from the product.  Batch dimensions broadcast.

    >>> import mtlib
    >>> a, b, batch, shape = matmul_operands(mtlib.ones(4), mtlib.ones(5, 4, 3))
    >>> a.shape, b.shape, batch, shape
    ((1, 4), (5, 4, 3), (5,), (5, 3))
    """
    for x in (a, b):
        if not isinstance(x, (Tensor, np.ndarray)):
            raise TypeError(f"matmul: operands must be tensors, got {type(x).__name__}")
    pair = f"{a.shape} @ {b.shape}"
    for x, side in ((a, "left"), (b, "right")):
        if x.ndim == 0:
            raise ValueError(f"matmul: {pair}: the {side} operand is a scalar; use *")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"matmul: {pair}: inner dimensions {a.shape[-1]} and {inner} differ")
    try:
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2], name="matmul")
    except ValueError:
        raise ValueError(
            f"matmul: {pair}: batch dimensions {a.shape[:-2]} and {b.shape[:-2]} do not broadcast"
        ) from None
    shape = (*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
    dtype = common_dtype("matmul", a, b)
    a, b = lift(a, dtype, "matmul"), lift(b, dtype, "matmul")
    if a.ndim == 1:
        a = a.view(1, a.shape[0])
    if b.ndim == 1:
        b = b.view(b.shape[0], 1)
    return a, b, batch, shape

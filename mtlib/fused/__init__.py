"""The operations of :mod:`mtlib.naive`, as one kernel each.

Same names, same signatures, same results; no intermediate is made, in either direction.
"""

from mtlib.fused.dot_product_attention import attention
from mtlib.fused.products import linear, matmul

__all__ = ["attention", "linear", "matmul"]

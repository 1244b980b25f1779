"""The operations of :mod:`mtlib.naive`, as one kernel each.

Same names, same signatures, same results; no intermediate is made, in either direction.
"""

from mtlib.fused.products import matmul

__all__ = ["matmul"]

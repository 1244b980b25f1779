"""The same again, fused by a machine: any function of tensors, taken apart and put together."""

from mtlib.fusion.function import fuse

__all__ = ["fuse"]

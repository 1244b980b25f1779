"""The operations of :mod:`mtlib.naive`, as one kernel each.

Same names, same signatures, same results; no intermediate is made, in either direction.
"""

from mtlib.fused.distributions import cross_entropy, log_softmax, softmax
from mtlib.fused.dot_product_attention import attention
from mtlib.fused.normalization import layer_norm
from mtlib.fused.products import linear, matmul

__all__ = [
    "attention",
    "cross_entropy",
    "layer_norm",
    "linear",
    "log_softmax",
    "matmul",
    "softmax",
]

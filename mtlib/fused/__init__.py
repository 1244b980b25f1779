"""The operations of :mod:`mtlib.naive`, as one kernel each.

Same names, same signatures, same results; no intermediate is made, in either direction.  Each
stands in a file of its name, with its backward (log_softmax in that of softmax); what the name
means here is the function.
"""

from mtlib.fused.attention import attention
from mtlib.fused.cross_entropy import cross_entropy
from mtlib.fused.layer_norm import layer_norm
from mtlib.fused.linear import linear
from mtlib.fused.matmul import matmul
from mtlib.fused.rms_norm import rms_norm
from mtlib.fused.softmax import log_softmax, softmax

__all__ = [
    "attention",
    "cross_entropy",
    "layer_norm",
    "linear",
    "log_softmax",
    "matmul",
    "rms_norm",
    "softmax",
]

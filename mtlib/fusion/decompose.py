"""What becomes of operations that are fused by hand: calls of their kernels, or operations to fuse.

They are taken apart, so that a program can fuse them with what is around them.  Only a product of
matrices is not: no loop nest that is written here would be as fast as its kernel.
"""

from __future__ import annotations

from collections.abc import Callable

from mtlib import naive
from mtlib.autograd import Function
from mtlib.fused.distributions import CrossEntropy, LogSoftmax, Softmax
from mtlib.fused.dot_product_attention import Attention
from mtlib.fused.normalization import LayerNorm
from mtlib.fused.products import Linear, MatMul, matmul


def _linear(x, weight, bias):
    y = matmul(x, weight.T)
    return y if bias is None else y + bias


def _cross_entropy(x, labels, dim, reduction):
    return naive.cross_entropy(x, labels, reduction)


def _layer_norm(x, weight, bias, dims, eps):
    return naive.layer_norm(x, x.shape[dims[0] :], weight, bias, eps)


# For each Function, what it computes of the same arguments in operations that can be fused.
DECOMPOSITIONS: dict[type[Function], Callable] = {
    Linear: _linear,
    Softmax: naive.softmax,
    LogSoftmax: naive.log_softmax,
    CrossEntropy: _cross_entropy,
    LayerNorm: _layer_norm,
    Attention: naive.attention,
}

# Operations that stay calls; the shape of each one's result.
CALLS: dict[type[Function], Callable] = {MatMul: lambda a, b: (*a.shape[:-1], b.shape[-1])}

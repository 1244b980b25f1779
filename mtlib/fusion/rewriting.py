"""Fused operations taken apart, so that a program can fuse them with what is around them.

A product of matrices is not among them: no loop nest that is written here would be as fast as its
kernel.
"""

from __future__ import annotations

from collections.abc import Callable

from mtlib import naive
from mtlib.autograd import Function
from mtlib.fused.attention import Attention
from mtlib.fused.cross_entropy import CrossEntropy
from mtlib.fused.layer_norm import LayerNorm
from mtlib.fused.linear import Linear
from mtlib.fused.matmul import matmul
from mtlib.fused.softmax import LogSoftmax, Softmax


def _linear(x, weight, bias):
    y = matmul(x, weight.T)
    return y if bias is None else y + bias


def _cross_entropy(x, labels, dim, reduction):
    return naive.cross_entropy(x, labels, reduction)


def _layer_norm(x, weight, bias, dims, eps):
    return naive.layer_norm(x, x.shape[dims[0] :], weight, bias, eps)


# For each Function, what it computes of the same arguments in operations that can be fused.
APART: dict[type[Function], Callable] = {
    Linear: _linear,
    Softmax: naive.softmax,
    LogSoftmax: naive.log_softmax,
    CrossEntropy: _cross_entropy,
    LayerNorm: _layer_norm,
    Attention: naive.attention,
}

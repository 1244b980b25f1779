"""Cases: operations made of several, which is what fusion is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

import mtlib
from benchmarks.kinds import Comparison
from benchmarks.peers import torch, with_torch
from benchmarks.products import operand
from mtlib import fused

SHAPE = (4096, 1024)
LABELS = np.random.default_rng(3).integers(0, SHAPE[1], SHAPE[0])
LAYER = (SHAPE, (1024, 1024), (1024,))
HEADS = ((8, 256, 64),) * 3
LONG = ((4, 1024, 64),) * 3


@dataclass(frozen=True)
class Composite:
    """An operation on operands of ``shapes``, as each library writes it.

    With ``backward``, gradients are computed too.  NumPy is then given that of the result last, and
    returns (result, *gradients).
    """

    in_mtlib: Callable
    in_numpy: Callable
    in_torch: Callable  # (torch.nn.functional, *operands)
    shapes: tuple[tuple[int, ...], ...] = (SHAPE,)
    backward: bool = False

    def with_gradients(self, in_numpy: Callable) -> Composite:
        """The same, forward and backward."""
        return replace(self, in_numpy=in_numpy, backward=True)


def _softmax(a, axis=-1):
    e = np.exp(a - a.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _softmax_step(a, d):
    y = _softmax(a)
    return y, y * (d - (d * y).sum(-1, keepdims=True))


def _log_softmax(a):
    off = a - a.max(-1, keepdims=True)
    return off - np.log(np.exp(off).sum(-1, keepdims=True))


def _log_softmax_step(a, d):
    y = _log_softmax(a)
    return y, d - np.exp(y) * d.sum(-1, keepdims=True)


def _cross_entropy(a):
    return -_log_softmax(a)[np.arange(len(a)), LABELS].mean()


def _cross_entropy_step(a, d):
    logs, chosen = _log_softmax(a), (np.arange(len(a)), LABELS)
    slopes = np.exp(logs)
    slopes[chosen] -= 1
    return -logs[chosen].mean(), slopes * (d / np.float32(len(a)))


def _normal(a):
    off = a - a.mean(-1, keepdims=True)
    scale = 1 / np.sqrt((off * off).mean(-1, keepdims=True) + np.float32(1e-5))
    return off * scale, scale


def _layer_norm_step(a, weight, bias, d):
    x, scale = _normal(a)
    g = d * weight
    slopes = (g - g.mean(-1, keepdims=True) - x * (g * x).mean(-1, keepdims=True)) * scale
    return x * weight + bias, slopes, (d * x).sum(0), d.sum(0)


def _linear_step(x, weight, bias, d):
    return x @ weight.T + bias, d @ weight, d.T @ x, d.sum(0)


def _weights(q, k, causal):
    scores = q @ k.swapaxes(-1, -2) * np.float32(q.shape[-1] ** -0.5)
    if causal:
        scores[..., ~np.tri(*scores.shape[-2:], dtype=bool)] = -np.inf
    return _softmax(scores)


def _attention(q, k, v, causal=False):
    return _weights(q, k, causal) @ v


def _attention_step(q, k, v, d):
    p, scale = _weights(q, k, causal=False), np.float32(q.shape[-1] ** -0.5)
    slopes = d @ v.swapaxes(-1, -2)
    slopes = p * (slopes - (p * slopes).sum(-1, keepdims=True)) * scale
    return p @ v, slopes @ k, slopes.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ d


SOFTMAX = Composite(lambda x: fused.softmax(x, -1), _softmax, lambda F, x: F.softmax(x, -1))
DOWN = Composite(
    lambda x: fused.softmax(x, 0), partial(_softmax, axis=0), lambda F, x: F.softmax(x, 0)
)
LOG_SOFTMAX = Composite(
    lambda x: fused.log_softmax(x, -1), _log_softmax, lambda F, x: F.log_softmax(x, -1)
)
CROSS_ENTROPY = Composite(
    lambda x: fused.cross_entropy(x, LABELS),
    _cross_entropy,
    lambda F, x: F.cross_entropy(x, torch.from_numpy(LABELS)),
)
LAYER_NORM = Composite(
    lambda x, *affine: fused.layer_norm(x, SHAPE[1:], *affine),
    lambda a: _normal(a)[0],
    lambda F, x, *affine: F.layer_norm(x, SHAPE[1:], *affine),
)
AFFINE = replace(LAYER_NORM, shapes=(SHAPE, SHAPE[1:], SHAPE[1:]))
LINEAR = Composite(
    fused.linear,
    lambda x, weight, bias: x @ weight.T + bias,
    lambda F, *operands: F.linear(*operands),
    LAYER,
)
ATTENTION = Composite(
    fused.attention,
    _attention,
    lambda F, *qkv: F.scaled_dot_product_attention(*qkv),
    HEADS,
)
CAUSAL = Composite(
    partial(fused.attention, causal=True),
    partial(_attention, causal=True),
    lambda F, *qkv: F.scaled_dot_product_attention(*qkv, is_causal=True),
    HEADS,
)

COMPOSITES = {
    "softmax": SOFTMAX,
    "softmax over the first dim": DOWN,
    "softmax and backward": SOFTMAX.with_gradients(_softmax_step),
    "log_softmax": LOG_SOFTMAX,
    "log_softmax and backward": LOG_SOFTMAX.with_gradients(_log_softmax_step),
    "cross_entropy": CROSS_ENTROPY,
    "cross_entropy and backward": CROSS_ENTROPY.with_gradients(_cross_entropy_step),
    "layer_norm": LAYER_NORM,
    "layer_norm and backward": AFFINE.with_gradients(_layer_norm_step),
    "linear": LINEAR,
    "linear and backward": LINEAR.with_gradients(_linear_step),
    "attention": ATTENTION,
    "attention, causal": CAUSAL,
    "attention, long": replace(ATTENTION, shapes=LONG),
    "attention, long and causal": replace(CAUSAL, shapes=LONG),
    "attention and backward": replace(ATTENTION, shapes=LONG).with_gradients(_attention_step),
}


def composites() -> list[Comparison]:
    """Each of them, on one shape."""
    return [
        Comparison(
            f"{name} {'×'.join(map(str, each.shapes[0]))}",
            partial(_build, each),
            1e-5,
            quick=not each.backward,
        )
        for name, each in COMPOSITES.items()
    ]


def _build(each: Composite):
    arrays = [operand(*shape, dtype="float32", seed=n) for n, shape in enumerate(each.shapes)]
    if each.backward:
        return _build_step(each, arrays)
    tensors = [mtlib.from_numpy(array) for array in arrays]

    def in_torch(torch):
        return partial(each.in_torch, torch.nn.functional, *map(torch.from_numpy, arrays))

    return {
        "mtlib": partial(each.in_mtlib, *tensors),
        "NumPy": partial(each.in_numpy, *arrays),
        **with_torch(in_torch),
    }


def _build_step(each: Composite, arrays):
    """The result and the gradients of all operands."""
    tensors = [mtlib.tensor(array, requires_grad=True) for array in arrays]
    d = operand(*each.in_mtlib(*tensors).shape, dtype="float32", seed=len(arrays))
    seed = mtlib.tensor(d)

    def ours():
        for x in tensors:
            x.grad = None
        result = each.in_mtlib(*tensors)
        result.backward(seed)
        return result.detach(), *(x.grad for x in tensors)

    def in_torch(torch):
        leaves = [torch.from_numpy(array).requires_grad_() for array in arrays]
        seed = torch.from_numpy(d)

        def step():
            for x in leaves:
                x.grad = None
            with torch.enable_grad():
                result = each.in_torch(torch.nn.functional, *leaves)
                result.backward(seed)
            return result.detach(), *(x.grad for x in leaves)

        return step

    return {"mtlib": ours, "NumPy": partial(each.in_numpy, *arrays, d), **with_torch(in_torch)}

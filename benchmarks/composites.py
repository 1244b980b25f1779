"""Cases: operations made of several, which is what fusion is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import mtlib
from benchmarks.kinds import Comparison
from benchmarks.peers import torch, with_torch
from benchmarks.products import operand

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

    operation: str
    in_mtlib: Callable  # (the fused operation, *operands)
    in_numpy: Callable  # (*operands)
    in_torch: Callable  # (torch.nn.functional, *operands)
    shapes: tuple[tuple[int, ...], ...] = (SHAPE,)
    backward: bool = False


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


def _attention_case(shapes, causal=False) -> Composite:
    return Composite(
        "attention",
        lambda f, *qkv: f(*qkv, causal=causal),
        partial(_attention, causal=causal),
        lambda F, *qkv: F.scaled_dot_product_attention(*qkv, is_causal=causal),
        shapes,
    )


COMPOSITES = {
    "softmax": Composite("softmax", lambda f, x: f(x, -1), _softmax, lambda F, x: F.softmax(x, -1)),
    "softmax over the first dim": Composite(
        "softmax", lambda f, x: f(x, 0), partial(_softmax, axis=0), lambda F, x: F.softmax(x, 0)
    ),
    "softmax and backward": Composite(
        "softmax",
        lambda f, x: f(x, -1),
        _softmax_step,
        lambda F, x: F.softmax(x, -1),
        backward=True,
    ),
    "log_softmax": Composite(
        "log_softmax", lambda f, x: f(x, -1), _log_softmax, lambda F, x: F.log_softmax(x, -1)
    ),
    "log_softmax and backward": Composite(
        "log_softmax",
        lambda f, x: f(x, -1),
        _log_softmax_step,
        lambda F, x: F.log_softmax(x, -1),
        backward=True,
    ),
    "cross_entropy": Composite(
        "cross_entropy",
        lambda f, x: f(x, LABELS),
        _cross_entropy,
        lambda F, x: F.cross_entropy(x, torch.from_numpy(LABELS)),
    ),
    "cross_entropy and backward": Composite(
        "cross_entropy",
        lambda f, x: f(x, LABELS),
        _cross_entropy_step,
        lambda F, x: F.cross_entropy(x, torch.from_numpy(LABELS)),
        backward=True,
    ),
    "layer_norm": Composite(
        "layer_norm",
        lambda f, x: f(x, SHAPE[1:]),
        lambda a: _normal(a)[0],
        lambda F, x: F.layer_norm(x, SHAPE[1:]),
    ),
    "layer_norm and backward": Composite(
        "layer_norm",
        lambda f, x, *affine: f(x, SHAPE[1:], *affine),
        _layer_norm_step,
        lambda F, x, *affine: F.layer_norm(x, SHAPE[1:], *affine),
        (SHAPE, SHAPE[1:], SHAPE[1:]),
        backward=True,
    ),
    "linear": Composite(
        "linear",
        lambda f, *operands: f(*operands),
        lambda x, weight, bias: x @ weight.T + bias,
        lambda F, *operands: F.linear(*operands),
        LAYER,
    ),
    "linear and backward": Composite(
        "linear",
        lambda f, *operands: f(*operands),
        _linear_step,
        lambda F, *operands: F.linear(*operands),
        LAYER,
        backward=True,
    ),
    "attention": _attention_case(HEADS),
    "attention, causal": _attention_case(HEADS, causal=True),
    "attention, long": _attention_case(LONG),
    "attention, long and causal": _attention_case(LONG, causal=True),
    "attention and backward": Composite(
        "attention",
        lambda f, *qkv: f(*qkv),
        _attention_step,
        lambda F, *qkv: F.scaled_dot_product_attention(*qkv),
        LONG,
        backward=True,
    ),
}


def composites() -> list[Comparison]:
    """Those of operations that :mod:`mtlib.fused` has."""
    return [
        Comparison(
            f"{name} {'×'.join(map(str, each.shapes[0]))}", partial(_build, name), 1e-5, quick=True
        )
        for name, each in COMPOSITES.items()
        if hasattr(mtlib.fused, each.operation)
    ]


def _build(name: str):
    each = COMPOSITES[name]
    fused = getattr(mtlib.fused, each.operation)
    arrays = [operand(*shape, dtype="float32", seed=n) for n, shape in enumerate(each.shapes)]
    if each.backward:
        return _build_step(each, fused, arrays)
    tensors = [mtlib.from_numpy(array) for array in arrays]

    def in_torch(torch):
        return partial(each.in_torch, torch.nn.functional, *map(torch.from_numpy, arrays))

    return {
        "mtlib": partial(each.in_mtlib, fused, *tensors),
        "NumPy": partial(each.in_numpy, *arrays),
        **with_torch(in_torch),
    }


def _build_step(each: Composite, fused, arrays):
    """The result and the gradients of all operands."""
    tensors = [mtlib.tensor(array, requires_grad=True) for array in arrays]
    d = operand(*each.in_mtlib(fused, *tensors).shape, dtype="float32", seed=len(arrays))
    seed = mtlib.tensor(d)

    def ours():
        for x in tensors:
            x.grad = None
        result = each.in_mtlib(fused, *tensors)
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

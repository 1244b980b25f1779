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


@dataclass(frozen=True)
class Composite:
    """An operation on ``count`` operands of ``shape``, as each library writes it."""

    in_mtlib: Callable  # (the fused operation, *operands)
    in_numpy: Callable  # (*operands)
    in_torch: Callable  # (torch.nn.functional, *operands)
    shape: tuple[int, ...] = SHAPE
    count: int = 1


def _softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _log_softmax(a):
    off = a - a.max(-1, keepdims=True)
    return off - np.log(np.exp(off).sum(-1, keepdims=True))


def _cross_entropy(a):
    return -_log_softmax(a)[np.arange(len(a)), LABELS].mean()


def _layer_norm(a):
    off = a - a.mean(-1, keepdims=True)
    return off / np.sqrt((off * off).mean(-1, keepdims=True) + np.float32(1e-5))


def _attention(q, k, v):
    return _softmax(q @ k.swapaxes(-1, -2) * np.float32(q.shape[-1] ** -0.5)) @ v


COMPOSITES = {
    "softmax": Composite(lambda f, x: f(x, -1), _softmax, lambda F, x: F.softmax(x, -1)),
    "log_softmax": Composite(
        lambda f, x: f(x, -1), _log_softmax, lambda F, x: F.log_softmax(x, -1)
    ),
    "cross_entropy": Composite(
        lambda f, x: f(x, LABELS),
        _cross_entropy,
        lambda F, x: F.cross_entropy(x, torch.from_numpy(LABELS)),
    ),
    "layer_norm": Composite(
        lambda f, x: f(x, SHAPE[1:]), _layer_norm, lambda F, x: F.layer_norm(x, SHAPE[1:])
    ),
    "attention": Composite(
        lambda f, *qkv: f(*qkv),
        _attention,
        lambda F, *qkv: F.scaled_dot_product_attention(*qkv),
        (8, 256, 64),
        3,
    ),
}


def composites() -> list[Comparison]:
    """Those that :mod:`mtlib.fused` has."""
    return [
        Comparison(
            f"{name} {'×'.join(map(str, each.shape))}", partial(_build, name), 1e-5, quick=True
        )
        for name, each in COMPOSITES.items()
        if hasattr(mtlib.fused, name)
    ]


def _build(name: str):
    each, fused = COMPOSITES[name], getattr(mtlib.fused, name)
    arrays = [operand(*each.shape, dtype="float32", seed=seed) for seed in range(each.count)]
    tensors = [mtlib.from_numpy(array) for array in arrays]

    def in_torch(torch):
        return partial(each.in_torch, torch.nn.functional, *map(torch.from_numpy, arrays))

    return {
        "mtlib": partial(each.in_mtlib, fused, *tensors),
        "NumPy": partial(each.in_numpy, *arrays),
        **with_torch(in_torch),
    }

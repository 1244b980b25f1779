"""Attention, fused: no score outlives the block of scores that it is in."""

from __future__ import annotations

from math import prod

import numpy as np

from mtlib import naive
from mtlib.autograd import Function
from mtlib.checks import attention_operands
from mtlib.kernels.attention import attention as kernels
from mtlib.kernels.attention.attention import Stack
from mtlib.ops.operands import as_tensor
from mtlib.runtime.memory import flattened
from mtlib.runtime.mode import thread
from mtlib.tensor import BOOL, Tensor


class Attention(Function):
    """f(q, k, v, mask) = P v with P = softmax(q kᵀ · scale + mask), for stacks of one batch shape.

    If ``causal``, query i sees keys 0 to i.

    With d the gradient of the result, ∘ element by element and D = Σ d ∘ f for each query: that of
    v is Pᵀ d, that of the scores dS = P ∘ (d vᵀ - D), which is the mask's too, that of q is
    dS k · scale and that of k is dSᵀ q · scale.  P is not saved, but the logarithm of the sum that
    each query's powers were divided by: from it P is made again.

    The plain loop nest, that the ledger counts, has one row of scores s::

        for each query i:
            for each key j that it sees: s[j] = Σ q[i, e] k[j, e] · scale + mask[i, j]
            for each key j: m = max(m, s[j])
            for each key j: s[j] = exp(s[j] - m) and total += s[j]
            for each c: out[i, c] = Σ s[j] v[j, c] / total, over the keys j
            lse[i] = m + ln total

    and backward, for each query i, first D = Σ d[i, c] out[i, c], and then for each key j the score
    again, p = exp(score - lse[i]), dp = Σ d[i, c] v[j, c] and ds = p (dp - D), and adds to
    dv[j, c], dq[i, e], dk[j, e] and dmask[i, j].
    """

    name = "attention"
    decompose = staticmethod(naive.attention)

    @staticmethod
    def forward(ctx, q, k, v, mask, causal, scale):
        ctx.causal, ctx.scale = causal, scale
        out = Tensor.empty((*q.shape[:-1], v.shape[-1]), q.dtype, "attention")
        lse = Tensor.empty(q.shape[:-1], q.dtype, "attention")
        ctx.save_for_backward(q, k, v, mask, out, lse)
        operands = map(_stack, (q, k, v, mask))
        kernels.forward(out.storage, lse.storage, *operands, causal, scale)
        return out

    @staticmethod
    def backward(ctx, d):
        q, k, v, mask, out, lse = ctx.saved_tensors
        wanted = 4 if ctx.needs_input_grad[3] else 3
        gradients = [
            Tensor.empty(x.shape, x.dtype, "attention_backward", zero=True)
            for x in (q, k, v, mask)[:wanted]
        ]
        storages = [x.storage for x in gradients]
        saved = out.storage, lse.storage, *map(_stack, (q, k, v, mask))
        kernels.backward(storages, _stack(d), *saved, ctx.causal, ctx.scale)
        return *gradients, *[None] * (6 - wanted)

    @staticmethod
    def traffic(ctx, inputs, output):
        q, _, v, *mask = inputs
        pairs, queries, width, depth = _met(q, v, ctx.causal)
        loads = pairs * (2 * width + 2 + 2 * depth + len(mask))
        return loads, 2 * pairs + queries * (depth + 1)

    @staticmethod
    def backward_traffic(ctx, inputs, gradients):
        _, q, _, v, *mask, _, _ = inputs
        pairs, queries, width, depth = _met(q, v, ctx.causal)
        dmask = len(gradients) - 3
        loads = pairs * (6 * width + 4 * depth + len(mask) + dmask) + queries * (2 * depth + 1)
        return loads, pairs * (2 * width + depth + dmask)


def _met(q: Tensor, v: Tensor, causal: bool) -> tuple[int, int, int, int]:
    """(pairs of a query and a key that it sees, queries, E, Ev), of all matrices together."""
    (*batch, queries, width), (keys, depth) = q.shape, v.shape[-2:]
    seen = sum(min(i + 1, keys) for i in range(queries)) if causal else queries * keys
    return prod(batch) * seen, prod(batch) * queries, width, depth


def attention(q, k, v, mask=None, causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(q kᵀ · scale + mask) v for q (…, L, E), k (…, S, E) and v (…, S, Ev): (…, L, Ev).

    Leading dimensions broadcast; ``scale`` is 1/√E unless given.  A ``mask`` stretches to
    (…, L, S): of bools, such as comparisons give, it says which keys are seen; one of floats is
    added to the scores.  If ``causal``, query i sees keys 0 to i.  A query for which the mask hides
    every key gets 0.  Raises ``ValueError`` where shapes do not fit.

    Memory grows with L + S: neither direction makes an array of L·S scores, unless the mask
    requires a gradient.  Operands are read through their strides.

    >>> import mtlib
    >>> q, k, v = mtlib.zeros(2, 4), mtlib.ones(3, 4), mtlib.arange(3).view(3, 1)
    >>> mtlib.fused.attention(q, k, v)
    tensor([[1.],
            [1.]])
    >>> mtlib.fused.attention(q, k, v, causal=True)
    tensor([[0. ],
            [0.5]])
    """
    q, k, v, mask, scores, scale = attention_operands(q, k, v, mask, scale)
    if isinstance(mask, np.ndarray):  # of bools: shared, but a program being read owns all it has
        mask = (
            as_tensor(mask, BOOL, "attention") if thread.mode.reading else Tensor(*flattened(mask))
        )
    batch = scores[:-2]
    q, k, v = (x if x.shape[:-2] == batch else x.expand(*batch, *x.shape[-2:]) for x in (q, k, v))
    if mask is not None and mask.shape != scores:
        mask = mask.expand(scores)
    return Attention.apply(q, k, v, mask, causal, scale)


def _stack(x: Tensor | None) -> Stack | None:
    return None if x is None else Stack(x.storage, x.layout)

"""Attention, fused: no score outlives the block of scores that it is in."""

from __future__ import annotations

import numpy as np

from mtlib import naive
from mtlib.autograd import Function
from mtlib.checks import attention_operands
from mtlib.kernels.attention import attention as kernels
from mtlib.kernels.attention.attention import Stack
from mtlib.ops.operands import as_tensor
from mtlib.runtime.ledger import Recording
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
        causal, wanted = ctx.causal, 4 if ctx.needs_input_grad[3] else 3
        name = "attention_backward"
        inputs = [x for x in (d, *ctx.saved_tensors) if x is not None]
        with Recording(name, "fused", inputs) as recording:
            gradients = [
                Tensor.empty(x.shape, x.dtype, name, zero=True) for x in (q, k, v, mask)[:wanted]
            ]
            storages = [x.storage for x in gradients]
            saved = out.storage, lse.storage, *map(_stack, (q, k, v, mask))
            kernels.backward(storages, _stack(d), *saved, causal, ctx.scale)
            shapes = q.shape, v.shape
            traffic = kernels.backward_traffic(*shapes, mask is not None, wanted == 4, causal)
            recording.finish(gradients, [], traffic)
        return *gradients, *[None] * (6 - wanted)

    @staticmethod
    def traffic(ctx, inputs, output):
        q, _, v, *mask = inputs
        return kernels.forward_traffic(q.shape, v.shape, bool(mask), ctx.causal)


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

"""Composite operations written from map, zip and reduce.

Correct, easy to derive, and each step leaves an intermediate behind.  :mod:`mtlib.fused` has the
same operations, under the same names and signatures, as one kernel each.
"""

from __future__ import annotations

import numpy as np

from mtlib.checks import (
    attention_operands,
    class_dim,
    cross_entropy_operands,
    layer_norm_operands,
    linear_operands,
    matmul_operands,
    rms_norm_operands,
    row_operand,
)
from mtlib.make import arange
from mtlib.ops.aliases import numpy_names
from mtlib.ops.operands import as_tensor
from mtlib.ops.reductions import reduce
from mtlib.ops.zips import where
from mtlib.runtime.memory import check_fits
from mtlib.tensor import BOOL, Tensor


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a (…, m, k) @ b (…, k, n) = (…, m, n), as a broadcast zip followed by a reduce.

    The zip makes every product, m·k·n of them, before the reduce adds up the first two.  NumPy's
    rules for 1-D, batched and broadcast operands; raises ``ValueError`` where they do not fit and
    ``MemoryError`` where the products would not.

    >>> import mtlib
    >>> with mtlib.trace() as t:
    ...     c = mtlib.naive.matmul(mtlib.ones(2, 4), mtlib.ones(4, 3))
    >>> [(e.name, e.output_shapes[0]) for e in t.events if e.kind in ("zip", "reduce")]
    [('mul', (2, 4, 3)), ('reduce', (2, 1, 3))]
    """
    a, b, batch, shape = matmul_operands(a, b)
    (m, k), n = a.shape[-2:], b.shape[-1]
    check_fits((*batch, m, k, n), a.dtype, "matmul", "the zipped intermediate")

    rows = a.view(*a.shape, 1)  #                             (…, m, k, 1)  a view
    columns = b.view(*b.shape[:-2], 1, k, n)  #               (…, 1, k, n)  a view
    products = rows * columns  #                              (…, m, k, n)  reads 2mkn, writes mkn
    totals = reduce(products, "add", dim=-2, keepdim=True)  # (…, m, 1, n)  reads mkn, writes mn
    return totals.view(shape)  #                              (…, m, n)     a view


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b for x (…, in), weight W (out, in) and bias b (out,): y is (…, out).

    A weight (in,) gives (…) and takes a scalar bias.  Raises ``ValueError`` where the shapes do not
    fit.

    >>> import mtlib
    >>> x, weight, bias = mtlib.arange(4).view(2, 2), mtlib.ones(3, 2), mtlib.arange(3)
    >>> mtlib.naive.linear(x, weight, bias)
    tensor([[1., 2., 3.],
            [5., 6., 7.]])
    """
    x, weight, bias = linear_operands(x, weight, bias)  # n rows of x
    y = matmul(x, weight.T)  #              (…, out)  reads 3 n·in·out, writes n·in·out + n·out
    return y if bias is None else y + bias  # (…, out)  reads 2 n·out, writes n·out


@numpy_names
def softmax(x: Tensor, dim: int) -> Tensor:
    """y = eˣ / Σ eˣ along ``dim``: positive numbers that add up to 1.

    The largest of each row is subtracted first, which changes nothing but the size of the powers:
    none of them overflows.  Raises ``ValueError`` for a ``dim`` that ``x`` does not have.

    >>> import mtlib
    >>> mtlib.naive.softmax(mtlib.tensor([[0.0, 0.0], [1000.0, 0.0]]), 1)
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    x, dim = row_operand(x, dim, "softmax")
    # Of n elements in r rows:
    largest = _largest(x, dim)  #                  (…, 1, …)  reads n, writes r
    powers = (x - largest).exp()  #                (…, c, …)  reads 2n and n, writes n and n
    totals = powers.sum(dim, keepdim=True)  #      (…, 1, …)  reads n, writes r
    return powers / totals  #                      (…, c, …)  reads 2n, writes n


@numpy_names
def log_softmax(x: Tensor, dim: int) -> Tensor:
    """y = x - ln Σ eˣ along ``dim``: the logarithm of :func:`softmax`, with all its digits.

    Raises ``ValueError`` for a ``dim`` that ``x`` does not have.

    >>> import mtlib
    >>> mtlib.naive.log_softmax(mtlib.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    x, dim = row_operand(x, dim, "log_softmax")
    # Of n elements in r rows:
    shifted = x - _largest(x, dim)  #         (…, c, …)  reads n and 2n, writes r and n
    powers = shifted.exp()  #                 (…, c, …)  reads n, writes n
    totals = powers.sum(dim, keepdim=True)  # (…, 1, …)  reads n, writes r
    return shifted - totals.log()  #          (…, c, …)  reads r and 2n, writes r and n


def cross_entropy(logits: Tensor, labels, reduction: str = "mean") -> Tensor:
    """-ln softmax(logits)[label]: the mean over all labels, the "sum", or ("none") each.

    ``logits`` (C,), (N, C) or (N, C, d1, …) have one label, labels (N,) or labels (N, d1, …):
    integers from 0 to C - 1, in an array or lists.  Raises ``ValueError`` where shapes do not fit
    or a label is no class, ``TypeError`` for labels that are not integers.

    >>> import mtlib
    >>> logits = mtlib.tensor([[0.0, 0.0], [9.0, 0.0]])
    >>> mtlib.naive.cross_entropy(logits, [1, 0], reduction="none")
    tensor([0.6931, 0.0001])
    """
    logits, labels = cross_entropy_operands(logits, labels, reduction)
    dim, labels = class_dim(logits), as_tensor(labels, np.dtype(np.float64), "cross_entropy")
    classes = arange(logits.shape[dim]).view(-1, *[1] * (logits.ndim - 1 - dim))
    # Of n logits in r rows:
    one_hot = labels.unsqueeze(dim) == classes  #  (N, C, d1, …)  reads 2n, writes n
    chances = log_softmax(logits, dim)  #          (N, C, d1, …)  reads 7n + r, writes 3n + 3r
    chosen = where(one_hot, chances, 0)  #         (N, C, d1, …)  reads 3n, writes n
    losses = -chosen.sum(dim)  #                   (N, d1, …)     reads n and r, writes r and r
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def layer_norm(
    x: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(variance + eps) · weight + bias, over the last dimensions of ``x``.

    ``normalized_shape``, an integer or several, is how they must end; ``weight`` and ``bias`` have
    that shape.  Raises ``ValueError`` where shapes do not fit or ``eps`` is negative.

    The mean is rounded, and where a row hardly varies that can be more than it does.  So what is
    left of it is taken off too, as in :func:`mtlib.ops.reductions.var`.

    Source: Ba, Kiros and Hinton, "Layer Normalization" (2016).

    >>> import mtlib
    >>> mtlib.naive.layer_norm(mtlib.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), 3)
    tensor([[-1.2247,  0.    ,  1.2247],
            [-1.2247,  0.    ,  1.2247]])
    """
    x, weight, bias, dims = layer_norm_operands(x, normalized_shape, weight, bias, eps)
    # Of n elements in r rows:
    mean = x.mean(dims, keepdim=True)  #               (…, 1)  reads n and 2r, writes r and r
    off = x - mean  #                                  (…, c)  reads 2n, writes n
    rest = off.mean(dims, keepdim=True)  #             (…, 1)  reads n and 2r, writes r and r
    off = off - rest  #                                (…, c)  reads 2n, writes n
    squares = off * off  #                             (…, c)  reads 2n, writes n
    variance = squares.mean(dims, keepdim=True)  #     (…, 1)  reads n and 2r, writes r and r
    normal = off / (variance + float(eps)).sqrt()  #   (…, c)  reads 2r, r and 2n, writes r, r and n
    scaled = normal if weight is None else normal * weight  # reads 2n, writes n
    return scaled if bias is None else scaled + bias  #         reads 2n, writes n


def rms_norm(
    x: Tensor, normalized_shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean x² + eps) · weight, over the last dimensions of ``x``.

    ``normalized_shape``, an integer or several, is how they must end; ``weight`` has that shape.
    ``eps`` is that of the dtype unless given.  Raises ``ValueError`` where shapes do not fit or
    ``eps`` is negative.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019.

    >>> import mtlib
    >>> mtlib.naive.rms_norm(mtlib.tensor([[3.0, 4.0, 0.0, 0.0]]), 4)
    tensor([[1.2, 1.6, 0. , 0. ]])
    """
    x, weight, dims, eps = rms_norm_operands(x, normalized_shape, weight, eps)
    # Of n elements in r rows:
    squares = x * x  #                               (…, c)  reads 2n, writes n
    mean = squares.mean(dims, keepdim=True)  #       (…, 1)  reads n and 2r, writes r and r
    normal = x / (mean + float(eps)).sqrt()  #       (…, c)  reads 2r, r and 2n, writes r, r and n
    return normal if weight is None else normal * weight  #  reads 2n, writes n


def attention(q, k, v, mask=None, causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(q kᵀ · scale + mask) v for q (…, L, E), k (…, S, E) and v (…, S, Ev): (…, L, Ev).

    Each of L queries looks at S keys and gets a mean of their values, those weighted most whose
    keys are most like it.  Leading dimensions broadcast; ``scale`` is 1/√E unless given.  A
    ``mask`` stretches to (…, L, S): of bools, such as comparisons give, it says which keys are
    seen; one of floats is added to the scores.  If ``causal``, query i sees keys 0 to i.  A query
    for which the mask hides every key gets 0.  Raises ``ValueError`` where shapes do not fit.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017.

    >>> import mtlib
    >>> q, k, v = mtlib.zeros(2, 4), mtlib.ones(3, 4), mtlib.arange(3).view(3, 1)
    >>> mtlib.naive.attention(q, k, v)
    tensor([[1.],
            [1.]])
    >>> mtlib.naive.attention(q, k, v, causal=True)
    tensor([[0. ],
            [0.5]])
    """
    q, k, v, mask, (*_, queries, keys), scale = attention_operands(q, k, v, mask, scale)
    scores = matmul(q, k.transpose(-1, -2))  #    (…, L, S)   reads 3LSE, writes LSE + LS
    scores = scores * scale  #                    (…, L, S)   reads 2LS, writes LS
    if mask is not None and mask.dtype == BOOL:
        scores = where(mask, scores, -np.inf)  #  (…, L, S)   reads 3LS, writes LS
    elif mask is not None:
        scores = scores + mask  #                 (…, L, S)   reads 2LS, writes LS
    if causal:
        seen = arange(keys) <= arange(queries).view(-1, 1)  # (L, S)  reads 2LS, writes LS
        scores = where(seen, scores, -np.inf)  #  (…, L, S)   reads 3LS, writes LS
    if mask is None or keys == 0:
        weights = softmax(scores, -1)  #          (…, L, S)   reads 7LS, writes 3LS + 2L
    else:  # a query that sees no key would divide 0 by 0
        sees = scores.detach().max(-1, keepdim=True) != -np.inf  # (…, L, 1)  reads LS + 2L
        weights = softmax(where(sees, scores, 0), -1) * sees  #    (…, L, S)  reads 12LS
    return matmul(weights, v)  #                  (…, L, Ev)  reads 3LSEv, writes LSEv + LEv


def _largest(x: Tensor, dim: int) -> Tensor | int:
    """The largest of each row along ``dim``, to be subtracted from it.

    A constant for backward.  What is subtracted cancels out of the result, so no gradient flows
    through it; to let it flow would only add up rounding errors to something that is nearly 0.
    """
    return x.detach().max(dim, keepdim=True) if x.size else 0  # of nothing there is none

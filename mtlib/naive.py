"""Composite operations written from map, zip and reduce.

Correct, easy to derive, and each step leaves an intermediate behind.  :mod:`mtlib.fused` has the
same operations, under the same names and signatures, as one kernel each.
"""

from __future__ import annotations

import numpy as np

from mtlib.make import arange
from mtlib.memory import check_fits
from mtlib.operands import attention_operands, linear_operands, matmul_operands, row_operand
from mtlib.ops.reductions import reduce
from mtlib.ops.zips import where
from mtlib.tensor import Tensor


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


def softmax(x: Tensor, dim: int) -> Tensor:
    """y = eˣ / Σ eˣ along ``dim``: positive numbers that add up to 1.

    The largest of each row is subtracted first, which changes nothing but the size of the powers:
    none of them overflows.  Raises ``ValueError`` for a ``dim`` that ``x`` does not have.

    >>> import mtlib
    >>> mtlib.naive.softmax(mtlib.tensor([[0.0, 0.0], [1000.0, 0.0]]), 1)
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    x, dim = row_operand(x, dim, "softmax")  # r rows along dim, n elements in all
    largest = _largest(x, dim)  #                  (…, 1, …)  reads n, writes r
    powers = (x - largest).exp()  #                (…, c, …)  reads 2n and n, writes n and n
    totals = powers.sum(dim, keepdim=True)  #      (…, 1, …)  reads n, writes r
    return powers / totals  #                      (…, c, …)  reads 2n, writes n


def _largest(x: Tensor, dim: int) -> Tensor | int:
    """The largest of each row along ``dim``, to be subtracted from it.

    A constant for backward.  What is subtracted cancels out of the result, so no gradient flows
    through it; to let it flow would only add up rounding errors to something that is nearly 0.
    """
    return x.detach().max(dim, keepdim=True) if x.shape[dim] else 0  # of nothing there is none


def attention(q, k, v, mask=None, causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(q kᵀ · scale + mask) v for q (…, L, E), k (…, S, E) and v (…, S, Ev): (…, L, Ev).

    Each of L queries looks at S keys and gets a mean of their values, those weighted most whose
    keys are most like it.  Leading dimensions broadcast; ``scale`` is 1/√E unless given.  A
    ``mask`` stretches to (…, L, S): where an array of bools is False a key is hidden, any other
    mask is added to the scores.  If ``causal``, query i sees keys 0 to i.  A query for which the
    mask hides every key gets 0.  Raises ``ValueError`` where shapes do not fit.

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
    if mask is not None and mask.dtype == np.bool_:
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

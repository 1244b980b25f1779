"""The one table of composite operations, which stand in naive and in fused under one name.

:mod:`test_composites` holds each row of it to all that such an operation promises.  To test a new
one, write down what NumPy says, how arguments are drawn, and a row.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import nan, prod
from unittest import mock

import numpy as np
from hypothesis import strategies as st

from mtlib.kernels.attention import attention as attention_kernels

from .strategies import near, shapes
from .strips import small_strips


@dataclass(frozen=True)
class Of:
    """An argument that is a tensor of this shape; dtype, layout and values are drawn for it."""

    shape: tuple[int, ...]


def always_whole() -> st.SearchStrategy[AbstractContextManager]:
    return st.builds(nullcontext)


@dataclass(frozen=True)
class Composite:
    """A row: the operation ``name`` of :mod:`mtlib.naive` and :mod:`mtlib.fused`.

    ``reference`` is what NumPy gives for the same arguments, in float64.  ``small`` are arguments
    to call it with, by position: an :class:`Of` for each tensor that can have a gradient, anything
    else as it is passed.  ``arguments(most)`` draws such arguments, no size above ``most``.
    ``large`` has some of sizes that fill its kernels' usual blocks, and some that do not; the first
    show what memory it takes.  Results may be off by ``units`` in the last place of the largest.
    ``cuts`` draws contexts in which the kernels cut small tensors up as they do large ones.
    """

    name: str
    reference: Callable
    small: tuple
    arguments: Callable[[int], st.SearchStrategy[tuple]]
    large: tuple[tuple, ...]
    units: int = 200
    cuts: Callable[[], st.SearchStrategy[AbstractContextManager]] = always_whole


def strips_or_smaller() -> st.SearchStrategy[AbstractContextManager]:
    """Strips of rows as usual, or so small that there are several."""
    return st.builds(small_strips, st.booleans())


def _rank(most: int) -> int:
    """How many dimensions a batch has at most: a check of every gradient is slow on many."""
    return 2 if most > 3 else 1


# --- matmul and linear ----------------------------------------------------------------------------


@st.composite
def two_factors(draw, most: int):
    """Two operands that can be multiplied: 1-D, 2-D or stacks whose batches broadcast."""
    batch = draw(shapes(max_rank=_rank(most) + 1, max_size=most - 2))
    m, k, n = (draw(st.integers(0, most)) for _ in "mkn")
    left, right = (m, k), (k, n)
    if draw(st.integers(0, 4)):
        return Of((*draw(near(batch)), *left)), Of((*draw(near(batch)), *right))
    a = draw(st.sampled_from(((k,), left)))  # one or both of them a vector
    return Of(a), Of((k,) if a == left else draw(st.sampled_from(((k,), right))))


def _linear(x, weight, bias=0):
    return x @ weight.T + bias


@st.composite
def a_layer(draw, most: int):
    """x (…, in), weight (out, in) or (in,) and often a bias."""
    features = draw(st.integers(0, most))
    out = draw(st.one_of(st.just(()), st.integers(0, most).map(lambda n: (n,))))
    x = (*draw(shapes(max_rank=_rank(most) + 1, max_size=most - 2)), features)
    return tuple(map(Of, [x, (*out, features), out][: draw(st.sampled_from((2, 3, 3)))]))


# --- Rows -----------------------------------------------------------------------------------------


@np.errstate(invalid="ignore", divide="ignore")
def _log_softmax(a, dim):
    off = a - a.max(dim, keepdims=True, initial=-np.inf)
    return off - np.log(np.exp(off).sum(dim, keepdims=True))


def _softmax(a, dim):
    return np.exp(_log_softmax(a, dim))


@st.composite
def rows_along(draw, most: int):
    """A tensor and one of its dimensions, counted from either end."""
    shape = draw(shapes(min_rank=1, max_rank=_rank(most) + 2, max_size=min(most, 4)))
    return Of(shape), draw(st.integers(-len(shape), len(shape) - 1))


LARGE_ROWS = tuple(
    (Of(shape), dim) for shape in ((301, 77), (5, 1030), (1030, 5), (65, 300)) for dim in (0, 1)
)


def _cross_entropy(a, labels, reduction="mean"):
    dim = min(1, a.ndim - 1)
    logs = _log_softmax(a, dim)
    losses = -np.take_along_axis(logs, np.expand_dims(labels, dim), dim).squeeze(dim)
    if reduction == "none":
        return losses
    return losses.sum() / ((losses.size or nan) if reduction == "mean" else 1)


def labels_for(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Labels for logits of ``shape``."""
    dim = min(1, len(shape) - 1)
    rest = (*shape[:dim], *shape[dim + 1 :])
    return np.random.default_rng(seed).integers(0, shape[dim], rest)


@st.composite
def labelled(draw, most: int):
    """Logits (C,), (N, C) or (N, C, d1, …), their labels, and how losses are reduced."""
    rest = draw(shapes(max_rank=_rank(most) + 1, max_size=most - 1))
    shape = (*rest[:1], draw(st.integers(1, most)), *rest[1:])
    # The mean of nothing is nan, which has no slope.
    reduction = draw(st.sampled_from(("mean", "sum", "none") if prod(rest) else ("sum", "none")))
    return Of(shape), labels_for(shape, draw(st.integers(0, 2**16))), reduction


def _layer_norm(a, shape, weight=None, bias=None, eps=1e-5):
    dims = tuple(range(-len(np.atleast_1d(shape)), 0))
    n = max(1, prod(a.shape[d] for d in dims))
    off = a - a.sum(dims, keepdims=True) / n
    normal = off / np.sqrt((off * off).sum(dims, keepdims=True) / n + eps)
    return normal * (1 if weight is None else weight) + (0 if bias is None else bias)


# Large enough for rows whose elements are all alike not to hide every digit.
EPS = 0.01


@st.composite
def normalized(draw, most: int):
    """An operand, the shape to normalize over, and perhaps a weight and a bias."""
    shape = draw(shapes(min_rank=1, max_rank=_rank(most) + 1, max_size=min(most, 4)))
    ending = shape[draw(st.integers(0, len(shape) - 1)) :]
    weight, bias = (Of(ending) if draw(st.booleans()) else None for _ in range(2))
    return Of(shape), ending, weight, bias, EPS


def _rms_norm(a, shape, weight=None, eps=None):
    dims = tuple(range(-len(np.atleast_1d(shape)), 0))
    n = max(1, prod(a.shape[d] for d in dims))
    eps = np.finfo(a.dtype).eps if eps is None else eps
    normal = a / np.sqrt((a * a).sum(dims, keepdims=True) / n + eps)
    return normal * (1 if weight is None else weight)


@st.composite
def scaled(draw, most: int):
    """An operand, the shape to normalize over, and perhaps a weight."""
    x, ending, weight, _, eps = draw(normalized(most))
    return x, ending, weight, eps


# --- attention ------------------------------------------------------------------------------------


def attention_weights(q, k, mask=None, causal=False, scale=None):
    """softmax(q kᵀ · scale + mask) in float64; a query that sees no key gives none a weight."""
    q, k = q.astype(np.float64), k.astype(np.float64)
    scores = q @ k.swapaxes(-1, -2) * (max(1, q.shape[-1]) ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    largest = scores.max(-1, keepdims=True, initial=-np.inf)
    powers = np.exp(scores - np.where(np.isneginf(largest), 0, largest))
    totals = powers.sum(-1, keepdims=True)
    return powers / np.where(totals == 0, 1, totals)


def _attention(q, k, v, mask=None, causal=False, scale=None):
    return attention_weights(q, k, mask, causal, scale) @ v.astype(np.float64)


@st.composite
def queries_and_keys(draw, most: int):
    """q, k, v whose batches broadcast; a mask of bools or numbers, or none; and if it is causal."""
    batch = draw(shapes(max_rank=_rank(most), max_size=2))
    queries, keys, width, depth = (draw(st.integers(0, most)) for _ in range(4))
    sizes = (queries, width), (keys, width), (keys, depth)
    parts = [(*draw(near(batch)), *size) for size in sizes]
    scores = (*np.broadcast_shapes(*(part[:-2] for part in parts)), queries, keys)
    kind, shape = draw(st.sampled_from(("none", "bools", "-inf", "a tensor"))), draw(near(scores))
    hidden = np.random.default_rng(draw(st.integers(0, 2**16))).random(shape) < 0.4
    mask = {
        "none": None,
        "bools": np.asfortranarray(~hidden),
        "-inf": np.where(hidden, -np.inf, 0.5),
        "a tensor": Of(shape),
    }[kind]
    return *map(Of, parts), mask, draw(st.booleans())


@st.composite
def blocks(draw):
    """Into how large blocks attention cuts the work, and for how many threads."""
    queries, keys, threads = (draw(st.integers(1, most)) for most in (4, 4, 3))
    return mock.patch.multiple(
        attention_kernels, QUERIES=queries, KEYS=keys, threads_for=lambda work: threads
    )


# --- The table ------------------------------------------------------------------------------------

TABLE = [
    Composite(
        "attention",
        _attention,
        (Of((4, 6)), Of((5, 6)), Of((5, 3)), None, False),
        queries_and_keys,
        tuple(
            (Of((2, 3, q, 20)), Of((2, 3, k, 20)), Of((2, 3, k, 17)), None, causal)
            for q, k in ((96, 192), (97, 193), (95, 191), (300, 50), (1, 400))
            for causal in (False, True)
        ),
        units=400,
        cuts=blocks,
    ),
    Composite(
        "cross_entropy",
        _cross_entropy,
        (Of((4, 6)), [5, 3, 3, 1]),
        labelled,
        tuple(
            (Of(shape), labels_for(shape), "none")
            for shape in ((300, 77), (5, 1030), (1030, 5), (2, 3, 300), (2, 300, 7, 9), (300,))
        ),
        cuts=strips_or_smaller,
    ),
    Composite(
        "layer_norm",
        _layer_norm,
        (Of((4, 6)), 6, Of((6,)), Of((6,))),
        normalized,
        tuple(
            (Of(shape), shape[1:], Of(shape[1:]), Of(shape[1:]))
            for shape in ((301, 77), (5, 1030), (1030, 5), (65, 300))
        ),
        units=2000,
        cuts=strips_or_smaller,
    ),
    Composite(
        "linear",
        _linear,
        (Of((4, 6)), Of((5, 6)), Of((5,))),
        a_layer,
        # Each way through the kernel: in tiles as they are, packed, over several blocks, tiny.
        tuple(
            (Of((*rows, n)), Of((out, n)), Of((out,)))
            for *rows, n, out in (
                *((24, 32, 64), (3, 24, 32, 64), (3, 65, 70, 67)),
                *((3, 2, 600, 500), (3, 500, 9, 1), (3, 3, 4, 2)),
            )
        ),
    ),
    Composite(
        "log_softmax",
        _log_softmax,
        (Of((4, 6)), 1),
        rows_along,
        LARGE_ROWS,
        cuts=strips_or_smaller,
    ),
    Composite(
        "matmul",
        np.matmul,
        (Of((4, 6)), Of((6, 5))),
        two_factors,
        tuple(
            (Of((m, k)), Of((k, n)))
            for m, k, n in ((65, 70, 67), (1, 300, 200), (257, 3, 129), (100, 100, 1))
        ),
    ),
    Composite(
        "rms_norm",
        _rms_norm,
        (Of((4, 6)), 6, Of((6,)), 1e-5),
        scaled,
        tuple(
            (Of(shape), shape[1:], Of(shape[1:]))
            for shape in ((301, 77), (5, 1030), (1030, 5), (65, 300))
        ),
        units=400,
        cuts=strips_or_smaller,
    ),
    Composite("softmax", _softmax, (Of((4, 6)), 0), rows_along, LARGE_ROWS, cuts=strips_or_smaller),
]
REFERENCES = {row.name: row.reference for row in TABLE}

"""Programs to fuse, and a check that fusing one changes nothing but its kernels."""

import itertools
import math
import operator

import numpy as np
from hypothesis import strategies as st

import mtlib
from mtlib import fused
from mtlib.fusion.primitives import CALLED

from .operations import LOGIC, MAPS, WHERE, ZIPS
from .strategies import fill, shapes


def softmax(x, dim=1):
    e = (x - x.max(dim, keepdim=True)).exp()
    return e / e.sum(dim, keepdim=True)


def normalised(x):
    off = x - x.mean(1, keepdim=True)
    return off / ((off * off).mean(1, keepdim=True) + 1e-5).sqrt()


# Each takes x (4, 6), y (4, 6) and w (6, 5).
PROGRAMS = {
    "maps": lambda x, y, w: (x.exp() + 1).log().sqrt() - x.tanh() * y.sigmoid(),
    "relu and gelu": lambda x, y, w: x.relu() * y.gelu() - x.gelu(),
    "maps of maps": lambda x, y, w: (
        (x.relu().exp(), x.tanh().tanh(), mtlib.where(x > 0, 1, 2).log())
    ),
    "powers": lambda x, y, w: (
        (x**2 + (x * x + 1) ** 1.5 + y**1 + (y * y + 1) ** -0.5, (x * x + 1) ** y)
    ),
    "extremes": lambda x, y, w: mtlib.maximum(x, y) - mtlib.minimum(x, 0.1),
    "where": lambda x, y, w: mtlib.where(x > y, x * 2, y) + (x <= 0) * y,
    "masks": lambda x, y, w: (
        mtlib.where((x > 0) & (y <= x) | ~(y < 1), x, y) * (x != y),
        (x > 0).sum(1) * y[:, 0] + (x > y).mean(),
        (x > y) ^ (y[:1] >= 0),
    ),
    "a mask looked at twice": lambda x, y, w: (
        lambda m: mtlib.where(m[:, ::-1], x, y) + m.T.reshape(4, 6) * x
    )(x > y),
    "bools counted": lambda x, y, w: (x > y).to("float32").sum(0) * x + (x > 0).max(1, True) * y,
    "one row of y": lambda x, y, w: x / (y[0] * y[0] + 1),
    "one column of y": lambda x, y, w: x * y[:, :1],
    "sums": lambda x, y, w: (x * y).sum(1) + x.sum((0, 1)) - y.sum(1),
    "sum over the first": lambda x, y, w: (x * y).sum(0) * w[:, 0],
    "mean and variance": lambda x, y, w: x.mean(0) * y.var(0),
    "largest and smallest": lambda x, y, w: x.max(1) - y.min(1) + x.min(),
    "a product of a product in an extreme": lambda x, y, w: (y * (y * x)).max(0),
    "a product used in and beside an extreme": lambda x, y, w: (
        (x * y + x).max(1, keepdim=True) * (x * y)
    ),
    "product": lambda x, y, w: (x + 3).prod(1) * y.prod(),
    "softmax": lambda x, y, w: softmax(x * y),
    "softmax over the first": lambda x, y, w: softmax(x, 0),
    "layer norm": lambda x, y, w: normalised(x) * y[0] + y[1],
    "a norm of everything": lambda x, y, w: x / (x * x).sum().sqrt(),
    "a sum used both ways": lambda x, y, w: x.sum(1, keepdim=True) * x + x.sum(0),
    "zip and reduce": lambda x, y, w: mtlib.naive.matmul(x, w),
    "zip and reduce of maps": lambda x, y, w: mtlib.naive.matmul(x.tanh() + y, w.exp()).relu(),
    "a call": lambda x, y, w: x @ w,
    "a call between": lambda x, y, w: ((x * y) @ (w + 1)).gelu().mean(0),
    "calls of views": lambda x, y, w: (x.T @ y)[1:, ::2].sum(1),
    "transposed": lambda x, y, w: x.T.exp() + y.T,
    "sliced": lambda x, y, w: x[1:, ::2].exp() * y[:3, ::-2],
    "reshaped": lambda x, y, w: (x + 1).reshape(3, 8).exp().sum(1),
    "reshaped with a copy": lambda x, y, w: x.T.exp().reshape(-1).sum(),
    "stretched": lambda x, y, w: (x.unsqueeze(2) * w).max(1),
    "a row against itself as a column": lambda x, y, w: (
        (lambda v: v[:, None] / (v * v))(x[0] + 1) + (lambda v: v[:, None] * v * v)(y[0].exp())
    ),
    "transposed and not": lambda x, y, w: (lambda v: v + v.T + v * v.T)(x[:, :4].exp()),
    "reversed and not": lambda x, y, w: (lambda v: v[::-1] * v[::-1] + v * v)(x.exp()),
    "neighbours": lambda x, y, w: (lambda v: v[1:] * v[1:] - v[:-1] * v[:-1])(x.exp()),
    "casts": lambda x, y, w: (x.to("float32") * 0.5).relu().to("float64") * y,
    "constants": lambda x, y, w: x * mtlib.arange(6) + mtlib.ones(4, 1) - np.ones(6),
    "a call of constants": lambda x, y, w: x @ mtlib.arange(6).view(6, 1) + mtlib.ones(4, 4) @ x,
    "a step with no slope": lambda x, y, w: (x > 0) + y.detach() * x,
    "linear and softmax": lambda x, y, w: fused.softmax(fused.linear(x, w.T, w[0]), 1) * 2,
    "linear without a bias": lambda x, y, w: fused.linear(x, w[:, 0]).exp(),
    "rows": lambda x, y, w: fused.log_softmax(x, 0) + fused.layer_norm(y, 6, w[:, 0], w[:, 1]),
    "rows as they are": lambda x, y, w: fused.layer_norm(x, 6) * fused.layer_norm(y, (4, 6)),
    "a loss": lambda x, y, w: fused.cross_entropy(x * 2, [0, 3, 5, 1]),
    "attention": lambda x, y, w: fused.attention(x, y, x + y),
    "attention with a mask": lambda x, y, w: fused.attention(
        x, y, x, (x @ y.T > 0) | (x[0, 0] > 9)
    ),
    "causal attention": lambda x, y, w: fused.attention(x, y, x, np.eye(4) == 0, causal=True),
    "several results": lambda x, y, w: (x * y, (x * y).sum(1), w.T, x > y),
    "an input": lambda x, y, w: x,
    "a view of an input": lambda x, y, w: x.T[1],
    "what is computed twice": lambda x, y, w: (x * y, x * y, (x * y).T, x.exp().T[1], x.exp()[0]),
    "an input times 1": lambda x, y, w: (x * 1, (x / 1).T, y**1, y, y.T[1]),
    "a constant": lambda x, y, w: (mtlib.arange(3), mtlib.arange(3)[1:], mtlib.ones(2)),
    "a number": lambda x, y, w: mtlib.zeros(3) + 2,
}


def operands(dtype=np.float64, layout=lambda a: a) -> list[np.ndarray]:
    """x, y and w."""
    arrays = [fill("distinct", (4, 6), dtype, i) / 7 for i in (1, 2)]
    arrays.append(fill("any", (6, 5), dtype, 3))
    return [layout(np.asarray(a, dtype)) for a in arrays]


GRADIENTS = {
    "contiguous": mtlib.tensor,
    "by columns": lambda d: mtlib.from_numpy(np.asarray(d, order="F")),
    "one number": lambda d: mtlib.full((), 0.5, dtype=d.dtype).expand(d.shape),
}


def check(fn, arrays, lying="contiguous", **tolerance):
    """Results and gradients of ``fuse(fn)`` are those of ``fn``; the fused function.

    ``lying`` is how the gradients lie that flow in: see ``GRADIENTS``.
    """
    fused = mtlib.fuse(fn)
    found = []
    for f in (fn, fused):
        inputs = [mtlib.from_numpy(a) for a in arrays]
        for x in inputs:
            x.requires_grad = True
        results = f(*inputs)
        results = [results] if isinstance(results, mtlib.Tensor) else results
        for i, result in enumerate(results):
            if result.requires_grad:
                d = fill("any", result.shape, result.dtype, i)
                result.backward(GRADIENTS[lying](d), retain_graph=True)
        found.append((results, [x.grad for x in inputs]))
    (results, gradients), (fused_results, fused_gradients) = found
    assert shared([*results, *arrays]) == shared([*fused_results, *arrays])
    for one, other in zip(results, fused_results, strict=True):
        assert one.dtype == other.dtype
        assert one.requires_grad == other.requires_grad
        np.testing.assert_allclose(other, one, **tolerance)
    for one, other in zip(gradients, fused_gradients, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_allclose(other, one, **tolerance)
    return fused


def shared(things) -> list[tuple[int, int]]:
    """Which two of these have an element of memory in common."""
    arrays = [np.asarray(x) for x in things]
    pairs = itertools.combinations(enumerate(arrays), 2)
    return [(i, j) for (i, a), (j, b) in pairs if np.shares_memory(a, b)]


def shown(fn, *shapes):
    """``fn`` fused, and called once on tensors of ``shapes``."""
    fused = mtlib.fuse(fn)
    fused(*(mtlib.rand(*shape, requires_grad=True) for shape in shapes))
    return fused


# --- Programs by chance ---------------------------------------------------------------------------

SOME_MAPS = [
    lambda x: x.tanh(),
    lambda x: x.sigmoid() * 2,
    lambda x: x.relu(),
    lambda x: -x,
    lambda x: (x * x + 1).sqrt(),
    lambda x: x / (1 + x * x),
]
SOME_ZIPS = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: x - y * 0.5,
    lambda x, y: mtlib.where(x > y, x, y),
    lambda x, y: mtlib.where((x > 0.5) ^ (y >= 0), x * (x != y), y),
    lambda x, y: (x <= y) | (y > 1),
]


KINDS = (
    *("map", "zip", "itself", "sum", "mean", "max", "everything"),
    *("view", "slice", "reshape", "matmul"),
)
# Two views of one value that broadcast against each other.
BESIDE_ITSELF = [
    lambda x, dim: (x, x.transpose(0, dim) if x.shape[0] == x.shape[dim] else x),
    lambda x, dim: (x, x[along(dim, slice(None, None, -1))]),
    lambda x, dim: (x[along(dim, slice(1, None))], x[along(dim, slice(None, -1))]),
    lambda x, dim: (x[along(dim, slice(None, None, 2))], x[along(dim, slice(None, 1))]),
    lambda x, dim: (x, x[along(dim, slice(None, 1))]),
    lambda x, dim: (x, x.T.reshape(x.shape)),
    lambda x, dim: (x.reshape(-1), x.transpose(0, dim).reshape(-1)),
    lambda x, dim: (x, x.reshape(-1).reshape(x.shape)),
    lambda x, dim: (x.unsqueeze(0), x.unsqueeze(1)),
    lambda x, dim: (x.unsqueeze(-1), x.unsqueeze(-2)),
]
# Expressions that use either view more than once.
TWICE = [
    lambda a, b: a * a - b * b,
    lambda a, b: a + b + a * b,
    lambda a, b: a / (1 + b * b) - b,
    lambda a, b: mtlib.where(a > b, a * b, b),
]


def along(dim: int, key: slice) -> tuple[slice, ...]:
    """The index that is ``key`` in dimension ``dim`` and everything in those before."""
    return (*(slice(None),) * dim, key)


@st.composite
def programs(draw):
    """(a function of two tensors, their shapes): a chain of a few operations on what is there."""
    shape = draw(shapes(min_rank=1, max_rank=3, max_size=4))
    other = tuple(draw(st.sampled_from((n, 1))) for n in shape)
    choices = st.tuples(
        st.sampled_from(KINDS),
        *(st.integers(0, 1000) for _ in range(4)),
    )
    steps = draw(st.lists(choices, min_size=1, max_size=7))

    def program(x, y):
        found = [x, y]
        for kind, a, b, c, d in steps:
            p, q = found[-1 - a % min(3, len(found))], found[b % len(found)]
            found.append(_step(kind, p, q, c, d))
        return found[-1], found[len(found) // 2] * 2

    return program, (shape, other)


def _step(kind, p, q, c, d):
    """One operation that is possible on ``p``, beside ``q`` if it fits."""
    dim = c % p.ndim if p.ndim else None
    if kind == "map" or p.ndim == 0:
        return SOME_MAPS[c % len(SOME_MAPS)](p)
    if kind == "zip":
        try:
            np.broadcast_shapes(p.shape, q.shape)
        except ValueError:
            q = p
        return SOME_ZIPS[c % len(SOME_ZIPS)](p, q)
    if kind == "itself":
        views = BESIDE_ITSELF[c % len(BESIDE_ITSELF)](p, dim)
        return TWICE[d % len(TWICE)](*views) if p.size < 100 else p
    if kind == "everything":
        return p.max() if p.size and c % 2 else p.sum()
    if kind in ("sum", "mean"):
        return getattr(p, kind)(dim, keepdim=bool(d % 2))
    if kind == "max":
        return p.max(dim, keepdim=True) if p.shape[dim] else p.sum(dim, keepdim=True)
    if kind == "view":
        return [p.T, p.unsqueeze(dim), p.transpose(0, dim), p.squeeze()][d % 4]
    if kind == "slice":
        return p[along(dim, slice(None, None, (1, 2, -1)[d % 3]))]
    if kind == "reshape":
        return p.reshape(-1)
    return p @ p.T if p.ndim == 2 else mtlib.naive.matmul(p, p) if p.ndim == 1 else p


# --- Kernels as plain Python ----------------------------------------------------------------------


def _gelu_slope(x):
    density = math.exp(-x * x / 2) / (2 * math.pi) ** 0.5
    return (1 + math.erf(x * 0.5**0.5)) / 2 + x * density


def _pow_slope(x, y):
    return 0 if y == 0 else y * x ** (y - 1)


# What the text of a kernel can name, written anew.
PLAIN = {
    **{op.id: op.reference for op in (*MAPS, *ZIPS, *LOGIC, WHERE) if op.id in CALLED},
    "fold_add": operator.add,
    "fold_mul": operator.mul,
    "fold_maximum": np.maximum,
    "fold_minimum": np.minimum,
    "tanh_backward": lambda d, y: d * (1 - y * y),
    "sigmoid_backward": lambda d, y: d * y * (1 - y),
    "gelu_backward": lambda d, x: d * _gelu_slope(x),
    "pow_by": operator.pow,
    **dict.fromkeys(("pow_slope", "pow_slope_by"), _pow_slope),
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "bool": bool,
    "share": lambda n, parts, part: (n * part // parts, n * (part + 1) // parts),
    "blocks": lambda first, end: range(first, end, 3),
    "block": lambda first, end: range(first, min(first + 3, end)),
    "add_block": lambda total, lost, x: (total + x, lost),
    "zeros": np.zeros,
    "float32": np.float32,
    "float64": np.float64,
    "inf": np.inf,
    "nan": np.nan,
    "each": range,
}


class PlainKernel:
    """The text of a kernel, run as the Python that it is."""

    def __init__(self, name: str, text: str) -> None:
        names = dict(PLAIN)
        exec(text, names)
        self.function = names[name]

    def run(self, threads: int, *arguments) -> None:
        with np.errstate(all="ignore"):
            self.function(*arguments)

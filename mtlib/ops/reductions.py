"""Reduce: fold dimensions of a tensor, forward and backward.

Two ways to differentiate a reduction stand here side by side.  :class:`Reduce` is the general one:
whatever it folds with, its derivative is worked out from the elements that went in, so it saves
them.  :class:`Sum` knows that a sum's derivative is 1 whatever went in, so it saves nothing.

How far results can be off for n elements, ε being the distance from 1 to the next number of the
dtype (2⁻²³ for float32, 2⁻⁵² for float64), over any dimensions of any strides, on any number of
threads, forward and backward, step by step, fused and by ``fuse``:

=========  =====================================================================
sum        (256 + log₂ n) ε Σ|x| at most; for most numbers 2 ε Σ|x|
mean       the same over n
var        (256 + log₂ n) ε of itself at most, and what the digits of x leave open:
           the mean of x is taken to (256 + log₂ n)² ε² of its size
prod       float32: ε of itself; float64, and rows that ``fuse`` multiplies:
           n ε of itself at most, mostly √n ε
max, min   exact
=========  =====================================================================

NumPy's sum is as exact along rows; over rows, its errors grow with n.
"""

from __future__ import annotations

import math

from mtlib.autograd import Function
from mtlib.kernels.strided import reduce as kernels
from mtlib.layout import as_dims
from mtlib.ops.aliases import numpy_names
from mtlib.ops.zips import where
from mtlib.tensor import BOOL, Tensor


def _run(fold, name: str, a: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """``a`` folded over ``dims``, which stay with size 1 if ``keepdim``."""
    shape = _kept(a.shape, dims) if keepdim else _left(a.shape, dims)
    out = Tensor.empty(shape, a.dtype, name)
    if out.size:
        fold(out.storage, a.storage, a.layout, dims)
    return out


def _kept(shape, dims) -> tuple[int, ...]:
    return tuple([1 if d in dims else n for d, n in enumerate(shape)])


def _left(shape, dims) -> tuple[int, ...]:
    return tuple([n for d, n in enumerate(shape) if d not in dims])


def _lined_up(d: Tensor, shape, dims) -> Tensor:
    """A gradient with the dimensions that were dropped back in place, so that it broadcasts."""
    kept = _kept(shape, dims)
    return d if d.ndim == 0 or d.shape == kept else d.view(kept)


class Sum(Function):
    """y = Σ a: every element counts once, so each gets the gradient as it came."""

    name, kind = "sum", "reduce"

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.shape, ctx.dims = a.shape, dims
        return _run(kernels.total, "sum", a, dims, keepdim)

    @staticmethod
    def backward(ctx, d):
        return _lined_up(d, ctx.shape, ctx.dims).expand(ctx.shape), None, None


class Reduce(Function):
    """y = a folded over ``dims``, whatever the function it is folded with.

    One rule for all of them: the slope is worked out from the elements that went in, so they are
    saved.  A subclass names the kernel, and in ``gradient(d, a, dims)`` the derivative.
    """

    kind = "reduce"

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.save_for_backward(a)
        ctx.dims = dims
        return _run(ctx.function.kernel, ctx.function.name, a, dims, keepdim)

    @staticmethod
    def backward(ctx, d):
        (a,) = ctx.saved_tensors
        return ctx.function.gradient(_lined_up(d, a.shape, ctx.dims), a, ctx.dims), None, None


class ReduceAdd(Reduce):
    """A sum by the general rule, which saves what it need not: see :class:`Sum`."""

    name, kernel = "reduce", kernels.total

    @staticmethod
    def gradient(d, a, dims):
        return d.expand(a.shape)


class Prod(Reduce):
    """y = Π a, dy/da = the product of the others, also where some of them are 0."""

    name, kernel = "prod", kernels.product

    @staticmethod
    def gradient(d, a, dims):
        is_zero = a == 0
        # In float64, as the product of all may be out of range where that of the others is not.
        filled = where(is_zero, 1, a).to("float64")
        others = (filled.prod(dims, keepdim=True) / filled).to(a.dtype)
        zeros = is_zero.sum(dims, keepdim=True)
        return d * where(zeros == is_zero, others, 0)  # no other but a itself, if that, is 0


class Max(Reduce):
    """y = the largest; elements that tie for it share the gradient."""

    name, kernel = "max", kernels.largest

    @staticmethod
    def gradient(d, a, dims):
        return _shared(d, a, a.max(dims, keepdim=True), dims)


class Min(Reduce):
    """y = the smallest; elements that tie for it share the gradient."""

    name, kernel = "min", kernels.smallest

    @staticmethod
    def gradient(d, a, dims):
        return _shared(d, a, a.min(dims, keepdim=True), dims)


def _shared(d: Tensor, a: Tensor, y: Tensor, dims) -> Tensor:
    ties = (a == y) | (a != a)  # where there is a nan, it is what is returned
    count = ties.to(d.dtype).sum(dims, keepdim=True)
    return where(ties, d / count, 0)  # chosen and not multiplied: 0 times an infinite d is nan


# --- As they are called ---------------------------------------------------------------------------

FOLDS = {"add": ReduceAdd, "mul": Prod, "max": Max, "min": Min}


def _reduce(function, a: Tensor, dim, keepdim: bool) -> Tensor:
    if not isinstance(a, Tensor):
        raise TypeError(f"{function.name}: expected a tensor, got {type(a).__name__}")
    dims = as_dims(dim, a.ndim, function.name)
    if function in (Max, Min) and _count(a, dims, function.name) == 0:
        raise ValueError(
            f"{function.name}: shape {a.shape} has nothing to reduce over dim {dim}, and there is "
            "no largest or smallest of nothing"
        )
    if a.dtype == BOOL:
        folded = function.apply(a.to("float64"), dims, keepdim)
        return folded.to(BOOL) if function in (Max, Min) else folded
    return function.apply(a, dims, keepdim)


def reduce(a: Tensor, how: str, dim=None, keepdim: bool = False) -> Tensor:
    """``a`` folded over ``dim`` with ``how``: "add", "mul", "max" or "min".

    The general reduction: it saves ``a`` for backward whatever it folds with.

    >>> import mtlib
    >>> mtlib.reduce(mtlib.ones(2, 4, 3), "add", 1, keepdim=True).shape
    (2, 1, 3)
    """
    if how not in tuple(FOLDS):
        raise ValueError(f"reduce: {how!r} is not one of {', '.join(FOLDS)}")
    return _reduce(FOLDS[how], a, dim, keepdim)


@numpy_names
def sum(a: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The sum over ``dim``: one dimension, a tuple of them, or all (None).

    Of bools, how many are true: as a float64, as there are no tensors of integers.

    >>> import mtlib
    >>> mtlib.arange(6).view(2, 3).sum(0)
    tensor([3., 5., 7.])
    """
    return _reduce(Sum, a, dim, keepdim)


@numpy_names
def mean(a: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The mean over ``dim``; nan where there is nothing to average.

    >>> import mtlib
    >>> mtlib.arange(6).view(2, 3).mean(1, keepdim=True)
    tensor([[1.],
            [4.]])
    """
    count = _count(a, dim, "mean")
    return sum(a, dim, keepdim) / count


def _count(a: Tensor, dim, name: str) -> int:
    return math.prod(a.shape[d] for d in as_dims(dim, a.ndim, name))


@numpy_names
def max(a: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The largest over ``dim``; nan if any is.  Only the values, as NumPy's and PyTorch's amax.

    >>> import mtlib
    >>> mtlib.arange(6).view(2, 3).max(1)
    tensor([2., 5.])
    """
    return _reduce(Max, a, dim, keepdim)


@numpy_names
def min(a: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The smallest over ``dim``; nan if any is.

    >>> import mtlib
    >>> mtlib.arange(6).view(2, 3).min(1)
    tensor([0., 3.])
    """
    return _reduce(Min, a, dim, keepdim)


@numpy_names
def prod(a: Tensor, dim=None, keepdim: bool = False) -> Tensor:
    """The product over ``dim``; 1 where there is nothing to multiply.

    >>> import mtlib
    >>> mtlib.tensor([[1.0, 2.0], [3.0, 4.0]]).prod(0)
    tensor([3., 8.])
    """
    return _reduce(Prod, a, dim, keepdim)


@numpy_names
def var(a: Tensor, dim=None, correction: int = 1, keepdim: bool = False) -> Tensor:
    """The variance over ``dim``: squared distance from the mean, over the count - ``correction``.

    A mean is rounded, and where numbers hardly vary that can be more than they do.  So the mean of
    the distances is taken off them once more (the corrected two-pass algorithm of Chan, Golub and
    LeVeque, "Algorithms for Computing the Sample Variance", The American Statistician 37, 1983).

    >>> import mtlib
    >>> mtlib.tensor([1.0, 2.0, 3.0]).var(), mtlib.tensor([1.0, 2.0, 3.0]).var(correction=0)
    (tensor(1.), tensor(0.6667))
    """
    free = _count(a, dim, "var") - correction
    off = a - mean(a, dim, keepdim=True)
    off = off - mean(off, dim, keepdim=True)
    return sum(off * off, dim, keepdim) / (free if free > 0 else 0)

"""Cross entropy, fused: the logarithms of the chances are never written down."""

from __future__ import annotations

from math import nan

from mtlib import naive
from mtlib.autograd import Function
from mtlib.checks import class_dim, cross_entropy_operands
from mtlib.kernels.plans.rows import per_row
from mtlib.kernels.rows import cross_entropy as kernels
from mtlib.kernels.strided.reduce import total
from mtlib.layout import expand
from mtlib.runtime.memory import allocate
from mtlib.tensor import Tensor, empty_like


class CrossEntropy(Function):
    """The mean or sum of -ln softmax(x)[c], or each, c being the label of a row of logits x.

    With d the gradient of a row's loss, dx = d (softmax(x) - 1 at c).  Kept of each row are the
    largest of its logits and the sum of its powers, from which backward makes the softmax anew.

    The plain loop nest, that the ledger counts, goes over each row twice, for the largest and for
    the sum, and then looks up the label and its logit.  Backward goes over it once.
    """

    name = "cross_entropy"

    @staticmethod
    def forward(ctx, x, labels, dim, reduction):
        name, dtype = "cross_entropy", x.dtype
        count = labels.size or nan  # the mean of nothing is nan
        largest, totals = (Tensor.empty(labels.shape, dtype, name) for _ in range(2))
        role = "result" if reduction == "none" else "workspace"
        losses = Tensor(allocate(labels.shape, dtype, name, role=role), largest.layout)
        arrays = (x.storage, labels.reshape(-1), *(t.storage for t in (losses, largest, totals)))
        layouts = (x.layout, per_row(losses.layout, x.shape, (dim,)))
        kernels.cross_entropy(name, (dim,), layouts, *arrays)
        ctx.save_for_backward(x, largest, totals)
        ctx.labels, ctx.dim, ctx.each = labels, dim, reduction == "none"
        ctx.factor = dtype.type(1 / count if reduction == "mean" else 1)
        if ctx.each:
            return losses
        loss = Tensor.empty((), dtype, name)
        total(loss.storage, losses.storage, losses.layout, tuple(range(losses.ndim)))
        if reduction == "mean":
            loss.storage /= count
        return loss

    @staticmethod
    def backward(ctx, d):
        x, largest, totals = ctx.saved_tensors
        name, dims, labels = "cross_entropy_backward", (ctx.dim,), ctx.labels
        dx = empty_like(x, name)
        slopes = per_row(d.layout, x.shape, dims) if ctx.each else expand(d.layout, x.shape)
        layouts = (dx.layout, x.layout, slopes, per_row(largest.layout, x.shape, dims))
        arrays = (dx.storage, x.storage, d.storage, labels.reshape(-1))
        kernels.cross_entropy_backward(
            name, dims, layouts, *arrays, largest.storage, totals.storage, ctx.factor
        )
        return dx, None, None, None

    @staticmethod
    def traffic(ctx, inputs, output):
        (x,), rows = inputs, ctx.labels.size
        return 2 * x.size + 2 * rows, output.size + 2 * rows

    @staticmethod
    def backward_traffic(ctx, inputs, gradients):
        x, rows = gradients[0], ctx.labels.size
        return x.size + 4 * rows, x.size  # of each row its slope, its label and what was kept

    @staticmethod
    def decompose(x, labels, dim, reduction):
        return naive.cross_entropy(x, labels, reduction)


def cross_entropy(logits: Tensor, labels, reduction: str = "mean") -> Tensor:
    """-ln softmax(logits)[label]: the mean over all labels, the "sum", or ("none") each.

    ``logits`` (C,), (N, C) or (N, C, d1, …) have one label, labels (N,) or labels (N, d1, …):
    integers from 0 to C - 1, in an array or lists.  Raises ``ValueError`` where shapes do not fit
    or a label is no class, ``TypeError`` for labels that are not integers.

    >>> import mtlib
    >>> cross_entropy(mtlib.tensor([[0.0, 0.0], [9.0, 0.0]]), [1, 0], reduction="none")
    tensor([0.6931, 0.0001])
    """
    logits, labels = cross_entropy_operands(logits, labels, reduction)
    return CrossEntropy.apply(logits, labels, class_dim(logits), reduction)

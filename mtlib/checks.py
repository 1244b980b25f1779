"""What naive and fused ask of their operands, checked before anything is allocated."""

from __future__ import annotations

import numbers
from collections.abc import Callable

import numpy as np

from mtlib.layout import Shape, as_dim, as_shape, broadcast_shapes, contiguous, expand
from mtlib.ops.operands import as_tensor, common_dtype
from mtlib.tensor import BOOL, Tensor


def matmul_operands(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Shape, Shape]:
    """``a`` and ``b`` as stacks of matrices of one dtype, and their batch and product shapes.

    A 1-D operand is taken as one row (on the left) or one column (on the right), and that
    dimension is missing from the product.  Batch dimensions broadcast.

    >>> import mtlib
    >>> a, b, batch, shape = matmul_operands(mtlib.ones(4), mtlib.ones(5, 4, 3))
    >>> a.shape, b.shape, batch, shape
    ((1, 4), (5, 4, 3), (5,), (5, 3))
    """
    for x in (a, b):
        if not isinstance(x, (Tensor, np.ndarray)):
            raise TypeError(f"matmul: operands must be tensors, got {type(x).__name__}")
    pair = f"{a.shape} @ {b.shape}"
    for x, side in ((a, "left"), (b, "right")):
        if x.ndim == 0:
            raise ValueError(f"matmul: {pair}: the {side} operand is a scalar; use *")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"matmul: {pair}: inner dimensions {a.shape[-1]} and {inner} differ")
    try:
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2], name="matmul")
    except ValueError:
        raise ValueError(
            f"matmul: {pair}: batch dimensions {a.shape[:-2]} and {b.shape[:-2]} do not broadcast"
        ) from None
    shape = (*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
    dtype = common_dtype("matmul", a, b)
    a, b = as_tensor(a, dtype, "matmul"), as_tensor(b, dtype, "matmul")
    if a.ndim == 1:
        a = a.view(1, a.shape[0])
    if b.ndim == 1:
        b = b.view(b.shape[0], 1)
    return a, b, batch, shape


def row_operand(x: Tensor, dim: int, name: str) -> tuple[Tensor, int]:
    """The operand of ``name``, which works on the rows along ``dim``, and ``dim`` from the front.

    >>> import mtlib
    >>> x, dim = row_operand(mtlib.ones(2, 3), -1, "softmax")
    >>> dim
    1
    """
    if not isinstance(x, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: the operand must be a tensor, got {type(x).__name__}")
    dim = as_dim(dim, x.ndim, name, f"a tensor of shape {x.shape}")
    return as_tensor(x, common_dtype(name, x), name), dim


class Integers:
    """What stands for an array of integers, such as labels, while a program is read.

    Its values are known whenever the program runs.
    """

    __slots__ = ()

    def check(self, test: Callable, *told) -> None:
        """Call ``test(values, *told)`` then, which raises where they are not as they must be."""
        raise NotImplementedError


REDUCTIONS = ("mean", "sum", "none")


def class_dim(logits: Tensor) -> int:
    """The dimension of the classes: the second, or the only one."""
    return min(1, logits.ndim - 1)


def cross_entropy_operands(
    logits: Tensor, labels, reduction: str
) -> tuple[Tensor, np.ndarray | Integers]:
    """The logits, and the label of each row of them as an array.

    >>> import mtlib
    >>> logits, labels = cross_entropy_operands(mtlib.ones(2, 3), [2, 0], "mean")
    >>> labels
    array([2, 0])
    """
    name = "cross_entropy"
    if not isinstance(logits, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: the logits must be a tensor, got {type(logits).__name__}")
    if logits.ndim == 0:
        raise ValueError(f"{name}: logits of shape () have no dimension of classes")
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: reduction {reduction!r} is not one of {', '.join(REDUCTIONS)}")
    dim = class_dim(logits)
    labels = _labels(labels)
    expected = (*logits.shape[:dim], *logits.shape[dim + 1 :])
    if labels.shape != expected:
        raise ValueError(
            f"{name}: logits of shape {logits.shape} need labels of shape {expected}, "
            f"got {labels.shape}"
        )
    if isinstance(labels, Integers):
        labels.check(_check_classes, logits.shape)
    else:
        _check_classes(labels, logits.shape)
        # A copy: what is changed before backward has not been checked, and a kernel would follow it
        labels = labels.astype(np.int64, order="C")
    return as_tensor(logits, common_dtype(name, logits), name), labels


def _check_classes(labels: np.ndarray, shape: Shape) -> None:
    """ValueError unless each of ``labels`` is a class of logits of ``shape``."""
    classes = shape[min(1, len(shape) - 1)]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        wrong = np.argmax((labels < 0) | (labels >= classes))
        at = tuple(int(i) for i in np.unravel_index(wrong, labels.shape))
        where = f" at {at}" if at else ""
        raise ValueError(
            f"cross_entropy: label {int(labels[at])}{where} is no class, logits of shape {shape} "
            f"have {classes}"
        )


def _labels(labels) -> np.ndarray | Integers:
    """``labels`` as an array of integers, if a program is not just being read."""
    says = "cross_entropy: labels must be integers, in an array or in lists, got"
    if isinstance(labels, Integers):
        return labels
    if isinstance(labels, Tensor):
        raise TypeError(f"{says} a tensor, which holds floats")
    try:
        array = np.asarray(labels)
    except ValueError:
        raise ValueError(
            "cross_entropy: the lists of labels are ragged: their lengths differ"
        ) from None
    if array.size == 0 and isinstance(labels, (list, tuple)):
        return array.astype(np.int64)  # NumPy takes a list of nothing to be of floats
    if array.dtype.kind not in "iu":
        raise TypeError(f"{says} {array.dtype}")
    return array


def layer_norm_operands(
    x: Tensor, normalized_shape, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor | None, Tensor | None, Shape]:
    """``x``, ``weight`` and ``bias`` as tensors of one dtype, and the dimensions to normalize over.

    >>> import mtlib
    >>> *_, dims = layer_norm_operands(mtlib.ones(2, 4, 3), (4, 3), mtlib.ones(4, 3), None, 1e-5)
    >>> dims
    (1, 2)
    """
    return _norm_operands("layer_norm", x, normalized_shape, weight, bias, eps)


def rms_norm_operands(
    x: Tensor, normalized_shape, weight: Tensor | None, eps: float | None
) -> tuple[Tensor, Tensor | None, Shape, float]:
    """``x`` and ``weight`` as tensors of one dtype, the dimensions to normalize over, and eps.

    >>> import mtlib
    >>> *_, dims, eps = rms_norm_operands(mtlib.ones(2, 4, 3), 3, None, None)
    >>> dims, eps == 2.0**-52
    ((2,), True)
    """
    least = 0 if eps is None else eps
    x, weight, _, dims = _norm_operands("rms_norm", x, normalized_shape, weight, None, least)
    return x, weight, dims, float(np.finfo(x.dtype).eps) if eps is None else eps


def _norm_operands(name: str, x: Tensor, normalized_shape, weight, bias, eps: float):
    """The operands of a normalization, as :func:`layer_norm_operands` says."""
    given = {"weight": weight, "bias": bias}
    given = {"x": x} | {what: value for what, value in given.items() if value is not None}
    for what, value in given.items():
        if not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(f"{name}: {what} must be a tensor, got {type(value).__name__}")
    shape = as_shape((normalized_shape,), name)
    if not shape:
        raise ValueError(f"{name}: normalized_shape is (): a single number has no spread")
    if x.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: x of shape {x.shape} does not end in normalized_shape {shape}")
    for what, value in given.items():
        if what != "x" and value.shape != shape:
            raise ValueError(
                f"{name}: {what} of shape {value.shape} is not of normalized_shape {shape}"
            )
    if isinstance(eps, bool) or not isinstance(eps, numbers.Real):
        raise TypeError(f"{name}: eps must be a real number, got {type(eps).__name__}")
    if not eps >= 0:
        raise ValueError(f"{name}: eps must not be negative, got {eps}")
    dtype = common_dtype(name, *given.values())
    x, weight, bias = (None if v is None else as_tensor(v, dtype, name) for v in (x, weight, bias))
    return x, weight, bias, tuple(range(x.ndim - len(shape), x.ndim))


def linear_operands(x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor | None]:
    """The operands of linear as tensors of one dtype.

    >>> import mtlib
    >>> x, weight, bias = linear_operands(mtlib.ones(5, 4), mtlib.ones(3, 4), None)
    >>> x.shape, weight.shape, bias
    ((5, 4), (3, 4), None)
    """
    named = {"x": x, "weight": weight} | ({} if bias is None else {"bias": bias})
    shapes = _shapes("linear", named)
    if x.ndim == 0:
        raise ValueError(f"linear: {shapes}: x is a scalar; it needs a dimension of features")
    if weight.ndim not in (1, 2):
        raise ValueError(f"linear: {shapes}: weight must be (out, in) or (in,)")
    if x.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"linear: {shapes}: {x.shape[-1]} features of x and {weight.shape[-1]} of weight differ"
        )
    if bias is not None and bias.shape != weight.shape[:-1]:
        raise ValueError(f"linear: {shapes}: bias must have the shape {weight.shape[:-1]}")
    dtype = common_dtype("linear", *named.values())
    return [
        None if value is None else as_tensor(value, dtype, "linear") for value in (x, weight, bias)
    ]


def attention_operands(q: Tensor, k: Tensor, v: Tensor, mask, scale: float | None):
    """(q, k, v, mask, scores, scale): tensors of one dtype, and the shape (…, L, S) of the scores.

    A mask of bools stays what it is.

    >>> import mtlib
    >>> q, k, v = mtlib.ones(2, 5, 4), mtlib.ones(3, 4), mtlib.ones(3, 6)
    >>> *_, scores, scale = attention_operands(q, k, v, None, None)
    >>> scores, scale
    ((2, 5, 3), 0.5)
    """
    shapes = _shapes("attention", {"q": q, "k": k, "v": v})
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.ndim < 2:
            raise ValueError(f"attention: {shapes}: {name} needs 2 dimensions or more")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"attention: {shapes}: queries of size {q.shape[-1]} and keys of size {k.shape[-1]} "
            "do not go together"
        )
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"attention: {shapes}: {k.shape[-2]} keys and {v.shape[-2]} values differ")
    batches = q.shape[:-2], k.shape[:-2], v.shape[:-2]
    try:
        batch = broadcast_shapes(*batches)
    except ValueError:
        raise ValueError(
            f"attention: {shapes}: batch dimensions {', '.join(map(str, batches))} do not broadcast"
        ) from None
    scores = (*batch, q.shape[-2], k.shape[-2])
    operands = [q, k, v]
    if mask is not None:
        _shapes("attention", {"mask": mask})
        expand(contiguous(mask.shape), scores, "attention: mask")
        if mask.dtype != BOOL:
            operands.append(mask)
    if scale is None:
        scale = max(1, q.shape[-1]) ** -0.5
    elif not isinstance(scale, numbers.Real):
        raise TypeError(f"attention: scale must be a real number, got {type(scale).__name__}")
    dtype = common_dtype("attention", *operands)
    q, k, v, *rest = (as_tensor(x, dtype, "attention") for x in operands)
    return q, k, v, rest[0] if rest else mask, scores, float(scale)


def _shapes(name: str, operands: dict) -> str:
    """Operands and their shapes in words; TypeError for one that is neither tensor nor array."""
    for which, x in operands.items():
        if not isinstance(x, (Tensor, np.ndarray)):
            raise TypeError(f"{name}: {which} must be a tensor, got {type(x).__name__}")
    return ", ".join(f"{which} {x.shape}" for which, x in operands.items())

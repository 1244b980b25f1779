"""In place: operations that write their result into the memory of their first operand.

``x += y`` is the operation of ``x = x + y`` with another place for its result: whatever looks at
that memory, a view or a NumPy array, sees the change.  So it keeps the shape and the dtype of x,
and only y is stretched.

Where a gradient flows, x becomes the result, in autograd's graph too.  Another tensor over the same
memory would then hold values that its own history knows nothing of, and get a wrong gradient; so
that is refused for memory that anything else holds.  Where none flows, everything may share it, and
what backward has saved of it is noticed there (:mod:`mtlib.runtime.versions`).
"""

from __future__ import annotations

import numpy as np

from mtlib import layout as layouts
from mtlib.autograd import Function
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.strided import updates
from mtlib.layout import contiguous
from mtlib.ops.operands import as_tensor, check_bools, common_dtype
from mtlib.ops.views import Expand
from mtlib.ops.zips import Add, And, Div, Mul, Or, Pow, Sub, Xor
from mtlib.runtime.memory import allocate
from mtlib.runtime.mode import thread
from mtlib.runtime.versions import clock
from mtlib.tensor import Tensor


class Add_(Add):
    """a += b"""

    name = "add_"

    @staticmethod
    def forward(ctx, a, b):
        return _write(ctx, updates.add, a, b)


class Sub_(Sub):
    """a -= b"""

    name = "sub_"

    @staticmethod
    def forward(ctx, a, b):
        return _write(ctx, updates.sub, a, b)


class Mul_(Mul):
    """a *= b: the gradient of b is what a was, which is copied for it"""

    name = "mul_"

    @staticmethod
    def forward(ctx, a, b):
        _save_before(ctx, a, b)
        return _write(ctx, updates.mul, a, b)


class Div_(Div):
    """a /= b; what a was is copied for the gradient"""

    name = "div_"

    @staticmethod
    def forward(ctx, a, b):
        _save_before(ctx, a, b)
        return _write(ctx, updates.div, a, b)


class Pow_(Pow):
    """a **= b; what a was is copied for the gradient"""

    name = "pow_"

    @staticmethod
    def forward(ctx, a, b):
        _save_before(ctx, a, b)
        return _write(ctx, updates.pow, a, b)


class And_(And):
    """a &= b"""

    name = "logical_and_"

    @staticmethod
    def forward(ctx, a, b):
        return _write(ctx, updates.logical_and, a, b)


class Or_(Or):
    """a |= b"""

    name = "logical_or_"

    @staticmethod
    def forward(ctx, a, b):
        return _write(ctx, updates.logical_or, a, b)


class Xor_(Xor):
    """a ^= b"""

    name = "logical_xor_"

    @staticmethod
    def forward(ctx, a, b):
        return _write(ctx, updates.logical_xor, a, b)


class Copy_(Function):
    """a = b, element by element: nothing of what a was is left, and so it gets no gradient"""

    name, kind = "copy_", "map"

    @staticmethod
    def forward(ctx, a, b):
        return _write(ctx, updates.copy, a, b)

    @staticmethod
    def backward(ctx, d):
        return None, d

    @staticmethod
    def traffic(ctx, inputs, output):
        return output.size, output.size  # what is overwritten is not loaded


class Fill_(Copy_):
    """a = the number b"""

    name = "fill_"


class Zero_(Copy_):
    """a = 0"""

    name = "zero_"


class SetItem(Copy_):
    """a[key] = b, for the view that a[key] is"""

    name = "setitem"


def _write(ctx, kernel, a: Tensor, b: Tensor) -> Tensor:
    """``a``, after ``kernel`` has changed its elements by those of ``b``."""
    b = _kept_apart(b, a, ctx.function.name)
    clock.changed(a.storage, ctx.function.name)
    if a.size:
        kernel(a.storage, b.storage, plans.iteration(a.layout, b.layout), work=a.size)
    return a


def _kept_apart(x: Tensor, out: Tensor, name: str) -> Tensor:
    """``x``, or a copy if elements of it would be overwritten before they have been read."""
    if x.storage is out.storage:
        if x.layout == out.layout:
            return x  # each element is read before that same one is written
    elif x.storage.flags.owndata and out.storage.flags.owndata:
        return x
    if not np.may_share_memory(x.numpy(), out.numpy(), 1):
        return x
    copy = Tensor(allocate(x.shape, x.dtype, name, role="workspace"), contiguous(x.shape))
    copy.numpy()[...] = x.numpy()
    return copy


def _save_before(ctx, a: Tensor, b: Tensor) -> None:
    """Save the operands as they are before ``a`` is changed."""
    if True in ctx.needs_input_grad:
        before = a.owned(copy=True)
        ctx.save_for_backward(before, before if b.storage is a.storage else b)


# --- Changing a tensor ----------------------------------------------------------------------------


def _change(function: type[Function], a: Tensor, b) -> Tensor:
    """``a``, after ``function`` has changed it; in the graph too, if a gradient flows."""
    name = function.name
    _check_writable(a, name)
    if function.kind == "zip" and a.dtype.kind != "f":
        raise TypeError(f"{name}: a tensor of dtype {a.dtype} cannot hold numbers; write x = x + y")
    b = _fitted(b, a, name)
    if _flows(a, b):
        _check_not_leaf(a, name)
        if a.is_shared():
            raise RuntimeError(
                f"{name}: the memory of this tensor of shape {a.shape} is held by something else "
                "too (a view, an array, what backward has saved), whose gradient would be wrong; "
                "write x = x + y for a new tensor, or use no_grad() if no gradient is to flow"
            )
    result = function.apply(a, b)
    if result.requires_grad:
        a._requires_grad, a.grad_fn = True, result.grad_fn
    return a


def _change_bools(function: type[Function], a: Tensor, b) -> Tensor:
    """The same for what is done to bools alone, which no gradient flows through."""
    _check_writable(a, function.name)
    check_bools(function.name, a, b)
    function.apply(a, _fitted(b, a, function.name))
    return a


def _flows(a: Tensor, b: Tensor) -> bool:
    return thread.mode.grad_enabled and (a.requires_grad or b.requires_grad)


def _check_writable(a: Tensor, name: str) -> None:
    """Refuse, before anything is written, a tensor whose memory must not be."""
    if not isinstance(a, Tensor):
        raise TypeError(f"{name}: only a tensor is changed in place, got {type(a).__name__}")
    if thread.mode.reading:
        raise TypeError(
            f"fuse: {name} changes a tensor of shape {a.shape} in place, which a fused program "
            "cannot do; write x = x + y, which makes a new tensor"
        )
    if layouts.overlaps(a.layout):
        raise ValueError(
            f"{name}: elements of this tensor of shape {a.shape} and strides {a.strides} share "
            "their places in memory, as stretched ones do; change a copy"
        )
    if not a.storage.flags.writeable:
        raise ValueError(f"{name}: the array under this tensor of shape {a.shape} is read-only")


def _check_not_leaf(a: Tensor, name: str) -> None:
    if a.is_leaf and a.requires_grad:
        raise RuntimeError(
            f"{name}: a leaf that requires a gradient is being used in an in-place operation; do "
            "it under no_grad()"
        )


def _fitted(b, a: Tensor, name: str) -> Tensor:
    """``b`` as a tensor of the shape of ``a``, in the dtype that it brings with it."""
    if not isinstance(b, Tensor):
        b = as_tensor(b, common_dtype(name, a, b, bools=True), name)
    if b.shape == a.shape:
        return b
    layouts.expand(b.layout, a.shape, name)  # if it does not stretch, say who asked
    return Expand.apply(b, a.shape)


# --- As they are called ---------------------------------------------------------------------------


def add_(a: Tensor, b) -> Tensor:
    """``a += b``: adds ``b``, a tensor, array or number that stretches to the shape of ``a``.

    As all the operations here: returns ``a``, and keeps its dtype.  A leaf that requires a gradient
    can be changed only under :class:`mtlib.no_grad` (``RuntimeError``).  Raises ``ValueError``
    where ``b`` does not stretch, or where ``a`` itself is stretched or read-only.

    >>> import mtlib
    >>> x = mtlib.zeros(2, 3)
    >>> row = x[1]
    >>> row += 5
    >>> x
    tensor([[0., 0., 0.],
            [5., 5., 5.]])
    """
    return _change(Add_, a, b)


def sub_(a: Tensor, b) -> Tensor:
    """``a -= b``: subtracts ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> w = mtlib.tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> with mtlib.no_grad():
    ...     w -= 0.25 * w.grad
    >>> w
    tensor([0.5, 1. ], requires_grad=True)
    """
    return _change(Sub_, a, b)


def mul_(a: Tensor, b) -> Tensor:
    """``a *= b``: multiplies by ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> x = mtlib.arange(3)
    >>> x *= 2
    >>> x
    tensor([0., 2., 4.])
    """
    return _change(Mul_, a, b)


def div_(a: Tensor, b) -> Tensor:
    """``a /= b``: divides by ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> x = mtlib.arange(3)
    >>> x /= x.sum()
    >>> x
    tensor([0.    , 0.3333, 0.6667])
    """
    return _change(Div_, a, b)


def pow_(a: Tensor, b) -> Tensor:
    """``a **= b``: raises to the power ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> x = mtlib.arange(3)
    >>> x **= 2
    >>> x
    tensor([0., 1., 4.])
    """
    return _change(Pow_, a, b)


def logical_and_(a: Tensor, b) -> Tensor:
    """``a &= b`` for bools: where ``b``, a tensor, array or bool, is not true, ``a`` is not.

    >>> import mtlib
    >>> mask = mtlib.arange(3) > 0
    >>> mask &= mtlib.arange(3) < 2
    >>> mask
    tensor([False,  True, False])
    """
    return _change_bools(And_, a, b)


def logical_or_(a: Tensor, b) -> Tensor:
    """``a |= b`` for bools: where ``b``, a tensor, array or bool, is true, ``a`` is.

    >>> import mtlib
    >>> mask = mtlib.arange(3) < 1
    >>> mask |= mtlib.arange(3) > 1
    >>> mask
    tensor([ True, False,  True])
    """
    return _change_bools(Or_, a, b)


def logical_xor_(a: Tensor, b) -> Tensor:
    """``a ^= b`` for bools: where ``b``, a tensor, array or bool, is true, ``a`` is inverted.

    >>> import mtlib
    >>> mask = mtlib.arange(3) > 1
    >>> mask ^= True
    >>> mask
    tensor([ True,  True, False])
    """
    return _change_bools(Xor_, a, b)


def copy_(a: Tensor, b) -> Tensor:
    """Copies the elements of ``b``, a tensor, array or number that stretches to ``a``, into ``a``.

    >>> import mtlib
    >>> mtlib.zeros(2, 3).copy_(mtlib.arange(3))
    tensor([[0., 1., 2.],
            [0., 1., 2.]])
    """
    return _change(Copy_, a, b)


def fill_(a: Tensor, value: float) -> Tensor:
    """Sets every element to ``value``, a number or a tensor without dimensions.

    >>> import mtlib
    >>> mtlib.zeros(2).fill_(0.5)
    tensor([0.5, 0.5])
    """
    if (shape := getattr(value, "shape", ())) != ():
        raise ValueError(f"fill_: the value must be a single number, got shape {shape}")
    return _change(Fill_, a, value)


def zero_(a: Tensor) -> Tensor:
    """Sets every element to 0.

    >>> import mtlib
    >>> w = mtlib.ones(2, requires_grad=True)
    >>> w.sum().backward()
    >>> w.grad.zero_()
    tensor([0., 0.])
    """
    return _change(Zero_, a, 0)


def setitem(a: Tensor, key, value) -> None:
    """``a[key] = value`` for basic keys; ``value`` stretches to the shape of ``a[key]``.

    Not recorded for backward: where a gradient flows it is refused (``RuntimeError``).

    >>> import mtlib
    >>> x = mtlib.zeros(2, 3)
    >>> x[:, 1] = mtlib.tensor([1.0, 2.0])
    >>> x[0] += 10
    >>> x
    tensor([[10., 11., 10.],
            [ 0.,  2.,  0.]])
    """
    name = SetItem.name
    _check_writable(a, name)
    target = Tensor(a.storage, layouts.index(a.layout, key))
    same_memory = isinstance(value, Tensor) and value.storage is target.storage
    if same_memory and value.layout == target.layout:
        return  # the end of a[key] += b: what is put there is there already
    value = _fitted(value, target, name)
    if _flows(a, value):
        _check_not_leaf(a, name)
        raise RuntimeError(
            f"{name}: a change of part of a tensor, here of shape {a.shape}, is not recorded for "
            "backward; put the result together with where(), or do it under no_grad()"
        )
    SetItem.apply(target, value)

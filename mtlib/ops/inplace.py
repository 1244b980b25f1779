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

from collections.abc import Callable

import numpy as np

from mtlib import layout as layouts
from mtlib.autograd import Function
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.strided import elementwise
from mtlib.layout import contiguous
from mtlib.ops.elementwise import Zip
from mtlib.ops.operands import as_tensor, check_bools, common_dtype
from mtlib.ops.views import Expand
from mtlib.ops.zips import Add, And, Div, Mul, Or, Pow, Sub, Xor
from mtlib.runtime.memory import allocate
from mtlib.runtime.mode import thread
from mtlib.runtime.versions import clock
from mtlib.tensor import Tensor


class InPlace(Zip):
    """A zip that changes its first operand; mixed into another, which says how."""

    @staticmethod
    def forward(ctx, a, b):
        function = ctx.function
        if function.saves:
            _save_before(ctx, a, b)
        return _write(ctx, function.kernel.in_place, a, b)

    @classmethod
    def operation(cls) -> Callable[..., Tensor]:
        """What users call: it changes its first argument, and returns it."""

        def call(a: Tensor, b) -> Tensor:
            return _change(cls, a, b)

        return cls.public(call)


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
    if function.takes == "bools":
        check_bools(name, a, b)
    elif function.kind == "zip" and a.dtype.kind != "f":
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


# --- Zips in place --------------------------------------------------------------------------------


class Add_(InPlace, Add):
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

    name = "add_"


add_ = Add_.operation()


class Sub_(InPlace, Sub):
    """``a -= b``: subtracts ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> w = mtlib.tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> with mtlib.no_grad():
    ...     w -= 0.25 * w.grad
    >>> w
    tensor([0.5, 1. ], requires_grad=True)
    """

    name = "sub_"


sub_ = Sub_.operation()


class Mul_(InPlace, Mul):
    """``a *= b``: multiplies by ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> x = mtlib.arange(3)
    >>> x *= 2
    >>> x
    tensor([0., 2., 4.])
    """

    name = "mul_"


mul_ = Mul_.operation()


class Div_(InPlace, Div):
    """``a /= b``: divides by ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> x = mtlib.arange(3)
    >>> x /= x.sum()
    >>> x
    tensor([0.    , 0.3333, 0.6667])
    """

    name = "div_"


div_ = Div_.operation()


class Pow_(InPlace, Pow):
    """``a **= b``: raises to the power ``b``, a tensor, array or number that stretches to ``a``.

    >>> import mtlib
    >>> x = mtlib.arange(3)
    >>> x **= 2
    >>> x
    tensor([0., 1., 4.])
    """

    name = "pow_"


pow_ = Pow_.operation()


class And_(InPlace, And):
    """``a &= b`` for bools: where ``b``, a tensor, array or bool, is not true, ``a`` is not.

    >>> import mtlib
    >>> mask = mtlib.arange(3) > 0
    >>> mask &= mtlib.arange(3) < 2
    >>> mask
    tensor([False,  True, False])
    """

    name = "logical_and_"


logical_and_ = And_.operation()


class Or_(InPlace, Or):
    """``a |= b`` for bools: where ``b``, a tensor, array or bool, is true, ``a`` is.

    >>> import mtlib
    >>> mask = mtlib.arange(3) < 1
    >>> mask |= mtlib.arange(3) > 1
    >>> mask
    tensor([ True, False,  True])
    """

    name = "logical_or_"


logical_or_ = Or_.operation()


class Xor_(InPlace, Xor):
    """``a ^= b`` for bools: where ``b``, a tensor, array or bool, is true, ``a`` is inverted.

    >>> import mtlib
    >>> mask = mtlib.arange(3) > 1
    >>> mask ^= True
    >>> mask
    tensor([ True,  True, False])
    """

    name = "logical_xor_"


logical_xor_ = Xor_.operation()


# --- Overwriting ----------------------------------------------------------------------------------


class _Overwrite(InPlace):
    """a = b, element by element: nothing of what a was is left, and so it gets no gradient"""

    kind, kernel = "map", elementwise.second

    @staticmethod
    def backward(ctx, d):
        return None, d

    @staticmethod
    def traffic(ctx, inputs, output):
        return output.size, output.size  # what is overwritten is not loaded


class Copy_(_Overwrite):
    """Copies the elements of ``b``, a tensor, array or number that stretches to ``a``, into ``a``.

    >>> import mtlib
    >>> mtlib.zeros(2, 3).copy_(mtlib.arange(3))
    tensor([[0., 1., 2.],
            [0., 1., 2.]])
    """

    name = "copy_"


copy_ = Copy_.operation()


class Fill_(_Overwrite):
    """a = the number b"""

    name = "fill_"


def fill_(a: Tensor, value: float) -> Tensor:
    """Sets every element to ``value``, a number or a tensor without dimensions.

    >>> import mtlib
    >>> mtlib.zeros(2).fill_(0.5)
    tensor([0.5, 0.5])
    """
    if (shape := getattr(value, "shape", ())) != ():
        raise ValueError(f"fill_: the value must be a single number, got shape {shape}")
    return _change(Fill_, a, value)


class Zero_(_Overwrite):
    """a = 0"""

    name = "zero_"


def zero_(a: Tensor) -> Tensor:
    """Sets every element to 0.

    >>> import mtlib
    >>> w = mtlib.ones(2, requires_grad=True)
    >>> w.sum().backward()
    >>> w.grad.zero_()
    tensor([0., 0.])
    """
    return _change(Zero_, a, 0)


class SetItem(_Overwrite):
    """a[key] = b, for the view that a[key] is"""

    name = "setitem"


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

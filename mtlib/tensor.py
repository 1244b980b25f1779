"""Tensor: a strided view of a flat storage, with a gradient.

What can be done to a tensor lives in :mod:`mtlib.ops` and the modules above it, and is attached in
:mod:`mtlib.methods`; here is only what a tensor is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from mtlib.autograd import Differentiable
from mtlib.layout import Layout, Shape, contiguous, dense_like
from mtlib.runtime.memory import allocate
from mtlib.runtime.mode import thread

DIGITS = 4  # after the point, when shown
SHOWN_IN_FULL = 1000  # elements; a larger tensor is shown by its corners


BOOL = np.dtype(np.bool_)


def tensor_dtype(dtype, name: str) -> np.dtype:
    """The dtype to hold data of ``dtype``: float32, float64 and bool stay, integers become float64.

    >>> tensor_dtype("float32", "tensor"), tensor_dtype(bool, "tensor"), tensor_dtype(int, "tensor")
    (dtype('float32'), dtype('bool'), dtype('float64'))
    """
    try:
        dtype = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise TypeError(f"{name}: {dtype!r} is not a dtype; use float32 or float64") from None
    if dtype in (np.float32, np.float64, BOOL):
        return np.dtype(dtype.type)  # NumPy's one object for it, which is quick to compare
    if dtype.kind in "iu":
        return np.dtype(np.float64)
    raise TypeError(f"{name}: dtype {dtype} is not supported; use float32 or float64")


def float_dtype(dtype, name: str) -> np.dtype:
    """The same for what only floats can be: bools become float64 too.

    >>> float_dtype("float32", "rand"), float_dtype(bool, "rand")
    (dtype('float32'), dtype('float64'))
    """
    found = tensor_dtype(dtype, name)
    return np.dtype(np.float64) if found == BOOL else found


class Tensor(Differentiable):
    """A strided view of a flat storage.

    Made by :func:`mtlib.tensor`, :func:`mtlib.from_numpy` and the other makers, not by calling the
    class.

    >>> import mtlib
    >>> t = mtlib.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> t.shape, t.strides, t.T.strides, str(t.dtype)
    ((2, 2), (2, 1), (1, 2), 'float64')
    """

    __slots__ = ("__weakref__", "layout", "storage")
    __array_priority__ = 1000  # ndarray * Tensor asks the Tensor
    _brings_dtype = True  # into what it is an operand of, as a number does not

    def __init__(self, storage: np.ndarray, layout: Layout, requires_grad: bool = False) -> None:
        self._requires_grad = requires_grad
        self._grad = self.grad_fn = None
        self.storage = storage
        self.layout = layout

    @classmethod
    def empty(cls, shape: Shape, dtype, name: str, zero: bool = False) -> Tensor:
        """A new contiguous tensor for the result of ``name``, its elements undefined."""
        return cls(allocate(shape, dtype, name, "result", zero), contiguous(shape))

    @property
    def shape(self) -> Shape:
        """Size of each dimension.

        >>> import mtlib
        >>> mtlib.zeros(2, 4, 3).shape
        (2, 4, 3)
        """
        return self.layout.shape

    @property
    def strides(self) -> Shape:
        """How far apart neighbours lie in each dimension, in elements.

        >>> import mtlib
        >>> mtlib.zeros(2, 4, 3).strides
        (12, 3, 1)
        """
        return self.layout.strides

    @property
    def dtype(self) -> np.dtype:
        """float32, float64 or bool, as a NumPy dtype.

        >>> import mtlib
        >>> mtlib.zeros(2, dtype="float32").dtype
        dtype('float32')
        """
        return self.storage.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions.

        >>> import mtlib
        >>> mtlib.zeros(2, 4, 3).ndim
        3
        """
        return len(self.layout.shape)

    @property
    def size(self) -> int:
        """Number of elements.

        >>> import mtlib
        >>> mtlib.zeros(2, 4, 3).size
        24
        """
        return self.layout.size

    @property
    def nbytes(self) -> int:
        """Bytes that the elements would take if each had its own place.

        >>> import mtlib
        >>> mtlib.zeros(2, 4, 3).nbytes
        192
        """
        return self.size * self.dtype.itemsize

    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in the storage in row-major order.

        >>> import mtlib
        >>> mtlib.zeros(2, 3).is_contiguous(), mtlib.zeros(2, 3).T.is_contiguous()
        (True, False)
        """
        return self.layout.is_contiguous()

    def numpy(self) -> np.ndarray:
        """A NumPy array that shares this tensor's memory.

        Writing to it changes the tensor behind autograd's back: do not change one that an
        operation has saved for backward.

        >>> import mtlib
        >>> t = mtlib.zeros(3)
        >>> t.numpy()[1] = 5
        >>> t
        tensor([0., 5., 0.])
        """
        if thread.mode.reader is not None:
            thread.mode.reader.look(self)
        shape, strides, offset = self.layout
        storage = self.storage
        if 0 in shape:
            return np.ndarray(shape, storage.dtype)
        itemsize = storage.itemsize
        byte_strides = [s * itemsize for s in strides]
        return np.ndarray(shape, storage.dtype, storage, offset * itemsize, byte_strides)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_wrap__(self, array, context=None, return_scalar: bool = False):
        """What NumPy's ``exp(x)`` makes of the values of x: an array, unless that loses a gradient.

        The operators do not come here: ``array * x`` is the tensor's own product.
        """
        function, inputs = context[:2] if context else (None, (self,))
        _check_no_gradient_lost(getattr(function, "__name__", None), inputs, array)
        return array[()] if return_scalar else array

    def __array_function__(self, function, types, args, kwargs):
        """The other functions of NumPy, such as ``np.where``: as if they did not know of tensors.

        Those that ask an argument for a method of their name, such as ``np.sum``, find the
        tensor's.
        """
        result = getattr(function, "_implementation", function)(*args, **kwargs)
        if function not in _OF_NO_VALUES:
            _check_no_gradient_lost(function.__name__, (args, kwargs), result)
        return result

    def item(self) -> float | bool:
        """The value of a tensor of one element, as a Python number.

        >>> import mtlib
        >>> mtlib.tensor([[2.5]]).item()
        2.5
        """
        if self.size != 1:
            raise ValueError(f"item: a tensor of shape {self.shape} has {self.size} elements")
        return self.numpy().item()

    def tolist(self):
        """The values as (nested lists of) Python numbers.

        >>> import mtlib
        >>> mtlib.arange(4).view(2, 2).tolist()
        [[0.0, 1.0], [2.0, 3.0]]
        """
        return self.numpy().tolist()

    def detach(self) -> Tensor:
        """The same memory without history: a leaf that requires no gradient.

        >>> import mtlib
        >>> x = mtlib.ones(2, requires_grad=True)
        >>> (x * 2).requires_grad, (x * 2).detach().requires_grad
        (True, False)
        """
        return Tensor(self.storage, self.layout)

    def is_shared(self) -> bool:
        """Whether anything but this tensor holds its memory: another tensor, or an array."""
        # Counted are this tensor's own reference and the argument of the call itself.
        return not self.storage.flags.owndata or sys.getrefcount(self.storage) > 2

    def owned(self, copy: bool = False) -> Tensor:
        """Without history and contiguous, in a storage of its own size; copies only if it must."""
        if not copy and self.is_contiguous() and self.storage.size == self.size:
            return self.detach()
        result = Tensor.empty(self.shape, self.dtype, "copy")
        result.numpy()[...] = self.numpy()
        return result

    def _seed(self, gradient) -> Tensor:
        if gradient is None:
            if self.size != 1:
                raise ValueError(
                    f"backward: a tensor of shape {self.shape} needs a gradient of that shape; "
                    "only one of a single element may leave it out"
                )
            seed = Tensor.empty(self.shape, self.dtype, "seed")
            seed.storage[...] = 1
            return seed
        if not isinstance(gradient, Tensor):
            kind = type(gradient).__name__
            raise TypeError(f"backward: the gradient must be a tensor, got {kind}")
        if gradient.shape != self.shape:
            raise ValueError(
                f"backward: gradient of shape {gradient.shape} for a tensor of shape {self.shape}"
            )
        return gradient.to(self.dtype).detach()

    def __repr__(self) -> str:
        values = self.numpy()
        if self.dtype != BOOL and self.size <= SHOWN_IN_FULL:
            # What would show as 0 is 0: the sign of a rounding error differs between machines.
            values = np.where(np.abs(values) < 0.5 * 10.0**-DIGITS, 0, values)
        text = np.array2string(
            values,
            max_line_width=88,
            precision=DIGITS,
            suppress_small=True,
            separator=", ",
            prefix="tensor(",
            threshold=SHOWN_IN_FULL,
            edgeitems=3,
            floatmode="maxprec",
            sign="-",
            formatter={},
        )
        if self.size == 0:
            text += f", shape={self.shape}"
        if self.dtype == np.float32 or (self.dtype == BOOL and self.size == 0):
            text += f", dtype={self.dtype}"
        if self.grad_fn is not None:
            text += f", grad_fn={self.grad_fn}"
        elif self.requires_grad:
            text += ", requires_grad=True"
        return f"tensor({text})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a scalar tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        """Along the first dimension: ``len(t)`` views."""
        if not self.shape:
            raise TypeError("iteration: a scalar tensor has no dimension to go along")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"bool: a tensor of shape {self.shape} is neither true nor false")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, spec: str) -> str:
        """A format such as ``.3f`` is for the value of a single element."""
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self):
        """Pickled and copied as a leaf, with its gradient and without its history."""
        made = (self.storage, self.layout, self.requires_grad)
        return type(self), made, (None, {"grad": self.grad})


def empty_like(x: Tensor, name: str) -> Tensor:
    """A new tensor for the result of ``name``, its elements undefined, that lies as ``x`` does.

    >>> import mtlib
    >>> empty_like(mtlib.zeros(2, 3).T, "example").strides
    (1, 3)
    """
    return Tensor(allocate(x.shape, x.dtype, name), dense_like(x.layout))


_OF_NO_VALUES = (np.empty_like, np.full_like, np.ones_like, np.zeros_like)  # they ask for a shape


def _check_no_gradient_lost(name: str | None, inputs, result) -> None:
    """Refuse numbers that NumPy's ``name`` made of tensors through which a gradient should flow.

    A comparison, a count or a shape has no gradient to lose.
    """
    if not thread.mode.grad_enabled or not _any(_is_of_floats, result):
        return
    if _any(lambda x: isinstance(x, Tensor) and x.requires_grad, inputs):
        what, own = f"np.{name}" if name else "NumPy", name and hasattr(Tensor, name)
        raise RuntimeError(  # NumPy takes a TypeError for a signature of old, and calls again
            f"{what}: an array carries no gradient, and one of the tensors requires one; use "
            f"{f'x.{name}()' if own else 'operations of mtlib'}, or x.detach() for the values alone"
        )


def _is_of_floats(x) -> bool:
    return isinstance(x, (np.ndarray, np.inexact)) and x.dtype.kind in "fc"


def _any(holds, x) -> bool:
    """Whether it ``holds`` for ``x`` or for anything in it."""
    if isinstance(x, (tuple, list)):
        return any(_any(holds, part) for part in x)
    if isinstance(x, dict):
        return _any(holds, tuple(x.values()))
    return holds(x)

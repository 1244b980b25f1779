"""Making tensors: from data, from a shape, from chance."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable

import numpy as np

from mtlib.layout import as_shape
from mtlib.runtime.memory import flattened
from mtlib.runtime.mode import thread
from mtlib.tensor import BOOL, Tensor, float_dtype, tensor_dtype

BLOCK = 1 << 16  # elements that arange makes at a time


def tensor(data, *, dtype=None, requires_grad: bool = False) -> Tensor:
    """A new tensor holding a copy of ``data``: numbers, nested lists, an array or a tensor.

    Floats and bools in arrays keep their dtype, Python's bools become bool, and integers and other
    numbers float64, unless ``dtype`` says otherwise.  Raises ``TypeError`` for data that are not
    real numbers and ``ValueError`` for ragged lists.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(data, Tensor):
        data = data.numpy()
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError("tensor: the nested lists are ragged: their lengths differ") from None
    found = tensor_dtype(array.dtype, "tensor")
    wanted = found if dtype is None else tensor_dtype(dtype, "tensor")
    result = Tensor.empty(array.shape, wanted, "tensor")
    result.numpy()[...] = array
    result.requires_grad = requires_grad
    return result


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of ``array`` and keeps its strides.

    Only for float32, float64 and bool (``TypeError`` otherwise): other data would have to be
    copied, which :func:`tensor` does.  Writing to ``array`` changes the tensor behind autograd's
    back: do not change one that an operation has saved for backward.

    >>> import numpy as np
    >>> array = np.zeros((2, 3))
    >>> t = from_numpy(array[:, ::-1])
    >>> array[0, 2] = 7
    >>> t, t.strides
    (tensor([[7., 0., 0.],
            [0., 0., 0.]]), (3, -1))
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}")
    if array.dtype not in (np.float32, np.float64, BOOL) or not array.dtype.isnative:
        raise TypeError(
            f"from_numpy: dtype {array.dtype} cannot be shared, only float32, float64 and bool; "
            "tensor() makes a copy"
        )
    if any(s % array.itemsize for s in array.strides) or not array.flags.aligned:
        raise ValueError(
            f"from_numpy: strides of {array.strides} bytes are not whole {array.dtype} elements; "
            "tensor() makes a copy"
        )
    return Tensor(*flattened(array))


def _new(shape, dtype, name: str, requires_grad: bool) -> Tensor:
    result = Tensor.empty(as_shape(shape, name), tensor_dtype(dtype or np.float64, name), name)
    result.requires_grad = requires_grad
    return result


def _drawn_later(make: Callable, shape, dtype, requires_grad: bool) -> Tensor:
    """For a program that is being read, the numbers that ``make`` draws whenever it runs."""
    name = make.__name__
    dtype = float_dtype(dtype or np.float64, name)
    return thread.mode.reader.draw(make, as_shape(shape, name), dtype, requires_grad)


def zeros(*shape, dtype=None, requires_grad: bool = False) -> Tensor:
    """Zeros of ``shape``, float64 unless ``dtype`` says otherwise.

    >>> zeros(2, 3).shape, zeros((2, 3)).shape
    ((2, 3), (2, 3))
    """
    result = _new(shape, dtype, "zeros", requires_grad)
    result.storage[...] = 0
    return result


def ones(*shape, dtype=None, requires_grad: bool = False) -> Tensor:
    """Ones of ``shape``.

    >>> ones(3, dtype="float32")
    tensor([1., 1., 1.], dtype=float32)
    """
    result = _new(shape, dtype, "ones", requires_grad)
    result.storage[...] = 1
    return result


def full(shape, fill_value: float, *, dtype=None, requires_grad: bool = False) -> Tensor:
    """``fill_value`` everywhere; of a bool, a bool tensor unless ``dtype`` says otherwise.

    >>> full((2, 2), 0.5)
    tensor([[0.5, 0.5],
            [0.5, 0.5]])
    """
    if not isinstance(fill_value, numbers.Real):
        kind = type(fill_value).__name__
        raise TypeError(f"full: the value to fill with must be a real number, got {kind}")
    dtype = BOOL if dtype is None and isinstance(fill_value, bool) else dtype
    result = _new((shape,), dtype, "full", requires_grad)
    result.storage[...] = fill_value
    return result


def arange(*bounds, dtype=None, requires_grad: bool = False) -> Tensor:
    """Evenly spaced numbers: ``arange(stop)``, ``arange(start, stop)`` or with a step.

    >>> arange(3), arange(1, 2, 0.25)
    (tensor([0., 1., 2.]), tensor([1.  , 1.25, 1.5 , 1.75]))
    """
    if not 1 <= len(bounds) <= 3 or not all(isinstance(x, numbers.Real) for x in bounds):
        raise TypeError(f"arange: expected (start,) stop (, step) as real numbers, got {bounds}")
    if len(bounds) == 3 and bounds[2] == 0:
        raise ValueError("arange: the step is 0")
    start, stop, step = {1: (0, *bounds, 1), 2: (*bounds, 1), 3: bounds}[len(bounds)]
    try:
        length = max(0, math.ceil((stop - start) / step))
    except (OverflowError, ValueError):
        raise ValueError(f"arange: {bounds} has no finite number of steps") from None
    result = _new((length,), float_dtype(dtype or np.float64, "arange"), "arange", requires_grad)
    for first in range(0, length, BLOCK):  # so that no second array of this length is made
        block = result.storage[first : first + BLOCK]
        block[...] = start + step * np.arange(first, first + len(block), dtype=np.float64)
    return result


def rand(*shape, dtype=None, requires_grad: bool = False, seed: int | None = None) -> Tensor:
    """Uniform in [0, 1); the same numbers for the same ``seed``.

    >>> rand(2, seed=0).tolist() == rand(2, seed=0).tolist()
    True
    """
    if seed is None and thread.mode.reader is not None:
        return _drawn_later(rand, shape, dtype, requires_grad)
    result = _new(shape, float_dtype(dtype or np.float64, "rand"), "rand", requires_grad)
    np.random.default_rng(seed).random(out=result.storage, dtype=result.dtype)
    return result


def randn(*shape, dtype=None, requires_grad: bool = False, seed: int | None = None) -> Tensor:
    """Normally distributed with mean 0 and variance 1; the same numbers for the same ``seed``.

    >>> randn(2, 3, seed=0).shape
    (2, 3)
    """
    if seed is None and thread.mode.reader is not None:
        return _drawn_later(randn, shape, dtype, requires_grad)
    result = _new(shape, float_dtype(dtype or np.float64, "randn"), "randn", requires_grad)
    np.random.default_rng(seed).standard_normal(out=result.storage, dtype=result.dtype)
    return result

"""The operations that a tensor has as methods and operators.

They stand on floors above :mod:`mtlib.tensor`, which therefore cannot name them; here they are hung
on the class.  Operations on elements hang where their ``symbol`` says: ``+`` is ``__add__`` and
``__radd__``, and that of an operation in place ``__iadd__``; without one they are methods.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from functools import partial

import numpy as np

from mtlib import fused
from mtlib.ops import inplace, maps, reductions, views, zips
from mtlib.ops.elementwise import OPERATIONS, Elementwise
from mtlib.tensor import Tensor

Tensor.view = views.view
Tensor.reshape = views.reshape
Tensor.permute = views.permute
Tensor.transpose = views.transpose
Tensor.T = property(views.reversed_dims)
Tensor.squeeze = views.squeeze
Tensor.unsqueeze = views.unsqueeze
Tensor.expand = views.expand
Tensor.broadcast_to = views.broadcast_to
Tensor.contiguous = views.contiguous
Tensor.__getitem__ = views.index
Tensor.__setitem__ = inplace.setitem

Tensor.sum = reductions.sum
Tensor.mean = reductions.mean
Tensor.max = reductions.max
Tensor.min = reductions.min
Tensor.prod = reductions.prod
Tensor.var = reductions.var

Tensor.to = maps.to
Tensor.matmul = fused.matmul
Tensor.fill_ = inplace.fill_
Tensor.zero_ = inplace.zero_

_OPERANDS = (Tensor, np.ndarray, np.generic, numbers.Real)
# What Python calls them.
UNARY = {"-": "neg", "~": "invert"}
BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "**": "pow"}
BINARY |= {"&": "and", "|": "or", "^": "xor"}


def _operator(operation: Callable) -> tuple[Callable, Callable]:
    """``a ∘ b`` and, for when the tensor stands on the right, ``b ∘ a``.

    What is neither tensor, array nor number is left to the other operand, as Python asks.
    """

    def left(a, b):
        return operation(a, b) if isinstance(b, _OPERANDS) else NotImplemented

    def right(a, b):
        return operation(b, a) if isinstance(b, _OPERANDS) else NotImplemented

    return left, right


def _hang(function: type[Elementwise], operation: Callable) -> None:
    """``operation``, that ``function`` does, on the class."""
    in_place, symbol = issubclass(function, inplace.InPlace), function.symbol
    if in_place or not symbol:
        setattr(Tensor, function.name, operation)
    if symbol and function.kind == "map":
        setattr(Tensor, f"__{UNARY[symbol]}__", operation)
    elif symbol:
        left, right = _operator(operation)
        word = BINARY[symbol]
        setattr(Tensor, f"__i{word}__" if in_place else f"__{word}__", left)
        if not in_place:
            setattr(Tensor, f"__r{word}__", right)


for _function, _operation in OPERATIONS.items():
    _hang(_function, _operation)

Tensor.__matmul__, Tensor.__rmatmul__ = _operator(fused.matmul)
# A tensor on the right of a comparison is asked the mirrored question, so no second form is needed.
for _name in zips.COMPARISONS:
    setattr(Tensor, f"__{_name}__", _operator(partial(zips.compare, name=_name))[0])

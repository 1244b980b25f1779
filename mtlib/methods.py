"""The operations that a tensor has as methods and operators, in one list.

They stand in rooms above :mod:`mtlib.tensor`, which therefore cannot name them; here they are hung
on the class.
"""

from __future__ import annotations

import numbers
from functools import partial

import numpy as np

from mtlib import fused
from mtlib.ops import inplace, maps, reductions, views, zips
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

Tensor.to = maps.to
Tensor.exp = maps.exp
Tensor.log = maps.log
Tensor.sqrt = maps.sqrt
Tensor.relu = maps.relu
Tensor.sigmoid = maps.sigmoid
Tensor.tanh = maps.tanh
Tensor.gelu = maps.gelu
Tensor.maximum = zips.maximum
Tensor.minimum = zips.minimum

Tensor.sum = reductions.sum
Tensor.mean = reductions.mean
Tensor.max = reductions.max
Tensor.min = reductions.min
Tensor.prod = reductions.prod
Tensor.var = reductions.var

Tensor.matmul = fused.matmul

Tensor.add_ = inplace.add_
Tensor.sub_ = inplace.sub_
Tensor.mul_ = inplace.mul_
Tensor.div_ = inplace.div_
Tensor.pow_ = inplace.pow_
Tensor.copy_ = inplace.copy_
Tensor.fill_ = inplace.fill_
Tensor.zero_ = inplace.zero_


def _operator(operation):
    """``a ∘ b`` and, for when the tensor stands on the right, ``b ∘ a``.

    What is neither tensor, array nor number is left to the other operand, as Python asks.
    """

    def left(a, b):
        return operation(a, b) if isinstance(b, _OPERANDS) else NotImplemented

    def right(a, b):
        return operation(b, a) if isinstance(b, _OPERANDS) else NotImplemented

    return left, right


_OPERANDS = (Tensor, np.ndarray, np.generic, numbers.Real)

Tensor.__neg__ = maps.neg
Tensor.__invert__ = maps.logical_not
Tensor.__add__, Tensor.__radd__ = _operator(zips.add)
Tensor.__sub__, Tensor.__rsub__ = _operator(zips.sub)
Tensor.__mul__, Tensor.__rmul__ = _operator(zips.mul)
Tensor.__truediv__, Tensor.__rtruediv__ = _operator(zips.div)
Tensor.__pow__, Tensor.__rpow__ = _operator(zips.pow)
Tensor.__and__, Tensor.__rand__ = _operator(zips.logical_and)
Tensor.__or__, Tensor.__ror__ = _operator(zips.logical_or)
Tensor.__xor__, Tensor.__rxor__ = _operator(zips.logical_xor)
Tensor.__matmul__, Tensor.__rmatmul__ = _operator(fused.matmul)
# A tensor on the right of a comparison is asked the mirrored question, so no second form is needed.
Tensor.__eq__, _ = _operator(partial(zips.compare, name="eq"))
Tensor.__ne__, _ = _operator(partial(zips.compare, name="ne"))
Tensor.__lt__, _ = _operator(partial(zips.compare, name="lt"))
Tensor.__le__, _ = _operator(partial(zips.compare, name="le"))
Tensor.__gt__, _ = _operator(partial(zips.compare, name="gt"))
Tensor.__ge__, _ = _operator(partial(zips.compare, name="ge"))

Tensor.__iadd__, _ = _operator(inplace.add_)
Tensor.__isub__, _ = _operator(inplace.sub_)
Tensor.__imul__, _ = _operator(inplace.mul_)
Tensor.__itruediv__, _ = _operator(inplace.div_)
Tensor.__ipow__, _ = _operator(inplace.pow_)
Tensor.__iand__, _ = _operator(inplace.logical_and_)
Tensor.__ior__, _ = _operator(inplace.logical_or_)
Tensor.__ixor__, _ = _operator(inplace.logical_xor_)

"""What operations on elements share: maps of one operand, zips of two (or three).

An operation says what is its own, and the rest follows from it::

    class Exp(Map):
        \"""y = eᵃ, and so is dy/da.  (Here follows an example.)\"""

        name, kernel, saves = "exp", map_kernel(transcendental.exp, costly=True), "result"

        @staticmethod
        def backward(ctx, d):
            (y,) = ctx.saved_tensors
            return d * y


    exp = Exp.operation()

What follows: its forward, the function that users call, with this docstring, the method or operator
of tensors (:mod:`mtlib.methods`), and how ``fuse`` writes it in a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from mtlib.autograd import Function
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.strided.elementwise import ElementKernel, PowerKernel
from mtlib.ops.operands import operands
from mtlib.runtime.memory import allocate
from mtlib.tensor import BOOL, Tensor

Operand: TypeAlias = Tensor | np.ndarray | np.generic | float
OPERATIONS: dict[type[Function], Callable] = {}  # what users call, by the Function behind it


def run(kernel, name: str, *operands: Tensor, dtype: np.dtype | None = None) -> Tensor:
    """A new tensor filled by ``kernel`` from operands of one shape; of the last's dtype if None."""
    layout, table, size = plans.elementwise(*[x.layout for x in operands])
    out = Tensor(allocate(layout.shape, dtype or operands[-1].storage.dtype, name), layout)
    if size:
        kernel(out.storage, *[x.storage for x in operands], table, work=size)
    return out


class Elementwise(Function):
    """An operation that runs its ``kernel`` on operands of one shape and dtype.

    ``saves`` is what backward needs: "operands", "result" or nothing.  ``symbol`` is its operator
    in Python, if it has one.  It ``takes`` "numbers", among which bools count as 0 and 1; "bools"
    alone; or "both", and then :meth:`of_bools` says what it means of bools.
    """

    kernel: ElementKernel | PowerKernel
    saves = ""
    symbol = ""
    takes = "numbers"

    @staticmethod
    def forward(ctx, *operands):
        function = ctx.function
        out = run(function.kernel, function.name, *operands)
        if function.saves == "operands":
            ctx.save_for_backward(*operands)
        elif function.saves == "result":
            ctx.save_for_backward(out)
        return out

    @classmethod
    def of_bools(cls, *operands: Tensor) -> Tensor:
        """What it gives if all operands are bools, for one that takes both."""
        return cls.apply(*operands)

    @classmethod
    def public(cls, call: Callable) -> Callable:
        """``call``, named and described as this Function is."""
        call.__name__ = call.__qualname__ = cls.name
        call.__module__, call.__doc__ = cls.__module__, cls.__doc__
        OPERATIONS[cls] = call
        return call


class Map(Elementwise):
    """An operation on each element by itself."""

    kind = "map"

    @classmethod
    def operation(cls) -> Callable[[Operand], Tensor]:
        """What users call: it makes a tensor of what it is given, and applies this Function."""

        def call(a) -> Tensor:
            if isinstance(a, Tensor) and a.storage.dtype != BOOL and cls.takes != "bools":
                return cls.apply(a)  # as most are: then nothing is to be done
            (a,) = operands(cls.name, a, takes=cls.takes)
            return (cls.of_bools if a.storage.dtype == BOOL else cls.apply)(a)

        return cls.public(call)


class Zip(Elementwise):
    """An operation on the elements that meet at one place of its operands.

    They are broadcast first.  That is a view operation of its own
    (:class:`mtlib.ops.views.Expand`), with a backward of its own, so derivatives of zips take their
    operands to be of one shape.
    """

    kind = "zip"

    @classmethod
    def operation(cls) -> Callable[[Operand, Operand], Tensor]:
        """What users call: it makes operands of what it is given, and applies this Function."""

        def call(a, b) -> Tensor:
            a, b = operands(cls.name, a, b, takes=cls.takes)
            return (cls.of_bools if a.storage.dtype == BOOL else cls.apply)(a, b)

        return cls.public(call)

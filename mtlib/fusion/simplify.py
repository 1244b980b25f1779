"""Making the operations of a graph: each once, and none where a simpler one gives the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mtlib.autograd import Function
from mtlib.fusion.graph import Op
from mtlib.fusion.primitives import VIEWS
from mtlib.layout import Layout, dense_like
from mtlib.make import full
from mtlib.ops.views import Scatter
from mtlib.ops.zips import Compare
from mtlib.runtime.mode import treated
from mtlib.tensor import Tensor


class Builder:
    """Makes operations after ``given`` inputs; the same one if the same was made before."""

    def __init__(self, given: int) -> None:
        self.given = given
        self.ops: dict[tuple, Op] = {}

    def op(self, kind, name, operands, layout: Layout, dtype, attribute=None) -> Op:
        """An operation as it is."""
        told = id(attribute) if isinstance(attribute, Tensor) else repr(attribute)
        key = kind, name, operands, layout, dtype, told
        if key not in self.ops:
            index = len(self.ops) + self.given
            self.ops[key] = Op(kind, name, operands, layout, np.dtype(dtype), attribute, index)
        return self.ops[key]

    def primitive(
        self, function: type[Function], operands: tuple[Op, ...], rest: tuple, output: Tensor
    ) -> Op:
        """What ``function`` makes of ``operands`` and ``rest``, or a simpler one that is the same.

        ``output`` has the layout and the dtype that the function gave it.
        """
        kind = "scatter" if function is Scatter else function.kind
        name = rest[0] if function is Compare else function.name
        attribute = rest[0] if kind == "reduce" else rest
        layout, dtype = output.layout, output.dtype
        scalars = [op.scalar for op in operands]
        if kind == "view" and scalars[0] is not None:
            return self.op("constant", "constant", (), layout, dtype, scalars[0])
        if kind in ("map", "zip") and None not in scalars:
            tensors = [full((), n, dtype=x.dtype) for n, x in zip(scalars, operands, strict=True)]
            with treated(reader=None, grad_enabled=False):
                number = function.apply(*tensors, *rest).item()
            return self.op("constant", "constant", (), layout, dtype, number)
        if kind == "view" and layout == operands[0].layout:
            return operands[0]
        if name == "where" and scalars[0] is not None:
            chosen = operands[1 if scalars[0] else 2]
            if chosen.layout == layout:
                return chosen
        if name in ("mul", "div", "pow") and scalars[1] == 1 and operands[0].layout == layout:
            return operands[0]
        if name == "mul" and scalars[0] == 1 and operands[1].layout == layout:
            return operands[1]
        if name == "pow" and scalars[1] == 2:
            kind, name, operands = "zip", "mul", (operands[0], operands[0])
        return self.op(kind, name, operands, layout, dtype, attribute)

    def outputs(self, inputs: Iterable, results: Sequence) -> tuple[Op, ...]:
        """The operations of ``results``, with copies of what would share memory by mistake.

        What is computed twice is one operation, and ``x * 1`` is x.  As long as the program goes on
        that is right; but whoever gets two results may write to one of them.  So each has memory of
        its own where it would have it step by step: where its symbol has a ``storage`` of its own.
        """
        owners = {x.op: x.storage for x in inputs}
        copies: dict[tuple, Op] = {}
        index = len(self.ops) + self.given

        def copied(op: Op, storage) -> Op:
            """``op`` on a copy of what lies in ``storage``."""
            if op.kind == "view" and op is not storage.op:
                operand = copied(op.operands[0], storage)
                layout = VIEWS[op.name](operand.layout, *op.attribute)
                return replace(op, operands=(operand,), layout=layout)
            if (op, storage) not in copies:
                layout = dense_like(op.layout)
                copy = Op("map", "copy", (op,), layout, op.dtype, (), index + len(copies))
                copies[op, storage] = copy
            return copies[op, storage]

        ops = []
        for x in results:
            place = x.op.base
            kept = place.kind == "constant" and place.scalar is None  # from one call to the next
            shared = owners.setdefault(place, x.storage) is not x.storage
            ops.append(copied(x.op, x.storage) if kept or shared else x.op)
        return tuple(ops)

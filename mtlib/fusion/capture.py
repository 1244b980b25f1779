"""Reading a program: running it on symbols, which have shapes and no values.

Every operation of mtlib goes through ``Function.apply``, so that is where a program is read.  The
forward of an operation runs without arrays, which tells its layout and what it saves; then a node
is written down.  As backward is made of operations too, following a symbol's gradient reads the
backward program in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mtlib.autograd import Function, run_forward
from mtlib.fused.products import MatMul
from mtlib.fusion.graph import Node
from mtlib.fusion.primitives import PRIMITIVES
from mtlib.fusion.results import apart
from mtlib.fusion.rewriting import APART
from mtlib.layout import contiguous
from mtlib.make import full
from mtlib.mode import thread, treated
from mtlib.ops.views import Scatter
from mtlib.ops.zips import Compare
from mtlib.tensor import Tensor
from mtlib.trace import Trace, trace

# Operations that keep a kernel of their own; the shape of each one's result.
CALLS = {MatMul: lambda a, b: (*a.shape[:-1], b.shape[-1])}


@dataclass(frozen=True, eq=False)
class Nowhere:
    """The storage of a symbol: there is none, so no kernel can be given it by mistake.

    It is what ``node`` made, and views of that, would share.
    """

    node: Node

    @property
    def dtype(self) -> np.dtype:
        return self.node.dtype


class Symbol(Tensor):
    """A tensor of a program that is being read: the shape of one, and the node that makes it."""

    __slots__ = ("node",)

    def __init__(self, node: Node, requires_grad: bool = False, storage=None) -> None:
        super().__init__(storage or Nowhere(node), node.layout, requires_grad)
        self.node = node

    def detach(self) -> Symbol:
        return Symbol(self.node, storage=self.storage)

    def is_shared(self) -> bool:
        return False

    def owned(self, copy: bool = False) -> Symbol:
        return self.detach()

    def numpy(self):
        raise TypeError(
            f"fuse: the program asks for the values of a tensor of shape {self.shape} while it is "
            "read; only shapes are known then, so nothing may depend on values"
        )

    def __repr__(self) -> str:
        return f"symbol({self.node.name}, shape={self.shape})"


@dataclass(frozen=True)
class Program:
    """What was read: what goes in, what comes out, and how gradients flow back.

    ``seeds`` has the gradient that flows into each output, and ``gradients`` for each output those
    that flow out to the inputs; None where none does.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    seeds: tuple[Node | None, ...]
    gradients: tuple[tuple[Node | None, ...], ...]
    single: bool  # whether the function returns a tensor, and not several


def read(call: Callable, tensors: dict[str, Tensor]) -> Program:
    """The program that ``call`` runs for ``tensors``, which it gets as a dict, by name."""
    enabled = thread.mode.grad_enabled
    symbols = {
        name: Symbol(Node("input", name, (), x.layout, x.dtype), enabled and x.requires_grad)
        for name, x in tensors.items()
    }
    with treated(traces=(), reading=True), trace() as made:
        reader = _Reader(made, len(symbols))
        with treated(reader=reader.apply):
            result = call(symbols)
            single = isinstance(result, Tensor)
            results = [reader.symbol(x) for x in _several(result)]
            flows = [_flow(x, number, symbols.values()) for number, x in enumerate(results)]
    return Program(
        tuple(x.node for x in symbols.values()),
        apart(symbols.values(), results, len(reader.nodes) + reader.given),
        tuple(seed for seed, _ in flows),
        tuple(gradients for _, gradients in flows),
        single,
    )


def _several(result) -> Sequence[Tensor]:
    """The tensors that a program returns, of which there may be one."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, (tuple, list)) and all(isinstance(x, Tensor) for x in result):
        return result
    kind = type(result).__name__
    raise TypeError(f"fuse: the program must return a tensor or several, got {kind}")


def _flow(output: Symbol, number: int, inputs: Iterable[Symbol]):
    """(seed, gradients): what flows into ``output``, and what of it flows out to each input."""
    if not output.requires_grad:
        return None, ()
    seed = Node("input", f"d{number or ''}", (), contiguous(output.shape), output.dtype)
    output.backward(Symbol(seed), retain_graph=True)
    gradients = tuple(getattr(x.grad, "node", None) for x in inputs)
    for x in inputs:
        x.grad = None
    return seed, gradients


class _Reader:
    """Writes a node for each Function that is applied.

    ``made`` is the page on which all that the program makes by itself is entered.
    """

    def __init__(self, made: Trace, given: int) -> None:
        self.made = made
        self.given = given  # so many nodes there are already: the inputs
        self.nodes: dict[tuple, Node] = {}

    def apply(self, function: type[Function], arguments):
        """What stands in for ``function.apply(*arguments)``."""
        if function in APART:
            return APART[function](*arguments)
        arguments = [self.symbol(x) if isinstance(x, Tensor) else x for x in arguments]
        if function in CALLS:
            return function.apply_by(partial(self._call, function), arguments)
        if function in PRIMITIVES:
            return function.apply_by(partial(self._primitive, function), arguments)
        # Written by a reader from other operations, which are then read one by one.
        return function.apply_by(run_forward, arguments)

    def symbol(self, x: Tensor) -> Symbol:
        """``x``, or if it is a tensor that the program made of numbers, a constant."""
        if isinstance(x, Symbol):
            return x
        if not self.made.holds(x.storage):
            raise ValueError(
                f"fuse: the program uses a tensor of shape {x.shape} that is not among its "
                "arguments; pass it as one, so that its values can change from call to call"
            )
        how = x.item() if x.size == 1 else x
        return Symbol(self._node("constant", "constant", (), x.layout, x.dtype, how))

    def _node(self, kind, name, args, layout, dtype, how=None) -> Node:
        """A node; the same one if the same was written before."""
        key = (kind, name, args, layout, dtype, id(how) if isinstance(how, Tensor) else repr(how))
        if key not in self.nodes:
            number = len(self.nodes) + self.given
            self.nodes[key] = Node(kind, name, args, layout, np.dtype(dtype), how, number)
        return self.nodes[key]

    def _call(self, function, ctx, arguments):
        ctx.save_for_backward(*arguments)
        layout = contiguous(CALLS[function](*arguments))
        args = tuple(x.node for x in arguments)
        return Symbol(
            self._node("call", function.name, args, layout, arguments[-1].dtype, function)
        )

    def _primitive(self, function, ctx, arguments):
        nodes = tuple(x.node for x in arguments if isinstance(x, Symbol))
        rest = tuple(x for x in arguments if not isinstance(x, Symbol))
        with treated(rehearsing=True):
            output = function.forward(ctx, *arguments)
        storage = arguments[0].storage if function.kind == "view" else None
        symbol = Symbol(self._simplest(function, nodes, rest, output), storage=storage)
        # Where forward saved its result, that is this symbol.
        ctx._saved = ctx._saved and tuple(
            symbol if type(x) is Tensor and x.storage is output.storage else x for x in ctx._saved
        )
        return symbol

    def _simplest(self, function, nodes, rest, output: Tensor) -> Node:
        """The node for what a primitive gave, or a simpler one that gives the same."""
        kind = "scatter" if function is Scatter else function.kind
        name = rest[0] if function is Compare else function.name
        how = rest[0] if kind == "reduce" else rest
        layout, dtype = output.layout, output.dtype
        values = [node.value for node in nodes]
        if kind == "view" and values[0] is not None:
            return self._node("constant", "constant", (), layout, dtype, values[0])
        if kind in ("map", "zip") and None not in values:
            operands = [full((), v, dtype=x.dtype) for v, x in zip(values, nodes, strict=True)]
            with treated(reader=None, grad_enabled=False):
                value = function.apply(*operands, *rest).item()
            return self._node("constant", "constant", (), layout, dtype, value)
        if kind == "view" and layout == nodes[0].layout:
            return nodes[0]
        if name == "where" and values[0] is not None:
            chosen = nodes[1 if values[0] else 2]
            if chosen.layout == layout:
                return chosen
        if name in ("mul", "div", "pow") and values[1] == 1 and nodes[0].layout == layout:
            return nodes[0]
        if name == "mul" and values[0] == 1 and nodes[1].layout == layout:
            return nodes[1]
        if name == "pow" and values[1] == 2:
            kind, name, nodes = "zip", "mul", (nodes[0], nodes[0])
        return self._node(kind, name, nodes, layout, dtype, how)

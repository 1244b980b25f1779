"""Capturing a program: running it on symbols, which have shapes and no values.

Every operation of mtlib goes through ``Function.apply``, so that is where a program is recorded.
The forward of an operation runs without arrays, which tells its layout and what it saves; then it
is written down as an :class:`~mtlib.fusion.graph.Op`.  As backward is made of operations too,
following a symbol's gradient captures the backward program in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mtlib.autograd import Function, run_forward
from mtlib.checks import Integers
from mtlib.fused.matmul import MatMul
from mtlib.fusion.arguments import Arguments, labelled
from mtlib.fusion.graph import Op
from mtlib.fusion.primitives import PRIMITIVES
from mtlib.fusion.simplify import Builder
from mtlib.layout import Shape, contiguous
from mtlib.ops.maps import Neg
from mtlib.ops.zips import Add, Maximum, Minimum, Mul, Pow, Sub, Where
from mtlib.runtime.ledger import Trace, trace
from mtlib.runtime.mode import thread, treated
from mtlib.tensor import Tensor

# Functions that stay calls of their kernel, as no loop nest that is written here would be as fast;
# and the shape of each one's result.
CALLS = {MatMul: lambda a, b: (*a.shape[:-1], b.shape[-1])}
# Of integers NumPy computes these in their own dtype.
WRAPPING = frozenset({Neg, Add, Sub, Mul, Pow})
# What of arrays too only functions of mtlib compute, and give tensors.
NOT_OF_NUMPY = frozenset({Where, Maximum, Minimum})


class ValuesWanted(TypeError):
    """The values of a symbol were asked for, and it has none."""


@dataclass(frozen=True, eq=False)
class Nowhere:
    """The storage of a symbol: there is none, so no kernel can be given it by mistake.

    It is what the result of ``op``, and views of that, would share.
    """

    op: Op

    @property
    def dtype(self) -> np.dtype:
        return self.op.dtype

    def __getattr__(self, name: str):
        raise ValuesWanted(
            f"fuse: the program looks into the storage of a tensor of shape {self.op.shape} "
            "while it is read; only shapes are known then, so nothing may depend on values"
        )

    def __getitem__(self, key):
        return self.__getattr__("values")


class Symbol(Tensor):
    """A tensor of a program that is being read: its shape, and the operation that makes it."""

    __slots__ = ("_brings_dtype", "op")

    def __init__(self, op: Op, requires_grad: bool = False, storage=None) -> None:
        super().__init__(storage or Nowhere(op), op.layout, requires_grad)
        self.op = op
        self._brings_dtype = True

    @property
    def grad(self) -> Tensor | None:
        self._refuse_in_program("asks for .grad")
        return Tensor.grad.__get__(self)

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if hasattr(self, "op"):  # and is not just being made
            self._refuse_in_program("sets .grad")
        Tensor.grad.__set__(self, gradient)

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._refuse_in_program("sets .requires_grad")

    def backward(self, gradient=None, retain_graph: bool = False) -> None:
        self._refuse_in_program("calls backward()")
        super().backward(gradient, retain_graph)

    def _refuse_in_program(self, what: str) -> None:
        if thread.mode.phase == "forward":
            raise TypeError(
                f"fuse: the program {what} while it is read; gradients belong outside, with what "
                "the fused function gets and returns"
            )

    def detach(self) -> Symbol:
        return Symbol(self.op, storage=self.storage)

    def is_shared(self) -> bool:
        return False

    def owned(self, copy: bool = False) -> Symbol:
        return self.detach()

    def numpy(self):
        raise ValuesWanted(
            f"fuse: the program asks for the values of a tensor of shape {self.shape} while it is "
            "read; only shapes are known then, so nothing may depend on values"
        )

    def __repr__(self) -> str:
        return f"symbol({self.op.name}, shape={self.shape})"


class ArraySymbol(Symbol):
    """An array of integers or bools that is an argument, or what NumPy makes of such arrays.

    To an operation it is a tensor, of floats in the place of integers; and where NumPy means
    something else, it says so.
    """

    __slots__ = ("array",)  # the dtype of an argument

    def transpose(self, *dims) -> Symbol:
        return self.permute(*(dims or reversed(range(self.ndim))))

    def var(self, *args, **kwargs):
        raise TypeError(
            "fuse: var of an array divides by the number of elements, and that of a tensor by one "
            "less; pass a tensor"
        )

    def __matmul__(self, other):
        if isinstance(other, ArraySymbol):
            raise TypeError("fuse: a product of two arrays is NumPy's own; pass one as a tensor")
        return super().__matmul__(other)


class IntegerSymbol(ArraySymbol, Integers):
    """An array of integers that is an argument, or a view of one."""

    __slots__ = ()

    def check(self, test: Callable, *told) -> None:
        thread.mode.reader.checks[self.op, test, told] = None


@dataclass(frozen=True, eq=False, repr=False)
class Drawn:
    """Random numbers, drawn anew whenever the program runs: to a graph a call without operands.

    Each is itself: two draws are not one.
    """

    make: Callable
    shape: Shape
    dtype: np.dtype

    def apply(self) -> Tensor:
        return self.make(self.shape, dtype=self.dtype)

    @staticmethod
    def traffic(ctx, inputs, output) -> tuple[int, int]:
        return 0, output.size


@dataclass(frozen=True)
class Program:
    """What was captured: what goes in, what comes out, and how gradients flow back.

    ``seeds`` has the gradient that flows into each output, and ``gradients`` for each output those
    that flow out to the inputs; None where none does.  ``checks`` are what the values of arrays of
    integers have to pass whenever it runs: (the array or a view of it, a function that raises, what
    that is told beside the values).
    """

    inputs: tuple[Op, ...]
    outputs: tuple[Op, ...]
    seeds: tuple[Op | None, ...]
    gradients: tuple[tuple[Op | None, ...], ...]
    kind: type  # what the function returns: a tensor, or several in a tuple or a list
    checks: tuple[tuple[Op, Callable, tuple], ...]


def capture(fn: Callable, arguments: Arguments) -> Program:
    """The program that ``fn`` runs for ``arguments``, with symbols in the places of tensors."""
    tensors, arrays, symbols = arguments.tensors, arguments.arrays, {}
    enabled, labels = thread.mode.grad_enabled, labelled(list(tensors))
    for place, x in tensors.items():
        op = Op("input", labels[place], (), x.layout, x.dtype)
        if place in arrays:
            symbols[place] = (ArraySymbol if arrays[place].kind == "b" else IntegerSymbol)(op)
            symbols[place].array = arrays[place]
        else:
            symbols[place] = Symbol(op, enabled and x.requires_grad)
    with treated(traces=(), reading=True, phase="forward"), trace() as made:
        reader = _Reader(made, len(symbols))
        with treated(reader=reader):
            bound = arguments.with_tensors(symbols)
            result = fn(*bound.args, **bound.kwargs)
            results = [reader.symbol(x) for x in _several(result)]
            flows = [_flow(x, number, symbols.values()) for number, x in enumerate(results)]
    return Program(
        tuple(x.op for x in symbols.values()),
        reader.builder.outputs(symbols.values(), results),
        tuple(seed for seed, _ in flows),
        tuple(gradients for _, gradients in flows),
        type(result),
        tuple(reader.checks),
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
    seed = Op("input", f"d{number or ''}", (), contiguous(output.shape), output.dtype)
    with treated(phase="backward"):
        output.backward(Symbol(seed), retain_graph=True)
        gradients = tuple(getattr(x.grad, "op", None) for x in inputs)
        for x in inputs:
            x.grad = None
    return seed, gradients


class _Reader:
    """Stands in for the Functions that are applied, and writes down an operation for each.

    ``made`` is the page on which all that the program makes by itself is entered, and ``checks``
    has what is to be checked whenever the program runs.
    """

    def __init__(self, made: Trace, given: int) -> None:
        self.made = made
        self.builder = Builder(given)
        self.checks: dict[tuple[Op, Callable, tuple], None] = {}
        self.constants: dict[tuple, Tensor] = {}  # by what they hold
        self.storages: dict[int, tuple[np.ndarray, Nowhere]] = {}  # of tensors it made, by id

    def __call__(self, function: type[Function], arguments):
        """What stands in for ``function.apply(*arguments)``."""
        if function.decompose is not None:
            return function.decompose(*arguments)
        arguments = [self.symbol(x) if isinstance(x, Tensor) else x for x in arguments]
        if function in CALLS:
            return function.apply_by(partial(self._call, function), arguments)
        if function in PRIMITIVES:
            return function.apply_by(partial(self._primitive, function), arguments)
        try:  # a Function of somebody's own: the operations it is made of are read one by one
            return function.apply_by(run_forward, arguments)
        except ValuesWanted:
            who = function.__name__
            raise TypeError(
                f"fuse: {who}.forward computes with values, and while a program is read there are "
                f"none; write it from operations of mtlib, or give {who} a decompose that does"
            ) from None

    def symbol(self, x: Tensor) -> Symbol:
        """``x``, or if it is a tensor that the program made of numbers, a constant."""
        if isinstance(x, Symbol):
            return x
        self.look(x)
        if x.requires_grad:
            self._refuse_gradient(x.shape)
        if x.size == 1:
            value = x.item()
        else:  # as it is now: its memory can be written to before it is used again
            values = x.layout, x.dtype, x.storage.tobytes()
            if values not in self.constants:
                self.constants[values] = Tensor(x.storage.copy(), x.layout)
            value = self.constants[values]
        op = self.builder.op("constant", "constant", (), x.layout, x.dtype, value)
        _, nowhere = self.storages.setdefault(id(x.storage), (x.storage, Nowhere(op)))
        return Symbol(op, storage=nowhere)

    def look(self, x: Tensor) -> None:
        """Refuse to look at the values of ``x`` unless the program made it."""
        if not self.made.holds(x.storage):
            raise ValueError(
                f"fuse: the program uses a tensor of shape {x.shape} that is not among its "
                "arguments; pass it as one, so that its values can change from call to call"
            )

    def draw(self, make: Callable, shape: Shape, dtype: np.dtype, requires_grad: bool) -> Symbol:
        """A symbol for what ``make`` will draw."""
        if requires_grad:
            self._refuse_gradient(shape)
        op = self.builder.op(
            "call", make.__name__, (), contiguous(shape), dtype, Drawn(make, shape, dtype)
        )
        return Symbol(op)

    def _refuse_gradient(self, shape: Shape) -> None:
        raise ValueError(
            f"fuse: the program makes a tensor of shape {shape} that requires a gradient, which "
            "would arrive nowhere; make it outside, and pass it"
        )

    def _call(self, function, ctx, arguments):
        ctx.save_for_backward(*arguments)
        layout = contiguous(CALLS[function](*arguments))
        operands, dtype = tuple(x.op for x in arguments), arguments[-1].dtype
        return Symbol(self.builder.op("call", function.name, operands, layout, dtype, function))

    def _primitive(self, function, ctx, arguments):
        _check_integers(function, arguments)
        operands = tuple(x.op for x in arguments if isinstance(x, Symbol))
        rest = tuple(x for x in arguments if not isinstance(x, Symbol))
        with treated(rehearsing=True):
            output = function.forward(ctx, *arguments)
        storage = arguments[0].storage if function.kind == "view" else None
        kind = _kind(function, arguments)
        symbol = kind(self.builder.primitive(function, operands, rest, output), storage=storage)
        if kind is not Symbol:
            symbol.array = arguments[0].array if kind is IntegerSymbol else output.dtype
            symbol._brings_dtype = symbol.ndim > 0  # to NumPy it is a number
        # Where forward saved its result, that is this symbol.
        ctx._saved = ctx._saved and tuple(
            symbol if type(x) is Tensor and x.storage is output.storage else x for x in ctx._saved
        )
        return symbol


def _kind(function: type[Function], arguments) -> type[Symbol]:
    """What symbol a primitive gives: one for an array, if NumPy would have computed it."""
    symbols = [x for x in arguments if isinstance(x, Symbol)]
    arrays = [x for x in symbols if isinstance(x, ArraySymbol)]
    if not arrays or function in NOT_OF_NUMPY:
        return Symbol
    if not all(isinstance(x, ArraySymbol) or x.op.scalar is not None for x in symbols):
        return Symbol
    return type(arguments[0]) if function.kind == "view" else ArraySymbol


def _check_integers(function: type[Function], arguments) -> None:
    """Refuse what NumPy would compute in fewer bits, and then take for another number."""
    if function not in WRAPPING:
        return
    symbols = [x for x in arguments if isinstance(x, Symbol)]
    short = [x for x in symbols if isinstance(x, IntegerSymbol) and x.array != np.int64]
    if short and all(isinstance(x, IntegerSymbol) or x.op.scalar is not None for x in symbols):
        raise TypeError(
            f"fuse: {function.name} of an array of {short[0].array} with no tensor beside it "
            "may leave the range of that dtype; pass the array as int64"
        )

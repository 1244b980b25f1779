"""fuse: a function of tensors that runs as a few kernels, forward and backward."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from math import prod

from mtlib.fusion.arguments import Arguments, classified, is_name
from mtlib.fusion.capture import capture
from mtlib.fusion.compile import CompiledGraph, CompiledProgram, compile_program
from mtlib.fusion.execute import Executable
from mtlib.fusion.graph import Graph, Op
from mtlib.fusion.grouping import Call
from mtlib.fusion.guards import Guard, Snapshot
from mtlib.fusion.primitives import RESERVED, namespace
from mtlib.fusion.schedule import Schedule
from mtlib.runtime.mode import thread

PROGRAMS = 64  # that a function keeps; of more, those are let go that were not used for longest


def fuse(fn: Callable) -> Fused:
    """``fn``, fused: the same results and gradients from as few kernels as it takes.

    ``fn``, a function or a method, takes tensors, each by itself, arrays of integers or bools such
    as labels and masks, and beside them numbers, strings, tuples and the like; it returns a tensor
    or several.  The first call with tensors of new shapes and strides reads the program that ``fn``
    runs, without running it, and compiles it.  So what ``fn`` does may depend on shapes and never
    on values, and tensors and arrays that it uses must be among its arguments (``TypeError`` and
    ``ValueError`` otherwise).

    Numbers, flags and the like can also come from globals, closures and attributes: after a change
    ``fn`` is read again, as it is for another number among its arguments.  (What changes at every
    call is better a tensor without dimensions.)  The 64 programs that were used last are kept.
    Random numbers are drawn at each call, unless they have a ``seed``.  What ``fn`` finds out in
    other ways, from a file, the environment, an iterator, the clock or ``eval``, is what it was
    when it was read, and so are arrays that it makes.

    ``@`` stays a call of its fast kernel.  :func:`mtlib.naive.matmul` is a zip and a reduce like
    any other, and becomes one loop nest, in both directions.

    Source: the steps are those of TorchInductor (Ansel et al., "PyTorch 2", ASPLOS 2024) in small.

    >>> import mtlib
    >>> @mtlib.fuse
    ... def softmax(x):
    ...     e = (x - x.max(1, keepdim=True)).exp()
    ...     return e / e.sum(1, keepdim=True)
    >>> softmax(mtlib.zeros(2, 4))
    tensor([[0.25, 0.25, 0.25, 0.25],
            [0.25, 0.25, 0.25, 0.25]])
    >>> print(softmax.source)
    def softmax(x, div7, ni, nj):
        for i in each(ni):
            max1 = -inf
            for j in range(nj):
                max1 = fold_maximum(max1, x[i, j])
            sum5 = 0.0
            for j in range(nj):
                sum5 = fold_add(sum5, exp(x[i, j] - max1))
            for j in range(nj):
                div7[i, j] = exp(x[i, j] - max1) / sum5
    """
    if not callable(fn):
        raise TypeError(f"fuse: expected a function, got {type(fn).__name__}")
    return Fused(fn)


class Fused:
    """What :func:`fuse` returns: a callable that shows what became of the function.

    ``graph``, ``schedule`` and ``source`` are those of the arguments of the last call, and raise
    ``RuntimeError`` before the first.
    """

    def __init__(self, fn: Callable) -> None:
        functools.update_wrapper(self, fn)
        self._signature = inspect.signature(fn)
        self._guard = Guard(fn)
        self._programs: OrderedDict[tuple, Executable] = OrderedDict()
        self._last: Executable | None = None

    def __call__(self, /, *args, **kwargs):
        """What the function returns for these arguments."""
        if thread.mode.reader is not None:  # part of a larger program that is being read
            return self.__wrapped__(*args, **kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = classified(bound)
        return self._program(arguments).run(list(arguments.tensors.values()))

    def _program(self, arguments: Arguments) -> Executable:
        """The program for ``arguments``, which is read unless it is one of those that are kept."""
        seen = self._guard.snapshot(arguments.others)
        key = thread.mode.grad_enabled, arguments.key, seen.state
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._capture(arguments, seen)
            if len(self._programs) > PROGRAMS:
                self._programs.popitem(last=False)
        elif program is not self._last:
            with contextlib.suppress(KeyError):  # another thread has just let it go
                self._programs.move_to_end(key)  # the last to be let go
        self._last = program
        return program

    def _capture(self, arguments: Arguments, seen: Snapshot) -> Executable:
        fn, drawn = self.__wrapped__, seen.drawn()
        program = capture(fn, arguments)
        if seen.drawn() != drawn:
            raise ValueError(
                "fuse: the program draws random numbers of NumPy or Python while it is read, and "
                "would keep them; use mtlib.rand or mtlib.randn, which draw at each call"
            )
        return Executable(compile_program(program, _title(fn)))

    def __get__(self, instance, owner=None):
        """A fused function in a class is a method."""
        return self if instance is None else types.MethodType(self, instance)

    def __copy__(self) -> Fused:
        return self  # as functions do

    def __deepcopy__(self, memo) -> Fused:
        return self

    def __reduce__(self):
        """Pickled by name where a decorator put it in the place of its function, and else as what
        fuse makes of the function, which then has its name."""
        found = sys.modules.get(self.__module__)
        name = getattr(self, "__qualname__", "")
        for part in name.split("."):
            found = getattr(found, part, None)
        return name if found is self else (fuse, (self.__wrapped__,))

    def __repr__(self) -> str:
        return f"fuse({_title(self.__wrapped__)})"

    @property
    def graph(self) -> Graph:
        """What is computed from what; print it.

        >>> import mtlib
        >>> double = mtlib.fuse(lambda x: x + x)
        >>> _ = double(mtlib.ones(3))
        >>> print(double.graph)
        x     (3,)  input
        add1  (3,)  zip x, x
        return add1
        """
        return self._latest().forward.graph

    @property
    def schedule(self) -> Schedule:
        """Which operations became one kernel, and what lies in memory between them; print it.

        >>> import mtlib
        >>> double = mtlib.fuse(lambda x: (x + x).exp())
        >>> _ = double(mtlib.ones(3))
        >>> print(double.schedule)
        1. kernel: x -> exp2, with add1 fused in
        """
        return self._latest().forward.schedule

    @property
    def source(self) -> str:
        """The kernels as Python, forward and then backward.

        >>> import mtlib
        >>> scale = mtlib.fuse(lambda x, y: x * y)
        >>> _ = scale(mtlib.ones(4, 3), mtlib.ones(4, 1))
        >>> print(scale.source)
        def fused(x, y, mul3, ni, nj):
            for i in each(ni):
                y_i = y[i]
                for j in range(nj):
                    mul3[i, j] = x[i, j] * y_i
        """
        graphs = self._latest().forward, *self.backward
        return "\n\n\n".join(graph.source for graph in graphs if graph.source)

    @property
    def backward(self) -> tuple[CompiledGraph, ...]:
        """For each output that has a gradient, its own graph, schedule and source.

        >>> import mtlib
        >>> double = mtlib.fuse(lambda x: x * 2)
        >>> _ = double(mtlib.ones(3, requires_grad=True))
        >>> print(double.backward[0].schedule)
        1. kernel: d -> mul4
        """
        return tuple(graph for graph in self._latest().backward if graph is not None)

    def explain(self) -> str:
        """What was fused, what was not and why, and what that saves; print it.

        >>> import mtlib
        >>> double = mtlib.fuse(lambda x: (x + x).exp())
        >>> _ = double(mtlib.ones(3))
        >>> print(double.explain())
        fused, for x (3,) float64
        step by step: 2 operations, 9 elements read, 6 written, 24 bytes made on the way
        fused: 1 kernel, 3 elements read, 3 written, 0 bytes made on the way
        1. kernel: x -> exp2, with add1 fused in
           exp2 is stored: it is a result
        """
        return explained(self._latest())

    def _latest(self) -> CompiledProgram:
        if self._last is None:
            raise RuntimeError(
                f"fuse: call {_title(self.__wrapped__)} once first; what it becomes depends on the "
                "shapes of its arguments"
            )
        return self._last.compiled


def _title(fn: Callable) -> str:
    """A name for the kernels of ``fn``."""
    name = getattr(fn, "__name__", "")
    if name in RESERVED or name in namespace(range):
        return f"{name}_"
    return name if is_name(name) else "fused"


# --- Saying in words what fusing a program did ----------------------------------------------------


def explained(compiled: CompiledProgram) -> str:
    """What was fused in ``compiled``, what was not and why, and what that saves."""
    forward = compiled.forward
    given = ", ".join(f"{op.label} {op.shape} {op.dtype}" for op in forward.graph.inputs)
    lines = [f"{compiled.name}, for {given}", *_explained(forward, compiled.program.outputs)]
    for kept, backward in zip(compiled.kept, compiled.backward, strict=True):
        if backward is not None:
            names = ", ".join(op.label for op in kept) or "nothing"
            size = sum(_nbytes(op) for op in kept)
            flowing = backward.graph.inputs[-1]
            lines += [f"backward from {flowing.label}, for which {names} is kept ({size:,} bytes)"]
            lines += _explained(backward, backward.graph.outputs)
    return "\n".join(lines)


def _explained(compiled: CompiledGraph, results: tuple[Op, ...]) -> list[str]:
    graph, steps, sources = compiled.graph, compiled.schedule.steps, compiled.sources
    operations = [op for op in graph.ops if _computes(op, graph)]
    reads = sum(_reads(op) for op in operations)
    writes = sum(prod(op.shape) for op in operations)
    wanted = {op.base for op in results}
    waste = sum(_nbytes(op) for op in operations if op not in wanted)
    calls = [step.op for step in steps if isinstance(step, Call)]
    fused_reads = sum(source.reads for source in sources) + sum(map(_reads, calls))
    fused_writes = sum(source.writes for source in sources) + sum(prod(op.shape) for op in calls)
    stored = {op for step in steps for op in (step.defs if isinstance(step, Call) else step.stored)}
    left = sum(_nbytes(op) for op in stored - {op.base for op in graph.outputs})
    lines = [
        f"step by step: {_count(len(operations), 'operation')}, {reads:,} elements read, "
        f"{writes:,} written, {waste:,} bytes made on the way",
        f"fused: {_count(len(sources), 'kernel')}"
        + (f" and {_count(len(calls), 'call')}" if calls else "")
        + f", {fused_reads:,} elements read, {fused_writes:,} written, "
        f"{left:,} bytes made on the way",
    ]
    described = str(compiled.schedule).splitlines()
    for line, step in zip(described, steps, strict=True):
        lines.append(line)
        if not isinstance(step, Call):
            for op in graph.ops:
                if op in step.stored:
                    reason = compiled.schedule.reasons.get(op, "another kernel uses it")
                    lines.append(f"   {op.label} is stored: {reason}")
    return lines


def _computes(op: Op, graph: Graph) -> bool:
    given = op in graph.inputs or op.kind in ("view", "constant")
    return not given


def _reads(op: Op) -> int:
    """Elements that the operation loads by itself."""
    if op.kind == "call":
        return op.attribute.traffic(None, [x.layout for x in op.operands], op.layout)[0]
    return sum(prod(x.shape) for x in op.operands)


def _nbytes(op: Op) -> int:
    return prod(op.shape) * op.dtype.itemsize


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"

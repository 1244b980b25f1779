"""Running a program: making arrays, calling kernels, letting go of what is no longer needed.

And joining the results to autograd's graph, so that backward runs in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtlib.autograd import Function, run_forward
from mtlib.fusion.compile import (
    CompiledGraph,
    CompiledProgram,
    Launch,
    Place,
    compile_graph,
    kernel,
)
from mtlib.fusion.graph import Op
from mtlib.fusion.primitives import VIEWS
from mtlib.fusion.statements import NeedsStorage
from mtlib.kernels import jit
from mtlib.layout import Layout
from mtlib.runtime.ledger import Recording, record_saved
from mtlib.runtime.memory import allocate
from mtlib.runtime.mode import no_grad, thread
from mtlib.tensor import Tensor

Memory = dict[Op, Tensor]  # what lies there


class Executable:
    """``compiled``, with a Function for each output that stands for it in autograd's graph."""

    def __init__(self, compiled: CompiledProgram) -> None:
        self.compiled = compiled
        self.functions = [
            graph and output_function(compiled.name, graph, gradients)
            for graph, gradients in zip(compiled.backward, compiled.program.gradients, strict=True)
        ]

    def run(self, inputs: Sequence[Tensor]):
        """The results for ``inputs``, joined to autograd's graph."""
        compiled, program = self.compiled, self.compiled.program
        given = dict(zip(program.inputs, inputs, strict=True))
        for op, test, told in program.checks:
            test(seen(given, op).numpy(), *told)
        with no_grad():
            results = run_graph(compiled.forward, [x.detach() for x in inputs])
        known = dict(zip(compiled.forward.graph.outputs, results, strict=True)) | given
        outputs = []
        for op, kept, function in zip(program.outputs, compiled.kept, self.functions, strict=True):
            output = known[op].detach()
            if function is not None:
                saved = [known[x] for x in kept]
                output = function.apply_by(run_forward, (output, saved, *inputs))
                record_saved([x.storage for x in saved])
            outputs.append(output)
        kind = program.kind
        if issubclass(kind, Tensor):
            return outputs[0]
        return outputs if kind is list else getattr(kind, "_make", tuple)(outputs)  # also by name


class Output(Function):
    """An output of a program that has run already: its place in autograd's graph.

    A subclass has the ``graph`` of its backward, for a contiguous gradient, and in ``gradients``
    that of each input.
    """

    graph: CompiledGraph
    others: dict[Layout, CompiledGraph | None]  # for gradients that are laid out otherwise
    gradients: tuple[Op | None, ...]

    @staticmethod
    def forward(ctx, output, saved, *inputs):
        ctx.save_for_backward(*saved)
        return output

    @staticmethod
    def backward(ctx, d):
        function = ctx.function
        graph = function.graph_for(d.layout)
        if graph is None:
            graph, d = function.graph, d.contiguous()
        results = run_graph(graph, [*ctx.saved_tensors, d])
        found = dict(zip(function.graph.graph.outputs, results, strict=True))
        return None, None, *(found.get(op) for op in function.gradients)

    @classmethod
    def graph_for(cls, layout: Layout) -> CompiledGraph | None:
        """What to run for a gradient of ``layout``; None if it has to be copied first."""
        first = cls.graph
        seed = first.graph.inputs[-1]
        if layout == seed.layout:
            return first
        if layout not in cls.others:
            try:
                cls.others[layout] = compile_graph(first.graph.with_input(seed, layout), first.name)
            except NeedsStorage:
                cls.others[layout] = None
        return cls.others[layout]


def output_function(
    name: str, graph: CompiledGraph, gradients: tuple[Op | None, ...]
) -> type[Output]:
    """A Function that is called ``name``, with ``graph`` for its backward."""
    members = {"name": name, "graph": graph, "others": {}, "gradients": gradients}
    return type(name, (Output,), members)


def run_graph(compiled: CompiledGraph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs for ``inputs``, which are laid out as the graph's."""
    memory: Memory = compiled.given | dict(zip(compiled.graph.inputs, inputs, strict=True))
    for step, freed in zip(compiled.steps, compiled.freed, strict=True):
        if not isinstance(step, Launch):
            arguments = [seen(memory, x) for x in step.op.operands]
            memory[step.op] = step.op.attribute.apply(*arguments)
        elif thread.mode.traces:
            _recorded(step, memory)
        else:
            _launched(step, memory)
        for op in freed:
            memory.pop(op, None)
    return [seen(memory, op) for op in compiled.graph.outputs]


def _recorded(launch: Launch, memory: Memory) -> None:
    source = launch.source
    inputs = [memory[op] for op in launch.uses]
    with Recording(source.name, "fused", inputs) as recording:
        _launched(launch, memory)
        outputs = [memory[op] for op in launch.stores]
        recording.finish(outputs, [], (source.reads, source.writes))


def _launched(launch: Launch, memory: Memory) -> None:
    """Make room for what the kernel stores, and call it."""
    source = launch.source
    for op in launch.stores:
        zero = op.kind == "scatter"
        memory[op] = Tensor(allocate(op.layout.shape, op.dtype, source.name, zero=zero), op.layout)
    threads = jit.threads_for(launch.work) if launch.parallel else 1
    parts = () if source.parts is None else (max(threads, source.parts),)
    totals = [allocate(parts, dtype, source.name, role="workspace") for dtype in source.totals]
    arrays = [_array(place, memory[place.op].storage) for place in launch.places]
    kernel(source.name, source.text).run(threads, *arrays, *totals, *source.sizes, *parts)


def _array(place: Place, storage: np.ndarray) -> np.ndarray:
    """The part of ``storage`` that a kernel gets."""
    if place.empty:
        return np.empty(place.sizes, storage.dtype)
    if place.end < storage.size:
        return np.ndarray(place.sizes, storage.dtype, storage, place.start, place.steps)
    return np.lib.stride_tricks.as_strided(storage[place.offset :], place.sizes, place.steps)


def seen(memory: Memory, op: Op) -> Tensor:
    """The tensor that ``op`` is: in memory, or a view of what is."""
    views = []
    while op.kind == "view":
        views.append(op)
        op = op.operands[0]
    x = memory[op]
    layout = x.layout
    for view in reversed(views):
        layout = VIEWS[view.name](layout, *view.attribute)
    return Tensor(x.storage, layout)

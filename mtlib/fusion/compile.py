"""Compiling: a graph goes through every stage, and what a call will need is worked out before.

Of a program that is the graph of its results and, for each of them, that of its gradients.  What
backward needs of forward is chosen as a compiler would (after Chen et al., "Training Deep Nets with
Sublinear Memory Cost", 2016): inputs and totals are kept, elementwise results are computed again,
since they are cheap to compute and large to keep.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from inspect import isfunction

import numba
import numpy as np

from mtlib.fusion.capture import Program
from mtlib.fusion.codegen import Array, Source, write
from mtlib.fusion.graph import Graph, Op
from mtlib.fusion.grouping import Call, Step
from mtlib.fusion.loops import LoopNests, loop_nests
from mtlib.fusion.primitives import namespace
from mtlib.fusion.schedule import Schedule, schedule
from mtlib.kernels import jit
from mtlib.layout import Shape
from mtlib.tensor import Tensor


@dataclass(eq=False)
class CompiledProgram:
    """Graphs that are ready to run: ``forward``, and ``backward`` for each output with a gradient.

    ``kept`` has for each output what its backward keeps of forward, inputs included.
    """

    program: Program
    name: str
    forward: CompiledGraph
    backward: tuple[CompiledGraph | None, ...]
    kept: tuple[tuple[Op, ...], ...]


def compile_program(program: Program, name: str) -> CompiledProgram:
    """``program``, with kernels that are called after ``name``."""
    places = range(len(program.outputs))
    kept = tuple(kept_for_backward(program, i) for i in places)
    only_kept = dict.fromkeys(op for ops in kept for op in ops)
    only_kept = [op for op in only_kept if op not in (*program.inputs, *program.outputs)]
    forward = Graph(program.inputs, (*program.outputs, *only_kept))
    backward = [
        Graph((*kept[i], program.seeds[i]), tuple(x for x in program.gradients[i] if x is not None))
        if program.seeds[i]
        else None
        for i in places
    ]
    return CompiledProgram(
        program,
        name,
        compile_graph(forward, name, only_kept),
        tuple(graph and compile_graph(graph, f"{name}_backward") for graph in backward),
        kept,
    )


def kept_for_backward(program: Program, i: int) -> tuple[Op, ...]:
    """What the gradient of output ``i`` is worked out from, beside the gradient that flows in."""
    seed = program.seeds[i]
    if seed is None:
        return ()
    forward = set(Graph(program.inputs, program.outputs).ops)
    results = {op.base for op in program.outputs}
    kept: dict[Op, None] = {}
    seen = {seed}
    waiting = [op for op in program.gradients[i] if op is not None]
    while waiting:
        op = waiting.pop()
        if op in seen:
            continue
        seen.add(op)
        costly = op.kind in ("reduce", "call", "scatter") or op in results
        if op in program.inputs or (costly and op in forward):
            kept[op] = None
        else:
            waiting += op.operands
    return tuple(kept)


@dataclass(eq=False, repr=False)
class CompiledGraph:
    """A graph that is ready to run: what to do, step by step, and what to let go of after each.

    ``given`` are its constants, which lie in memory already.
    """

    graph: Graph
    name: str
    schedule: Schedule
    steps: tuple[Launch | Call, ...]
    freed: tuple[list[Op], ...]
    given: dict[Op, Tensor]

    def __repr__(self) -> str:
        steps = "1 step" if len(self.steps) == 1 else f"{len(self.steps)} steps"
        return f"<{self.name}: {steps}; it has a graph, a schedule and a source>"

    @property
    def sources(self) -> list[Source]:
        """Those of its kernels."""
        return [step.source for step in self.steps if isinstance(step, Launch)]

    @property
    def source(self) -> str:
        """The text of its kernels."""
        return "\n\n\n".join(source.text for source in self.sources)


def compile_graph(graph: Graph, name: str, kept: Collection[Op] = ()) -> CompiledGraph:
    """``graph``, from its schedule by way of loops to source; ``kept`` are outputs for backward.

    Raises ``NeedsStorage`` as :func:`~mtlib.fusion.schedule.schedule` does.
    """
    scheduled = schedule(graph, kept)
    # From here on a step is a call, or the loops of a kernel.
    steps = [step if isinstance(step, Call) else loop_nests(step) for step in scheduled.steps]
    several = sum(isinstance(step, LoopNests) for step in steps) > 1
    launches = [
        _launch(step, write(step, f"{name}_{number}" if several else name), graph)
        if isinstance(step, LoopNests)
        else step
        for number, step in enumerate(steps, 1)
    ]
    # The groups as loops have left them: interchanged, they store their totals.
    final = tuple(step.group if isinstance(step, LoopNests) else step for step in steps)
    return CompiledGraph(
        graph,
        name,
        replace(scheduled, steps=final),
        tuple(launches),
        _freed(graph, final),
        {op: op.attribute for op in graph.ops if op.kind == "constant" and graph.is_given(op)},
    )


def _freed(graph: Graph, steps: tuple[Step, ...]) -> tuple[list[Op], ...]:
    """For each step what nothing needs that comes after it."""
    freed: tuple[list[Op], ...] = tuple([] for _ in steps)
    results = {op.base for op in graph.outputs}
    last = {op: at for at, step in enumerate(steps) for op in step.uses}
    for op in last.keys() - results:
        freed[last[op]].append(op)
    return freed


@dataclass(eq=False)
class Launch:
    """A kernel of a graph, with all that does not change from call to call worked out.

    It loads elements of ``uses``, and those of ``stores`` are what it makes.  ``work`` is an
    estimate in scalar operations; unless ``parallel``, there is nothing to deal out to threads.
    """

    source: Source
    uses: tuple[Op, ...]
    stores: tuple[Op, ...]
    places: tuple[Place, ...]
    work: int
    parallel: bool


def _launch(nests: LoopNests, source: Source, graph: Graph) -> Launch:
    uses = nests.group.uses
    return Launch(
        source,
        tuple(op for op in graph.ops if op in uses),
        tuple(op for op in graph.ops if op in nests.group.stored),
        tuple(_place(array) for array in source.arrays),
        nests.work,
        nests.parallel is not None or source.parts is not None,
    )


@dataclass(frozen=True, eq=False)
class Place:
    """Where in the memory of ``op`` the array is that a kernel gets; ``start`` and ``steps`` are in
    bytes, and ``end`` is the element that lies furthest."""

    op: Op
    sizes: Shape
    offset: int
    start: int
    steps: Shape
    end: int
    empty: bool


def _place(array: Array) -> Place:
    """The place of ``array``.

    Gaps between rows are counted in as part of them, if that makes the array contiguous: the loops
    know how far to go, and what the compiler has to know is that rows lie side by side.
    """
    strides, itemsize = array.strides or (1,), array.op.dtype.itemsize
    sizes = _padded(array.sizes or (1,), strides)
    return Place(
        array.op,
        sizes,
        array.offset,
        array.offset * itemsize,
        tuple(s * itemsize for s in strides),
        array.offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True)),
        0 in array.sizes,
    )


def _padded(sizes: Shape, strides: Shape) -> Shape:
    if 0 in sizes or strides[-1] != 1 or min(strides) < 0:
        return sizes
    pitches = [sizes[0]]
    for above, below, n in zip(strides, strides[1:], sizes[1:], strict=False):
        if above % below or above // below < n:
            return sizes
        pitches.append(above // below)
    return tuple(pitches)


# --- From text to a kernel ------------------------------------------------------------------------


@functools.lru_cache(maxsize=1 << 10)
def kernel(name: str, text: str) -> jit.Kernel:
    """The compiled kernel; one for all programs that come to the same text."""
    file = f"<fuse: {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    interpreted = bool(numba.config.DISABLE_JIT)
    code = compile(with_numpy_numbers(text) if interpreted else text, file, "exec")

    def make(each):
        names = namespace(each)
        if interpreted:
            names |= {k: giving_numpy_numbers(f) for k, f in names.items() if isfunction(f)}
        exec(code, names)
        return names[name]

    # No x · y + z in one step: what is computed again in backward has to come out the same.
    return jit.Kernel(make)


# Under NUMBA_DISABLE_JIT=1 a kernel is the Python that it says.  Compiled, every number has a
# dtype, and division by 0 follows IEEE 754.  So have NumPy's numbers, but not Python's own, such as
# the 0.0 in the text of a kernel or the 0 that ``relu`` returns.


def with_numpy_numbers(text: str) -> ast.Module:
    """The syntax tree of ``text``, in which each number with a point is NumPy's.

    >>> ast.unparse(with_numpy_numbers("y = 1.0 / x[0]"))
    'y = float64(1.0) / x[0]'
    """
    return ast.fix_missing_locations(_Numbers().visit(ast.parse(text)))


class _Numbers(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        return ast.copy_location(ast.Call(ast.Name("float64", ast.Load()), [node], []), node)


def giving_numpy_numbers(function: Callable) -> Callable:
    """``function``, with a result of NumPy's where it is one of Python's."""

    @functools.wraps(function)
    def wrapped(*numbers):
        result = function(*numbers)
        return np.float64(result) if type(result) in (int, float) else result

    return wrapped

"""Running a schedule: making arrays, calling kernels, letting go of what is no longer needed."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable, Collection, Sequence
from inspect import isfunction

import numba
import numpy as np

from mtlib.fusion.graph import Graph, Node, source
from mtlib.fusion.plain import giving_numpy_numbers, with_numpy_numbers
from mtlib.fusion.primitives import VIEWS, namespace
from mtlib.fusion.schedule import is_there, schedule
from mtlib.fusion.source import Source, write
from mtlib.fusion.tasks import Call, Kernel
from mtlib.fusion.wording import Array
from mtlib.kernels import jit
from mtlib.layout import Shape
from mtlib.runtime.ledger import Recording
from mtlib.runtime.memory import allocate
from mtlib.runtime.mode import thread
from mtlib.tensor import Tensor


class Executable:
    """A graph that can be run: its schedule, and the source of each of its kernels."""

    def __init__(self, graph: Graph, name: str, kept: Collection[Node] = ()) -> None:
        self.graph = graph
        self.name = name
        self.schedule = schedule(graph, kept)
        steps = self.schedule.steps
        several = sum(isinstance(step, Kernel) for step in steps) > 1
        self.sources: dict[Kernel, Source] = {}
        for number, step in enumerate(steps, 1):
            if isinstance(step, Kernel):
                self.sources[step] = write(step, f"{name}_{number}" if several else name)
        self._runs = [
            _KernelRun(step, self.sources[step], graph) if isinstance(step, Kernel) else _call(step)
            for step in steps
        ]
        results = {source(node) for node in graph.outputs}
        last = {node: at for at, step in enumerate(steps) for node in step.needed}
        self._freed: list[list[Node]] = [[] for _ in steps]
        for node in last.keys() - results:
            self._freed[last[node]].append(node)
        self._given = {n: n.how for n in graph.nodes if is_there(n, graph) and n.kind == "constant"}

    @property
    def source(self) -> str:
        """The text of its kernels."""
        return "\n\n\n".join(text.text for text in self.sources.values())

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for ``inputs``, which are laid out as the graph's."""
        memory = self._given | dict(zip(self.graph.inputs, inputs, strict=True))
        for run, freed in zip(self._runs, self._freed, strict=True):
            run(memory)
            for node in freed:
                memory.pop(node, None)
        return [seen(memory, node) for node in self.graph.outputs]


def _call(call: Call) -> Callable:
    def run(memory: dict[Node, Tensor]) -> None:
        arguments = [seen(memory, node) for node in call.node.args]
        memory[call.node] = call.node.how.apply(*arguments)

    return run


class _KernelRun:
    """A kernel of a program, with all that does not change from call to call worked out."""

    def __init__(self, kernel: Kernel, text: Source, graph: Graph) -> None:
        self.text = text
        needed = kernel.needed
        self.needed = [node for node in graph.nodes if node in needed]
        self.stored = [node for node in graph.nodes if node in kernel.stored]
        self.places = [_Place(array) for array in text.arrays]
        pieces = -(-text.shared.size // text.widest) if text.shared and text.widest else 1
        self.parts = pieces if text.shared else None
        self.parallel = " in each(" in text.text  # else there is nothing to deal out to threads

    def __call__(self, memory: dict[Node, Tensor]) -> None:
        if not thread.mode.traces:
            self._run(memory)
            return
        inputs = [memory[node] for node in self.needed]
        with Recording(self.text.name, "fused", inputs) as recording:
            self._run(memory)
            outputs = [memory[node] for node in self.stored]
            recording.finish(outputs, [], (self.text.reads, self.text.writes))

    def _run(self, memory: dict[Node, Tensor]) -> None:
        text = self.text
        for node in self.stored:
            zero = node.kind == "scatter"
            storage = allocate(node.shape, node.dtype, text.name, zero=zero)
            memory[node] = Tensor(storage, node.layout)
        threads = jit.threads_for(text.work) if self.parallel else 1
        parts = () if self.parts is None else (max(threads, self.parts),)
        space = [allocate(parts, dtype, text.name, role="workspace") for dtype in text.partial]
        arrays = [place.array(memory) for place in self.places]
        _kernel(text.name, text.text).run(threads, *arrays, *space, *text.sizes, *parts)


class _Place:
    """Where in a node's memory the array is that a kernel gets.

    Gaps between rows are counted in as part of them, if that makes the array contiguous: the loops
    know how far to go, and what the compiler has to know is that rows lie side by side.
    """

    def __init__(self, array: Array) -> None:
        self.node, size = array.node, array.node.dtype.itemsize
        strides = array.strides or (1,)
        self.sizes = _padded(array.sizes or (1,), strides)
        self.offset, self.start = array.offset, array.offset * size
        self.steps = tuple(s * size for s in strides)
        self.empty = 0 in array.sizes
        self.end = array.offset + sum((n - 1) * s for n, s in zip(self.sizes, strides, strict=True))

    def array(self, memory: dict[Node, Tensor]) -> np.ndarray:
        """The array."""
        storage = memory[self.node].storage
        if self.empty:
            return np.empty(self.sizes, storage.dtype)
        if self.end < storage.size:
            return np.ndarray(self.sizes, storage.dtype, storage, self.start, self.steps)
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.sizes, self.steps)


def _padded(sizes: Shape, strides: Shape) -> Shape:
    if 0 in sizes or strides[-1] != 1 or min(strides) < 0:
        return sizes
    pitches = [sizes[0]]
    for above, below, n in zip(strides, strides[1:], sizes[1:], strict=False):
        if above % below or above // below < n:
            return sizes
        pitches.append(above // below)
    return tuple(pitches)


def seen(memory: dict[Node, Tensor], node: Node) -> Tensor:
    """The tensor that ``node`` is: in memory, or a view of what is."""
    views = []
    while node.kind == "view":
        views.append(node)
        node = node.args[0]
    x = memory[node]
    layout = x.layout
    for view in reversed(views):
        layout = VIEWS[view.name](layout, *view.how)
    return Tensor(x.storage, layout)


@functools.lru_cache(maxsize=1 << 10)
def _kernel(name: str, text: str) -> jit.Kernel:
    """The compiled kernel; one for all programs that come to the same text."""
    file = f"<fuse: {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    plain = bool(numba.config.DISABLE_JIT)
    code = compile(with_numpy_numbers(text) if plain else text, file, "exec")

    def make(each):
        names = namespace(each)
        if plain:
            names |= {k: giving_numpy_numbers(f) for k, f in names.items() if isfunction(f)}
        exec(code, names)
        return names[name]

    # No x · y + z in one step: what is computed again in backward has to come out the same.
    return jit.Kernel(make)

"""Running a schedule: making arrays, calling kernels, letting go of what is no longer needed."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Collection, Sequence

import numpy as np

from mtlib.fusion.graph import Graph, Node
from mtlib.fusion.primitives import VIEWS, namespace
from mtlib.fusion.schedule import schedule
from mtlib.fusion.source import Source, write
from mtlib.fusion.tasks import Call, Kernel, source
from mtlib.fusion.wording import Array
from mtlib.kernels import jit
from mtlib.layout import Shape
from mtlib.memory import allocate
from mtlib.tensor import Tensor
from mtlib.trace import Recording, is_recording


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
                title = f"{name}_{number}" if several else name
                self.sources[step] = write(step, title)
        kept = {source(node) for node in graph.outputs}
        last = {node: number for number, step in enumerate(steps) for node in step.needed}
        self.freed = [
            [n for n, number in last.items() if number == at and n not in kept]
            for at in range(len(steps))
        ]

    @property
    def source(self) -> str:
        """The text of its kernels."""
        return "\n\n\n".join(text.text for text in self.sources.values())

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for ``inputs``, which are laid out as the graph's."""
        memory = dict(zip(self.graph.inputs, inputs, strict=True))
        for step, freed in zip(self.schedule.steps, self.freed, strict=True):
            if isinstance(step, Call):
                arguments = [_seen(memory, node) for node in step.node.args]
                memory[step.node] = step.node.how.apply(*arguments)
            else:
                self._run(step, memory)
            for node in freed:
                memory.pop(node, None)
        return [_seen(memory, node) for node in self.graph.outputs]

    def _run(self, kernel: Kernel, memory: dict[Node, Tensor]) -> None:
        text = self.sources[kernel]
        for node in kernel.needed:
            if node.kind == "constant" and node not in memory:
                memory[node] = node.how
        stored = [node for node in self.graph.nodes if node in kernel.stored]
        if not is_recording():
            _call(text, stored, memory)
            return
        inputs = [memory[node] for node in self.graph.nodes if node in kernel.needed]
        with Recording(text.name, "fused", inputs) as recording:
            _call(text, stored, memory)
            outputs = [memory[node] for node in stored]
            recording.finish(outputs, [], (text.reads, text.writes))


def _call(text: Source, stored: list[Node], memory: dict[Node, Tensor]) -> None:
    for node in stored:
        zero = node.kind == "scatter"
        storage = allocate(node.shape, node.dtype, text.name, zero=zero)
        memory[node] = Tensor(storage, node.layout)
    threads = jit.threads_for(text.work)
    parts = ()
    if text.shared is not None:
        pieces = -(-text.shared.size // text.widest) if text.widest else 1
        parts = (max(threads, pieces),)
    space = [allocate(parts, node.dtype, text.name, role="workspace") for node in text.partial]
    arrays = [_array(array, memory) for array in text.arrays]
    _kernel(text.name, text.text).run(threads, *arrays, *space, *text.sizes, *parts)


def _seen(memory: dict[Node, Tensor], node: Node) -> Tensor:
    """The tensor that ``node`` is: in memory, or a view of what is."""
    views = []
    while node.kind == "view":
        views.append(node)
        node = node.args[0]
    if node.kind == "constant" and node not in memory:
        memory[node] = node.how
    x = memory[node]
    layout = x.layout
    for view in reversed(views):
        layout = VIEWS[view.name](layout, *view.how)
    return Tensor(x.storage, layout)


def _array(array: Array, memory: dict[Node, Tensor]) -> np.ndarray:
    """The part of a node's memory that the loops walk, in the order in which it lies."""
    x = memory[array.node]
    sizes, strides = array.sizes or (1,), array.strides or (1,)
    if 0 in sizes:
        return np.empty(sizes, x.dtype)
    sizes = _padded(sizes, strides)
    start, size = array.offset, x.dtype.itemsize
    reach = start + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    steps = tuple(s * size for s in strides)
    if reach < len(x.storage):
        return np.ndarray(sizes, x.dtype, x.storage, start * size, steps)
    return np.lib.stride_tricks.as_strided(x.storage[start:], sizes, steps)


def _padded(sizes: Shape, strides: Shape) -> Shape:
    """``sizes`` with the gaps between rows counted in, if that makes them contiguous.

    The loops know how far to go; what the compiler has to know is that rows lie side by side.
    """
    if strides[-1] != 1 or min(strides) < 0:
        return sizes
    pitches = [sizes[0]]
    for above, below, n in zip(strides, strides[1:], sizes[1:], strict=False):
        if above % below or above // below < n:
            return sizes
        pitches.append(above // below)
    return tuple(pitches)


@functools.cache
def _kernel(name: str, text: str) -> jit.Kernel:
    """The compiled kernel; one for all programs that come to the same text."""
    file = f"<fuse: {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    code = compile(text, file, "exec")

    def make(each):
        names = namespace(each)
        exec(code, names)
        return names[name]

    return jit.Kernel(make)

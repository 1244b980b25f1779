"""A program ready to run: kernels for its results, and kernels for its gradients.

What backward needs of forward is chosen as a compiler would (after Chen et al., "Training Deep Nets
with Sublinear Memory Cost", 2016): inputs and totals are kept, elementwise results are computed
again, since they are cheap to compute and large to keep.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtlib.autograd import Function, run_forward
from mtlib.fusion.capture import Program
from mtlib.fusion.execute import Executable, seen
from mtlib.fusion.expressions import NeedsStorage
from mtlib.fusion.graph import Graph, Node, source
from mtlib.layout import Layout
from mtlib.runtime.ledger import record_saved
from mtlib.runtime.mode import no_grad
from mtlib.tensor import Tensor


class Compiled:
    """``program`` for inputs of its shapes: ``forward``, and ``backward`` for each output.

    ``kept`` has for each output what its backward keeps of forward, inputs included.
    """

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.name = name
        places = range(len(program.outputs))
        self.kept = [kept_for_backward(program, i) for i in places]
        made = dict.fromkeys(n for nodes in self.kept for n in nodes if n not in program.inputs)
        made = [n for n in made if n not in program.outputs]
        self.forward = Executable(Graph(program.inputs, (*program.outputs, *made)), name, made)
        self.backward = [self._backward(i) if program.seeds[i] else None for i in places]

    def _backward(self, i: int) -> type[Function]:
        """A Function that stands for output ``i`` in autograd's graph."""
        flow = self.program.gradients[i]
        graph = Graph(
            (*self.kept[i], self.program.seeds[i]), tuple(g for g in flow if g is not None)
        )
        executable = Executable(graph, f"{self.name}_backward")
        members = {"name": self.name, "executable": executable, "others": {}, "flow": flow}
        return type(self.name, (_Output,), members)

    def run(self, inputs: Sequence[Tensor]):
        """The results for ``inputs``, joined to autograd's graph."""
        given = dict(zip(self.program.inputs, inputs, strict=True))
        for node, test, told in self.program.checks:
            test(seen(given, node).numpy(), *told)
        with no_grad():
            results = self.forward.run([x.detach() for x in inputs])
        known = dict(zip(self.forward.graph.outputs, results, strict=True)) | given
        outputs = []
        for node, kept, function in zip(
            self.program.outputs, self.kept, self.backward, strict=True
        ):
            output = known[node].detach()
            if function is not None:
                saved = [known[n] for n in kept]
                output = function.apply_by(run_forward, (output, saved, *inputs))
                record_saved([x.storage for x in saved])
            outputs.append(output)
        kind = self.program.kind
        if issubclass(kind, Tensor):
            return outputs[0]
        return outputs if kind is list else getattr(kind, "_make", tuple)(outputs)  # also by name


class _Output(Function):
    """An output of a program that has run already: its place in autograd's graph.

    A subclass has the ``executable`` of its backward, for a contiguous gradient, and in ``flow``
    the gradient of each input.
    """

    executable: Executable
    others: dict[Layout, Executable | None]  # for gradients that are laid out otherwise
    flow: tuple[Node | None, ...]

    @staticmethod
    def forward(ctx, output, saved, *inputs):
        ctx.save_for_backward(*saved)
        return output

    @staticmethod
    def backward(ctx, d):
        function = ctx.function
        executable = function._for(d.layout)
        if executable is None:
            executable, d = function.executable, d.contiguous()
        gradients = iter(executable.run([*ctx.saved_tensors, d]))
        found = dict(zip(function.executable.graph.outputs, gradients, strict=True))
        return None, None, *(found.get(node) for node in function.flow)

    @classmethod
    def _for(cls, layout: Layout) -> Executable | None:
        """The executable for a gradient of ``layout``; None if it has to be copied first."""
        first = cls.executable
        seed = first.graph.inputs[-1]
        if layout == seed.layout:
            return first
        if layout not in cls.others:
            try:
                cls.others[layout] = Executable(first.graph.given(seed, layout), first.name)
            except NeedsStorage:
                cls.others[layout] = None
        return cls.others[layout]


def kept_for_backward(program: Program, i: int) -> list[Node]:
    """What the gradient of output ``i`` is worked out from, beside the gradient that flows in."""
    seed = program.seeds[i]
    if seed is None:
        return []
    forward = set(Graph(program.inputs, program.outputs).nodes)
    results = {source(node) for node in program.outputs}
    kept: dict[Node, None] = {}
    seen = {seed}
    waiting = [node for node in program.gradients[i] if node is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        dear = node.kind in ("reduce", "call", "scatter") or node in results
        if node in program.inputs or (dear and node in forward):
            kept[node] = None
        else:
            waiting += node.args
    return list(kept)

"""Saying in words what fusing a program did."""

from __future__ import annotations

from math import prod

from mtlib.fusion.compiled import Compiled
from mtlib.fusion.execute import Executable
from mtlib.fusion.graph import Graph, Node, source
from mtlib.fusion.tasks import Kernel


def explain(compiled: Compiled) -> str:
    """What was fused in ``compiled``, what was not and why, and what that saves."""
    forward = compiled.forward
    given = ", ".join(f"{n.label} {n.shape} {n.dtype}" for n in forward.graph.inputs)
    lines = [f"{compiled.name}, for {given}", *_part(forward, compiled.program.outputs)]
    for kept, function in zip(compiled.kept, compiled.backward, strict=True):
        if function is not None:
            names = ", ".join(n.label for n in kept) or "nothing"
            size = sum(_nbytes(n) for n in kept)
            flowing = function.executable.graph.inputs[-1]
            lines += [f"backward from {flowing.label}, for which {names} is kept ({size:,} bytes)"]
            lines += _part(function.executable, function.executable.graph.outputs)
    return "\n".join(lines)


def _part(executable: Executable, results: tuple[Node, ...]) -> list[str]:
    graph, steps = executable.graph, executable.schedule.steps
    operations = [n for n in graph.nodes if _computes(n, graph)]
    reads = sum(_reads(n) for n in operations)
    writes = sum(prod(n.shape) for n in operations)
    wanted = {source(n) for n in results}
    waste = sum(_nbytes(n) for n in operations if n not in wanted)
    calls = [step.node for step in steps if not isinstance(step, Kernel)]
    kernels = executable.sources.values()
    fused_reads = sum(k.reads for k in kernels) + sum(map(_reads, calls))
    fused_writes = sum(k.writes for k in kernels) + sum(prod(n.shape) for n in calls)
    stored = {n for step in steps for n in (step.stored if isinstance(step, Kernel) else step.made)}
    left = sum(_nbytes(n) for n in stored - {source(n) for n in graph.outputs})
    lines = [
        f"step by step: {_count(len(operations), 'operation')}, {reads:,} elements read, "
        f"{writes:,} written, {waste:,} bytes made on the way",
        f"fused: {_count(len(executable.sources), 'kernel')}"
        + (f" and {_count(len(calls), 'call')}" if calls else "")
        + f", {fused_reads:,} elements read, {fused_writes:,} written, "
        f"{left:,} bytes made on the way",
    ]
    described = str(executable.schedule).splitlines()
    for line, step in zip(described, steps, strict=True):
        lines.append(line)
        if isinstance(step, Kernel):
            for node in graph.nodes:
                if node in step.stored:
                    reason = executable.schedule.reasons.get(node, "another kernel uses it")
                    lines.append(f"   {node.label} is stored: {reason}")
    return lines


def _computes(node: Node, graph: Graph) -> bool:
    given = node in graph.inputs or node.kind in ("view", "constant")
    return not given


def _reads(node: Node) -> int:
    """Elements that the operation loads by itself."""
    if node.kind == "call":
        return node.how.traffic(None, [a.layout for a in node.args], node.layout)[0]
    return sum(prod(a.shape) for a in node.args)


def _nbytes(node: Node) -> int:
    return prod(node.shape) * node.dtype.itemsize


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"

"""The live examples behind the command line: the only module here that imports mtlib."""

from __future__ import annotations

from .shapes import Shape


def matmul_traces(a: Shape, b: Shape) -> list:
    """Run a training step of ``a @ b``, naive and then fused, on the same random operands.

    Returns:
        The two traces, each of a forward and a backward pass.
    """
    import mtlib  # only when a trace is asked for: it compiles kernels

    traces = []
    for kind in (mtlib.naive, mtlib.fused):
        x = mtlib.rand(*a, seed=0, requires_grad=True)
        y = mtlib.rand(*b, seed=1, requires_grad=True)
        with mtlib.trace() as trace:
            kind.matmul(x, y).sum().backward()
        traces.append(trace)
    return traces

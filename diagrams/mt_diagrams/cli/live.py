"""The live examples behind the command line: the only module here that imports mtlib."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from mt_diagrams.pieces.shapes import Shape


def matmul_traces(a: Shape, b: Shape) -> list:
    """Run a training step of ``a @ b``, naive and then fused, on the same random operands.

    Returns:
        The two traces, each of a forward and a backward pass.
    """
    import mtlib  # only when a trace is asked for: it compiles kernels

    traces = []
    for kind in (mtlib.naive, mtlib.fused):
        x, y = _operands(a, b)
        d = mtlib.rand(a[-2], b[-1], seed=2) if len(a) == len(b) == 2 else None
        with mtlib.trace() as trace:
            result = kind.matmul(x, y)
            (result.sum() if d is None else result).backward(d)
            del result
        traces.append(trace)
    return traces


def naive_loss(a: Shape, b: Shape):
    """The sum of a naive ``a @ b``, with the graph that made it."""
    import mtlib

    return mtlib.naive.matmul(*_operands(a, b)).sum()


def _operands(a: Shape, b: Shape) -> tuple:
    import mtlib

    shapes = enumerate((a, b))
    return tuple(mtlib.rand(*shape, seed=n, requires_grad=True) for n, shape in shapes)


def trace_of(target: str) -> tuple[str, object]:
    """Run a function of the user's own, and trace it.

    Args:
        target: ``path/to/script.py:function``; the function is called without arguments.

    Returns:
        The function's name and its trace.

    Raises:
        ValueError: if there is no such file or function, or it raises.
    """
    path, colon, name = target.rpartition(":")
    if not colon or not path or not name.isidentifier():
        raise ValueError(f"--trace {target}: not a function, such as script.py:function")
    if not Path(path).is_file():
        raise ValueError(f"--trace {target}: there is no file {path}")
    import mtlib

    module = _loaded(Path(path), target)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"--trace {target}: {Path(path).name} has no function {name}")
    with mtlib.trace() as trace:
        _guarded(target, function)
    return name, trace


def _loaded(path: Path, target: str):
    """The script as a module, its neighbours importable as they are when it is run."""
    spec = importlib.util.spec_from_file_location("mt_diagrams_traced", path)
    if spec is None:
        raise ValueError(f"--trace {target}: {path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        _guarded(target, spec.loader.exec_module, module)
    finally:
        sys.path.pop(0)
    return module


def _guarded(target: str, function, *arguments) -> None:
    try:
        function(*arguments)
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise ValueError(f"--trace {target}: raised {what}") from error

"""fuse: a function of tensors that runs as a few kernels, forward and backward."""

from __future__ import annotations

import functools
import inspect
import keyword
from collections.abc import Callable

import numpy as np

from mtlib.fusion.capture import Symbol, read
from mtlib.fusion.compiled import Compiled
from mtlib.fusion.execute import Executable
from mtlib.fusion.explain import explain
from mtlib.fusion.graph import Graph
from mtlib.fusion.schedule import Schedule
from mtlib.mode import thread
from mtlib.tensor import Tensor


def fuse(fn: Callable) -> Fused:
    """``fn``, fused: the same results and gradients from as few kernels as it takes.

    ``fn`` takes tensors, each by itself, and beside them numbers, strings, tuples and the like; it
    returns a tensor or several.  The first call with tensors of new shapes and strides reads the
    program that ``fn`` runs, without running it, and compiles it.  So what ``fn`` does may depend
    on shapes and never on values, and tensors that it uses must be among its arguments
    (``TypeError`` and ``ValueError`` otherwise); what it makes itself, or takes from NumPy arrays,
    is read once.

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
        self._compiled: dict[tuple, Compiled] = {}
        self._last: Compiled | None = None

    def __call__(self, *args, **kwargs):
        """What the function returns for these arguments."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = _flat(bound)
        tensors = {name: x for name, x in arguments.items() if isinstance(x, Tensor)}
        if any(isinstance(x, Symbol) for x in tensors.values()):
            return self.__wrapped__(*args, **kwargs)  # part of a larger program that is being read
        key = (thread.mode.grad_enabled, *(_key(name, x) for name, x in arguments.items()))
        if key not in self._compiled:
            program = read(functools.partial(_call, self.__wrapped__, bound), tensors)
            self._compiled[key] = Compiled(program, _title(self.__wrapped__))
        self._last = self._compiled[key]
        return self._last.run(list(tensors.values()))

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
        latest = self._latest()
        return "\n\n\n".join(
            part.source for part in (latest.forward, *self.backward) if part.source
        )

    @property
    def backward(self) -> tuple[Executable, ...]:
        """For each output that has a gradient, its own graph, schedule and source.

        >>> import mtlib
        >>> double = mtlib.fuse(lambda x: x * 2)
        >>> _ = double(mtlib.ones(3, requires_grad=True))
        >>> print(double.backward[0].schedule)
        1. kernel: d -> mul4
        """
        return tuple(f.executable for f in self._latest().backward if f is not None)

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
        return explain(self._latest())

    def _latest(self) -> Compiled:
        if self._last is None:
            raise RuntimeError(
                f"fuse: call {_title(self.__wrapped__)} once first; what it becomes depends on the "
                "shapes of its arguments"
            )
        return self._last


def _flat(bound: inspect.BoundArguments) -> dict[str, object]:
    """Every argument under a name of its own."""
    found = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found |= {f"{name}{i}": x for i, x in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        else:
            found[name] = value
    return found


def _call(fn: Callable, bound: inspect.BoundArguments, others: dict[str, object]):
    """``fn`` for the arguments in ``bound``, with ``others`` in the place of some."""
    args = inspect.BoundArguments(bound.signature, dict(bound.arguments))
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            args.arguments[name] = [others.get(f"{name}{i}", x) for i, x in enumerate(value)]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            args.arguments[name] = {key: others.get(key, x) for key, x in value.items()}
        else:
            args.arguments[name] = others.get(name, value)
    return fn(*args.args, **args.kwargs)


def _key(name: str, x) -> tuple:
    """What a compiled program depends on in an argument."""
    if isinstance(x, Tensor):
        return x.layout, x.dtype, x.requires_grad
    if isinstance(x, np.ndarray):
        raise TypeError(
            f"fuse: {name} is a NumPy array; pass a tensor (from_numpy shares its memory)"
        )
    try:
        hash(x)
    except TypeError:
        raise TypeError(
            f"fuse: {name} is a {type(x).__name__}; pass tensors one by one, and only numbers, "
            "strings, tuples and the like beside them"
        ) from None
    return type(x), x, repr(x)  # (1,) and (1.0,) are equal, and so are 0.0 and -0.0


def _title(fn: Callable) -> str:
    """A name for the kernels of ``fn``."""
    name = getattr(fn, "__name__", "")
    return name if name.isidentifier() and not keyword.iskeyword(name) else "fused"

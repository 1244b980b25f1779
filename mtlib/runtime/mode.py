"""How the operations of this thread are treated.

They are recorded or not, differentiated or not, run or only read.  The modules above look at
``thread.mode`` and, for the time of a ``with``, change it through :func:`treated`.  Two switch
``grad_enabled`` by themselves: :class:`no_grad`, one of which can be entered again while it is open
and by several threads at once, and autograd for each operation, where a ``with`` takes too long.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ContextDecorator, contextmanager


class Mode:
    """What holds now.

    ``traces`` are open and record each operation as one of the ``phase``.  ``grad_enabled`` tells
    whether operations are remembered for backward, and ``before`` what it was outside of each
    no_grad that is open.  ``reader``, if there is one, gets the Functions that are applied, in
    their place, and is asked where values are looked at and random numbers drawn.  While
    ``reading``, a program is read and not run, and nothing that it announces is refused.  While
    ``rehearsing``, arrays have no elements and kernels of elements and folds do not run, so that
    the forward of an operation works out its layout and no more.
    """

    __slots__ = (
        *("traces", "phase", "grad_enabled", "before"),
        *("reader", "reading", "rehearsing"),
    )

    def __init__(self) -> None:
        self.traces: tuple = ()
        self.phase = "forward"
        self.grad_enabled = True
        self.before: list[bool] = []
        self.reader: Callable | None = None
        self.reading = False
        self.rehearsing = False


class _Thread(threading.local):
    def __init__(self) -> None:
        self.mode = Mode()


thread = _Thread()


@contextmanager
def treated(**how) -> Iterator[None]:
    """Inside, the mode of this thread is as ``how`` says.

    >>> with treated(phase="backward"):
    ...     thread.mode.phase
    'backward'
    >>> thread.mode.phase
    'forward'
    """
    mode = thread.mode
    before = {name: getattr(mode, name) for name in how}
    for name, value in how.items():
        setattr(mode, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(mode, name, value)


class no_grad(ContextDecorator):
    """Nothing that runs inside is remembered for backward; a context manager and a decorator.

    A generator or coroutine that is decorated is inside while its own body runs, and outside
    whenever it waits.

    >>> import mtlib
    >>> x = mtlib.ones(2, requires_grad=True)
    >>> with mtlib.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __call__(self, function: Callable) -> Callable:
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"no_grad: {function.__qualname__} is an asynchronous generator, which cannot be "
                "decorated; write `with no_grad():` inside it, between its yields"
            )
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def called(*args, **kwargs):
                return (yield from _without_grad(function(*args, **kwargs)))

            return called
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def called(*args, **kwargs):
                return await _Awaited(_without_grad(function(*args, **kwargs).__await__()))

            return called
        return super().__call__(function)

    def __enter__(self) -> None:
        mode = thread.mode
        mode.before.append(mode.grad_enabled)
        mode.grad_enabled = False

    def __exit__(self, *_) -> None:
        mode = thread.mode
        mode.grad_enabled = mode.before.pop()


def _without_grad(steps: Generator) -> Generator:
    """``steps``, each of them under no_grad; whoever asks for the next is not."""
    resume, value = steps.send, None
    while True:
        with no_grad():
            try:
                given = resume(value)
            except StopIteration as end:
                return end.value
        try:
            resume, value = steps.send, (yield given)
        except GeneratorExit:
            with no_grad():
                steps.close()
            raise
        except BaseException as error:
            resume, value = steps.throw, error


class _Awaited:
    """What a coroutine can await, to run these ``steps``."""

    def __init__(self, steps: Generator) -> None:
        self.steps = steps

    def __await__(self) -> Generator:
        return self.steps

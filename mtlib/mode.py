"""How the operations of this thread are treated.

They are recorded or not, differentiated or not, run or only read.  The rooms above look at
``thread.mode`` and, for the time of a ``with``, change it through :func:`treated`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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

"""Running an answer: as plain Python, line by line, until it ends or has had lines enough."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import threading
import tracemalloc
import types
from collections.abc import Callable

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

from mtlib.exercises.counting import Log
from mtlib.exercises.lines import Line, in_line, is_readers, line_of_error
from mtlib.exercises.verdicts import NotYet, Wrong

# A right answer runs some thousand lines on the small operands of a check.  Lines and not seconds,
# so that a slow machine is told the same; the seconds are for a loop that Python sees no lines in,
# as ``while True: pass``.
MOST_LINES, MOST_SECONDS = 100_000, 30.0

_MAKERS = ("empty", "zeros", "ones", "full")
_MAKERS += tuple(f"{name}_like" for name in _MAKERS)


class _Endless(BaseException):
    """No Exception, so that an answer that catches those does not catch this."""


class Watch:
    """Follows the lines of the reader's that run, as ``sys.settrace`` calls it.

    That works in every thread, in a notebook's kernel too, where an alarm would not.  ``before`` is
    who followed until now, a debugger say: all is handed on to it.  ``peak`` is the most memory
    that Python held, if ``memory`` is weighed, and ``peak_line`` where.
    """

    def __init__(self, memory: bool = False) -> None:
        self.before = sys.gettrace()
        self.handed_on = None if memory else self.before  # whose notes would weigh too
        self.lines = 0
        self.at: tuple[types.CodeType, int] | None = None
        self.memory, self.peak, self.peak_at = memory, 0, None

    def __call__(self, frame, event, argument):
        others = None
        if self.handed_on is not None:
            others = self.handed_on(frame, event, argument)
            sys.settrace(self)  # some put themselves here
        if not is_readers(frame.f_code):
            return others
        self.step(frame)
        return self.follow if others is None else self.following(others)

    def follow(self, frame, event, argument):
        if event == "line":
            self.step(frame)
        return self.follow

    def following(self, others: Callable) -> Callable:
        """The same, for others too."""

        def follow(frame, event, argument):
            nonlocal others
            self.follow(frame, event, argument)
            if others is not None:
                others = others(frame, event, argument)
            return follow

        return follow

    def step(self, frame) -> None:
        if self.memory:
            self.weigh()
        self.at = frame.f_code, frame.f_lineno
        self.lines += 1
        if self.lines >= MOST_LINES:
            raise _Endless

    def weigh(self) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        if peak > self.peak:
            self.peak, self.peak_at = peak, self.at

    @property
    def line(self) -> Line | None:
        return Line.of(*self.at) if self.at else None

    @property
    def peak_line(self) -> Line | None:
        return Line.of(*self.peak_at) if self.peak_at else None


class _Alarm:
    """Raises _Endless in the thread that sets it, after some seconds; that needs no signals."""

    def __init__(self) -> None:
        self.thread, self.lock = threading.get_ident(), threading.Lock()
        self.over = self.rung = False
        self.timer = threading.Timer(MOST_SECONDS, self.ring)
        self.timer.daemon = True
        self.timer.start()

    def ring(self) -> None:
        with self.lock:
            if not self.over:
                self.rung = True
                thread, error = ctypes.c_ulong(self.thread), ctypes.py_object(_Endless)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, error)

    def stop(self, heard: bool) -> None:
        self.timer.cancel()
        with contextlib.suppress(_Endless):
            with self.lock:
                self.over = True
            while self.rung and not heard:
                pass  # until it arrives


def watched(call: Callable, *arguments, watch: Watch | None = None, limit: bool = True):
    """What ``call(*arguments)`` returns; raises Wrong where it fails or does not come to an end.

    Without ``limit`` its lines are not followed: Numba may compile something, and what ended as
    Python will end.
    """
    watch, heard = watch or Watch(), False
    alarm = _Alarm() if limit else None
    if limit:
        sys.settrace(watch)
    try:
        return call(*arguments)
    except (Wrong, NotYet):
        raise
    except NotImplementedError:
        raise NotYet from None
    except _Endless:
        heard = True
        raise Wrong(
            f"it does not come to an end: after {watch.lines:,} lines it is still{_at(watch)}; "
            "does something in the loop bring its end nearer?"
        ) from None
    except (Exception, SystemExit) as error:
        where = in_line(line_of_error(error.__traceback__)) or _in_line_of_numba(error)
        raise Wrong(f"{type(error).__name__}{where}: {_short(error)}") from None
    finally:
        sys.settrace(watch.before)
        if alarm:
            alarm.stop(heard)


def _at(watch: Watch) -> str:
    return in_line(watch.line) or " running"


def _short(error: BaseException) -> str:
    """The first line that says something; Numba begins with one that does not."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("Failed in nopython mode")]
    if any("yield in a closure" in line for line in said):
        return "Numba knows no generator expression, as in sum(x for …); write the loop out"
    return said[0].rstrip(":") if said else "without a message"


def _in_line_of_numba(error: BaseException) -> str:
    """The line that Numba could not compile, which it names in its message only."""
    lines = re.findall(r'File "[^"]*", line (\d+):', str(error))
    return f" in line {lines[-1]}" if lines else ""


def peak_memory(call: Callable, *arguments) -> tuple[int, Line | None]:
    """The bytes that Python holds at most while it runs, beyond those before, and in which line.

    What the answer prints is not shown: a notebook would hold that too.
    """
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    watch = Watch(memory=True)
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            watched(call, *arguments, watch=watch)
        watch.weigh()
        return watch.peak - before, watch.peak_line
    finally:
        if not tracing:
            tracemalloc.stop()


# --- As plain Python ------------------------------------------------------------------------------


class _Module:
    """A module whose functions are followed."""

    def __init__(self, module, stand_in: Callable) -> None:
        self._module, self._stand_in = module, stand_in

    def __getattr__(self, name: str):
        return self._stand_in(getattr(self._module, name))


def as_python(
    function: Callable, log: Log | None = None, kernel: Callable | None = None
) -> Callable:
    """The Python under ``function``, and under the reader's other functions that it calls.

    What arrays it makes is entered in ``log``, if there is one, and calls of mtlib's own operations
    and kernels are too.  With ``kernel`` given those are free, and each kernel of the reader's is
    replaced by ``kernel(it)``.  The reader's names stay as they are: this works on a copy.
    """
    memo: dict[int, object] = {}

    def stand_in(value):
        module = (getattr(value, "__module__", None) or "").split(".")
        if id(value) in memo:
            return memo[id(value)]
        if isinstance(value, types.ModuleType):
            return _Module(value, stand_in) if log and _is_followed(value) else value
        if isinstance(value, type) or not callable(value):
            return value
        if module[0] == "numpy":
            making = log and getattr(value, "__name__", "") in _MAKERS
            return _maker(value, log) if making else value
        if module[0] == "mtlib" and module[1:3] != ["exercises", "chapters"]:
            return value if kernel or not log else _whole(value, log)
        plain = getattr(value, "py_func", value)
        if not isinstance(plain, types.FunctionType) or not is_readers(plain.__code__):
            return value
        plain = rebuilt(plain, value)
        return kernel(plain) if kernel and is_compiled(value) else plain

    def rebuilt(plain, original):
        namespace = dict(plain.__globals__)
        cells = tuple(types.CellType() for _ in plain.__closure__ or ())
        copy = types.FunctionType(
            plain.__code__, namespace, plain.__name__, plain.__defaults__, cells or None
        )
        copy.__kwdefaults__ = plain.__kwdefaults__
        memo[id(original)] = memo[id(plain)] = copy  # before it is filled: it may call itself
        for name in _names(plain.__code__) & namespace.keys():
            namespace[name] = stand_in(namespace[name])
        for cell, old in zip(cells, plain.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # of a function that is not yet defined
                cell.cell_contents = stand_in(old.cell_contents)
        return copy

    plain = getattr(function, "py_func", function)
    return rebuilt(plain, function) if isinstance(plain, types.FunctionType) else plain


def _is_followed(module: types.ModuleType) -> bool:
    return module is np or module.__name__.split(".")[0] == "mtlib"


def _names(code: types.CodeType) -> set[str]:
    """The names that it looks up, in the functions inside it too."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _maker(make: Callable, log: Log) -> Callable:
    def making(*arguments, **options):
        array = np.asarray(make(*arguments, **options))
        if make.__name__.startswith("empty") and array.dtype.kind == "f":
            array.fill(np.nan)  # what nobody stores is nothing to count on
        return log.array(array)

    return making


def _whole(function: Callable, log: Log) -> Callable:
    def calling(*arguments, **options):
        log.enter(f"mtlib's {getattr(function, '__name__', 'function')}", ())
        return function(*arguments, **options)

    return calling


def is_compiled(function: Callable) -> bool:
    """Whether Numba compiles it, or would if it were not told to compile nothing."""
    return isinstance(function, Dispatcher) or bool(numba.config.DISABLE_JIT)


def compiled_run(function: Callable, *arguments):
    """Run what Numba makes of it; Wrong if Numba cannot."""
    try:
        return watched(function, *arguments, limit=False)
    except Wrong as wrong:
        raise Wrong(f"as Python it is right, but Numba stops: {wrong.message}") from None

"""Which line of the reader's own code is running, and how many lines an answer has."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import os
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType

import mtlib

_HERE = os.path.dirname(__file__)
_CHAPTERS = os.path.join(_HERE, "chapters", "")  # the answers that stand there are readers' too
_LIBRARIES = tuple(
    os.path.join(folder, "")
    for folder in (
        os.path.dirname(mtlib.__file__),
        *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
    )
)


@dataclass(frozen=True)
class Line:
    """A line of code: its number in the cell or file, and what stands there."""

    number: int
    text: str

    @classmethod
    def of(cls, code: CodeType, number: int) -> Line:
        return cls(number, linecache.getline(code.co_filename, number).strip())

    def __str__(self) -> str:
        return f"line {self.number}" + (f" (`{self.text}`)" if self.text else "")


def in_line(line: Line | None) -> str:
    """`` in line 3 (`…`)``, or nothing where it is not known."""
    return f" in {line}" if line else ""


def is_readers(code: CodeType) -> bool:
    """Whether this is code that the reader wrote: in a cell, or in a file."""
    name = code.co_filename
    if name.startswith(_CHAPTERS):
        return True
    return not name.startswith((*_LIBRARIES, "<frozen", "<__array_function__"))


def current_line() -> Line | None:
    """The innermost line of the reader's that is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_readers(frame.f_code):
            return Line.of(frame.f_code, frame.f_lineno)
        if frame.f_code.co_name == "watched":  # below it lies the cell that called check
            return None
        frame = frame.f_back
    return None


def line_of_error(traceback: TracebackType | None) -> Line | None:
    """The last line of the reader's on the way to an error."""
    found, inside = None, False
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if inside and is_readers(code):
            found = Line.of(code, traceback.tb_lineno)
        inside = inside or code.co_name == "watched"
        traceback = traceback.tb_next
    return found


def is_empty(function: Callable) -> bool:
    """Whether it looks at nothing, not even at what it is given; so where its code is unknown.

    >>> is_empty(lambda m, k: None), is_empty(lambda m, k: print(m * k))
    (True, False)
    """
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    looks = ("LOAD_FAST", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF")
    return code is None or not any(i.opname.startswith(looks) for i in dis.get_instructions(code))


def lines_of(answer: Callable) -> int:
    """Lines of code in the body, without comments, blanks and docstring; 0 where unknown.

    Of a Function, those of its backward.

    """
    answer = getattr(answer, "py_func", answer)
    try:
        source = inspect.getsource(getattr(answer, "backward", answer))
        function = ast.parse(textwrap.dedent(source)).body[0]
    except (OSError, TypeError, SyntaxError):
        return 0  # typed where no source is kept
    if not isinstance(function, ast.FunctionDef):
        return 0  # a lambda
    body = function.body[1:] if ast.get_docstring(function) else function.body
    nodes = (node for statement in body for node in ast.walk(statement))
    return len({node.lineno for node in nodes if hasattr(node, "lineno")})

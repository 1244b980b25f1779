"""The checks behind the notebooks' exercises.

``check(name, answer)`` runs a reader's answer and says ``correct``, says that there is no answer
yet, or raises an ``AssertionError`` that explains what is wrong.  One file here for each chapter.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable

from mtlib.exercises import fusing

EXERCISES: dict[str, Callable] = {**fusing.EXERCISES}
LINES: dict[str, int] = {**fusing.LINES}


def check(name: str, answer: Callable) -> None:
    """Check the answer to the exercise ``name``.

    Raises ``ValueError`` for a name that is no exercise, ``AssertionError`` for a wrong answer and
    for one that takes more lines than the exercise allows.

    >>> check("bytes_kept", lambda m, k, n: None)
    bytes_kept: not attempted yet
    >>> check("bytes_kept", lambda m, k, n: 8 * (m * k + k * n + m * k * n))
    bytes_kept: correct
    """
    if name not in EXERCISES:
        raise ValueError(f"check: no exercise is called {name!r}, only {', '.join(EXERCISES)}")
    if EXERCISES[name](answer) is NotImplemented:
        print(f"{name}: not attempted yet")
        return
    used = lines_of(answer)
    if used > LINES[name]:
        raise AssertionError(f"{name}: right, but in {used} lines; {LINES[name]} are enough")
    print(f"{name}: correct")


def lines_of(answer: Callable) -> int:
    """Lines of code in the body, without comments, blanks and docstring; 0 where unknown.

    Of a Function, those of its backward.
    """
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

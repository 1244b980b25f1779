"""A written kernel as the plain Python that ``NUMBA_DISABLE_JIT=1`` runs.

Compiled, every number has a dtype, and division by 0 follows IEEE 754.  So have NumPy's numbers,
but not Python's own, such as the 0.0 in the text of a kernel or the 0 that ``relu`` returns.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable

import numpy as np


def with_numpy_numbers(text: str) -> ast.Module:
    """The syntax tree of ``text``, in which each number with a point is NumPy's.

    >>> ast.unparse(with_numpy_numbers("y = 1.0 / x[0]"))
    'y = float64(1.0) / x[0]'
    """
    return ast.fix_missing_locations(_Numbers().visit(ast.parse(text)))


class _Numbers(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        return ast.copy_location(ast.Call(ast.Name("float64", ast.Load()), [node], []), node)


def giving_numpy_numbers(function: Callable) -> Callable:
    """``function``, with a result of NumPy's where it is one of Python's."""

    @functools.wraps(function)
    def wrapped(*numbers):
        result = function(*numbers)
        return np.float64(result) if type(result) in (int, float) else result

    return wrapped

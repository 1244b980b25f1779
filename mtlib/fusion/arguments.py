"""The arguments of a call: which are tensors, and where each of them goes.

Two calls run the same program if the same goes to the same place, however it was passed: so do
``f(x, 2)`` and ``f(x, by=2)``, and so do not ``f(x, scale=3)`` and ``f(x, shift=3)``.
"""

from __future__ import annotations

import inspect
import keyword
import unicodedata
from collections.abc import Callable, Mapping

import numpy as np

from mtlib.make import tensor
from mtlib.tensor import Tensor

# Where an argument goes: a parameter, and in *args the position, in **kwargs the name.
Place = tuple[str, int | str | None]


def placed(bound: inspect.BoundArguments) -> dict[Place, object]:
    """Every argument by its place.

    What is passed by name stays in the order of the call, since the function can see that order.
    """
    found: dict[Place, object] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found |= {(name, i): x for i, x in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found |= {(name, key): x for key, x in value.items()}
        else:
            found[name, None] = value
    return found


def call(fn: Callable, bound: inspect.BoundArguments, others: Mapping[Place, object]):
    """``fn`` for the arguments in ``bound``, with ``others`` in their places."""
    args = inspect.BoundArguments(bound.signature, dict(bound.arguments))
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            args.arguments[name] = tuple(others.get((name, i), x) for i, x in enumerate(value))
        elif kind is inspect.Parameter.VAR_KEYWORD:
            args.arguments[name] = {key: others.get((name, key), x) for key, x in value.items()}
        else:
            args.arguments[name] = others.get((name, None), value)
    return fn(*args.args, **args.kwargs)


def described(place: Place) -> str:
    """``place`` in an error: what the caller passed there.

    >>> described(("x", None)), described(("args", 2)), described(("options", "scale"))
    ('x', 'args[2]', 'scale')
    """
    name, part = place
    return name if part is None else part if isinstance(part, str) else f"{name}[{part}]"


def labelled(places: list[Place]) -> dict[Place, str]:
    """A name for each input of a program, no two alike, that the text of a kernel can use.

    >>> labelled([("x0", None), ("x", 0), ("t", "y"), ("t", "a b")])
    {('x0', None): 'x0', ('x', 0): 'x0_', ('t', 'y'): 'y', ('t', 'a b'): 't3'}
    """
    labels: dict[Place, str] = {}
    for number, place in enumerate(places):
        name, part = place
        if isinstance(part, int):
            label = f"{name}{part}"
        else:
            label = name if part is None else part if is_name(part) else f"{name}{number}"
        while label in labels.values():
            label += "_"
        labels[place] = label
    return labels


def is_name(text: str) -> bool:
    """Whether ``text`` means itself where Python expects a name."""
    plain = text.isidentifier() and not keyword.iskeyword(text)
    return plain and unicodedata.normalize("NFKC", text) == text


def is_integers(value) -> bool:
    """Whether ``value`` is an array of integers, such as labels."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def as_tensor(value) -> Tensor:
    """What a program computes with: ``value`` itself, or the integers of an array as floats."""
    return value if isinstance(value, Tensor) else tensor(value)

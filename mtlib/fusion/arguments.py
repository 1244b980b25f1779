"""The arguments of a call: which are tensors, and where each of them goes.

Two calls run the same program if the same goes to the same place, however it was passed: so do
``f(x, 2)`` and ``f(x, by=2)``, and so do not ``f(x, scale=3)`` and ``f(x, shift=3)``.
"""

from __future__ import annotations

import inspect
import keyword
import unicodedata
from collections import abc
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtlib.make import tensor
from mtlib.tensor import Tensor

# Where an argument goes: a parameter, and in *args the position, in **kwargs the name.
Place = tuple[str, int | str | None]


@dataclass(eq=False)
class Arguments:
    """The arguments of a call, told apart by :func:`classified`.

    ``tensors`` are those that a program computes with, by place: also copies of arrays of bools and
    of integers, whose dtypes are in ``arrays``.  ``others``, each with what the caller calls it,
    are part of the program.  Programs are told apart by ``key``, and by what the others are.
    """

    bound: inspect.BoundArguments
    tensors: dict[Place, Tensor]
    arrays: dict[Place, np.dtype]
    others: list[tuple[str, object]]
    key: tuple

    def with_tensors(self, tensors: Mapping[Place, Tensor]) -> inspect.BoundArguments:
        """These arguments, with others in the places of ``tensors``."""
        args = inspect.BoundArguments(self.bound.signature, dict(self.bound.arguments))
        for name, value in args.arguments.items():
            kind = args.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                value = tuple(tensors.get((name, i), x) for i, x in enumerate(value))
            elif kind is inspect.Parameter.VAR_KEYWORD:
                value = {key: tensors.get((name, key), x) for key, x in value.items()}
            else:
                value = tensors.get((name, None), value)
            args.arguments[name] = value
        return args


def classified(bound: inspect.BoundArguments) -> Arguments:
    """The arguments in ``bound``, told apart.

    Raises ``TypeError`` for what might have tensors in it, or values of its own.

    >>> import mtlib
    >>> signature = inspect.signature(lambda x, *more, by=2: x)
    >>> found = classified(signature.bind(mtlib.ones(3), 1, by=np.arange(3)))
    >>> list(found.tensors), found.arrays, found.others
    ([('x', None), ('by', None)], {('by', None): dtype('int64')}, [('more[0]', 1)])
    """
    tensors: dict[Place, Tensor] = {}
    arrays: dict[Place, np.dtype] = {}
    others: list[tuple[str, object]] = []
    places = _placed(bound)
    for place, x in places.items():
        if isinstance(x, Tensor):
            tensors[place] = x
        elif isinstance(x, np.ndarray) and x.dtype.kind in "iub":
            tensors[place] = tensor(x)
            arrays[place] = x.dtype
        else:
            _check(described(place), x)
            others.append((described(place), x))
    lie = tuple((x.layout, x.dtype, x.requires_grad) for x in tensors.values())
    key = tuple(places), tuple(tensors), tuple(arrays.items()), lie
    return Arguments(bound, tensors, arrays, others, key)


def _placed(bound: inspect.BoundArguments) -> dict[Place, object]:
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


def _check(name: str, x) -> None:
    if isinstance(x, np.ndarray):
        raise TypeError(
            f"fuse: {name} is a NumPy array; pass a tensor (from_numpy shares its memory)"
        )
    if isinstance(x, (abc.MutableSequence, abc.MutableMapping, abc.MutableSet)):
        raise TypeError(
            f"fuse: {name} is a {type(x).__name__}; pass tensors one by one, integers as an "
            "array, and only numbers, strings, tuples and the like beside them"
        )


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

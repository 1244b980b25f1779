"""What a function sees beside its arguments: globals, closures, attributes, the functions it calls.

A program is read once, with what these were then.  So their values are part of what a program is
known by: they are looked at before each call, and after a change the function is read again.

What there is to see is told by the code: the globals and cells that it names, the attributes that
it names of what it finds there, and so on through the functions that are called.  Of an object only
attributes that some code names are looked at, unless it works out their names, as with ``vars``:
then all are.  What lies in a library is taken to stay as it is; but a function or a container of a
library can hold what is the user's.
"""

from __future__ import annotations

import array
import collections
import contextlib
import contextvars
import dis
import functools
import importlib.util
import itertools
import operator
import os
import random
import sys
import sysconfig
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from mtlib.tensor import Tensor

# Special methods that code does not run by using an object, as it does those of operators.
NOT_IMPLIED = frozenset({"__new__", "__init__", "__post_init__", "__repr__"})

# Names in code that finds attributes whose names it works out, or all that there are.
ASKING = frozenset({"vars", "dir", "__dict__", "__getattribute__"}) | {
    *("attrgetter", "methodcaller", "asdict", "astuple", "getmembers"),
}

# What is known by what stands behind it, and can be another object at each call.
BEHIND = {
    types.MethodType: ("__func__", "__self__"),
    types.BuiltinMethodType: ("__name__", "__self__"),
    types.MethodWrapperType: ("__name__", "__self__"),
    functools.partial: ("func", "args", "keywords"),
    functools.partialmethod: ("func", "args", "keywords"),
    functools.cached_property: ("func",),
    functools.singledispatchmethod: ("func", "dispatcher"),
    property: ("fget",),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    slice: ("start", "stop", "step"),
    range: ("start", "stop", "step"),
    np.vectorize: ("pyfunc",),
    collections.ChainMap: ("maps",),
    collections.UserDict: ("data",),
    collections.UserList: ("data",),
    **dict.fromkeys(map(type, ({}.keys(), {}.values(), {}.items())), ("mapping",)),
}
_SEQUENCES = (tuple, list, set, frozenset, collections.deque)
_BYTES = (bytearray, memoryview, array.array)
_HELD = {weakref.ref: lambda ref: ref(), contextvars.ContextVar: lambda var: var.get(None)}
_ASKERS = (operator.attrgetter, operator.methodcaller)  # that the user made

_EXACT = frozenset({type(None), bool, int, str, bytes})
_NUMBERS = frozenset({float, complex})
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)


class Guard:
    """Looks at what ``fn`` sees.

    >>> rate = 0.5
    >>> guard = Guard(lambda x: x * rate)
    >>> before = guard.snapshot().state
    >>> guard.snapshot().state == before
    True
    >>> rate = 0.1
    >>> guard.snapshot().state == before
    False
    """

    def __init__(self, fn: Callable) -> None:
        self.fn = fn
        self.names = frozenset({"__wrapped__"})  # that the code has for attributes, so far
        self.asks = False  # whether it also works out names for them
        self.texts: frozenset[str] = frozenset()  # that were seen, and can be such names
        self.codes: dict[int, Code] = {}  # that were seen, by id
        self._one_at_a_time = threading.Lock()

    def snapshot(self, given: Iterable[tuple[str, object]] = ()) -> Snapshot:
        """What there is to see now in the function, and in arguments ``given`` with their names.

        Raises ``TypeError`` for a NumPy array: its values might be read, and are not compared.
        """
        while True:
            known = self.names, self.asks, self.texts
            seen = Snapshot(self)
            seen.take(given)
            if known == (self.names, self.asks, self.texts):
                return seen

    def code_of(self, fn: types.FunctionType) -> Code:
        """What the code of ``fn`` names, of which the attributes are looked for from now on."""
        code = self.codes.get(id(fn.__code__))
        if code is None:
            code = Code(fn.__code__, fn is not self.fn)
            self.learn(names=code.attributes, asks=code.asks)
            self.codes[id(fn.__code__)] = code
        return code

    def learn(self, **seen) -> None:
        """More of what attributes are to be looked for from now on."""
        with self._one_at_a_time:
            for what, new in seen.items():
                old = getattr(self, what)
                if old | new != old:
                    setattr(self, what, old | new)


class Snapshot:
    """What a function sees at one time: where ``state`` is equal, its program is the same."""

    state: tuple

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._met: dict[int, int] = {}  # for each object that was looked at, the how manieth it is
        self._generators: list = []  # of random numbers, that came into view

    def take(self, given: Iterable[tuple[str, object]]) -> None:
        """Look at the function, and at ``given`` arguments with their names."""
        guard, fn = self._guard, self._guard.fn
        self.state = (
            *[self._at(value, name) for name, value in given],
            self._at(fn, getattr(fn, "__name__", "the function")),
        )
        if "random" in guard.names:  # then those of the modules may be in use
            self._generators += [random._inst, np.random.mtrand._rand]

    def drawn(self) -> list[str]:
        """How far the generators of random numbers in view have got."""
        return [repr(_progress(generator)) for generator in self._generators]

    def _at(self, value, where: str):
        """What is to be compared of ``value``, which the code finds at ``where``."""
        kind = type(value)
        if kind in _EXACT:
            if self._guard.asks and kind is str:
                self._guard.learn(texts={value})
            return kind, value
        if kind is types.ModuleType and _is_library(value):
            return value
        if kind in _NUMBERS or isinstance(value, np.generic):
            return kind, repr(value)  # nan is like nan, and 0.0 is not like -0.0
        if isinstance(value, Tensor):  # whose values a program cannot ask for
            return kind, value.layout, value.dtype, value.requires_grad
        if isinstance(value, np.ndarray):
            raise TypeError(
                f"fuse: the program uses {where}, a NumPy array of shape {value.shape} that is not "
                "among its arguments; pass it as one, so that its values can change from call to "
                "call"
            )
        if id(value) in self._met:
            return self._met[id(value)]
        self._met[id(value)] = len(self._met)
        parts = self._function if kind is types.FunctionType else self._parts
        return kind, *parts(value, where)

    def _parts(self, value, where: str) -> Iterator:
        kind = type(value)
        own = _own(kind)
        if own is object:
            yield Identity(value)
            yield from self._object(value, where)
            return
        if own in BEHIND:
            for name in BEHIND[own]:
                yield self._at(getattr(value, name), where)
        elif issubclass(own, Mapping):
            for key, x in own.items(value):
                yield self._at(key, where)
                yield self._at(x, f"{where}[{key!r}]")
        elif issubclass(own, _SEQUENCES):
            for i, x in enumerate(own.__iter__(value)):
                yield self._at(x, f"{where}[{i}]")
        elif issubclass(own, _BYTES):
            yield bytes(value)
        else:
            yield Identity(value)
            if own in _HELD:
                yield self._at(_HELD[own](value), where)
            elif own in _ASKERS:
                texts = [x for x in value.__reduce__()[1] if isinstance(x, str)]
                self._guard.learn(names=set(".".join(texts).split(".")))
            else:
                yield from self._object(value, where)
            return
        if own is not kind:
            yield from self._object(value, where)

    def _function(self, fn: types.FunctionType, where: str) -> Iterator:
        code = self._guard.code_of(fn)
        yield code.same
        if not code.is_library:
            yield from self._globals(fn, code, where)
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            try:
                yield name, self._at(cell.cell_contents, name)
            except ValueError:  # a cell that is still empty
                yield name
        if fn.__dict__:
            yield from self._object(fn, where)

    def _globals(self, fn: types.FunctionType, code: Code, where: str) -> Iterator:
        if fn is not self._guard.fn and (fn.__defaults__ or fn.__kwdefaults__):  # else arguments
            yield self._at(fn.__defaults__, where), self._at(fn.__kwdefaults__, where)
        for name in code.variables:
            if name in fn.__globals__:
                yield name, self._at(fn.__globals__[name], name)
        for name in code.imports:
            with contextlib.suppress(ImportError):  # which the function may expect
                name = importlib.util.resolve_name(name, fn.__globals__.get("__package__") or "")
            if name in sys.modules:
                yield name, self._at(sys.modules[name], name)

    def _object(self, value, where: str) -> Iterator:
        """Attributes of ``value`` that the code names, its own and those of its class."""
        if isinstance(value, _GENERATORS):
            self._generators.append(value)
        names, kind = self._guard.names, type(value)
        everything = self._guard.asks and kind is not types.ModuleType  # which can hold too much
        attributes = {} if isinstance(value, type) else getattr(value, "__dict__", {})
        wanted = names | self._guard.texts if self._guard.texts else names
        for name in sorted(attributes if everything else wanted & attributes.keys()):
            x = attributes[name]
            if everything and isinstance(x, np.ndarray):  # which the code may not look at
                yield name, x.shape, x.dtype, hash(x.tobytes())
            else:
                yield name, self._at(x, f"{where}.{name}")
        for cls in (*value.__mro__, *kind.__mro__) if isinstance(value, type) else kind.__mro__:
            if _is_library(cls):
                continue
            for name, member in list(cls.__dict__.items()):
                special = name.startswith("__") and isinstance(member, types.FunctionType)
                runs = special and (name not in NOT_IMPLIED or isinstance(value, type))
                if not (runs or everything or name in names):
                    continue
                if isinstance(member, types.MemberDescriptorType):  # of a class with __slots__
                    member = getattr(value, name, None)
                yield name, self._at(member, f"{where}.{name}")


class Code:
    """The code of a function: the globals that it reads, and what it may ask an object for."""

    def __init__(self, code: types.CodeType, can_be_library: bool) -> None:
        self.code, self.same = code, Identity(code)
        self.is_library = can_be_library and _is_library_file(code.co_filename)
        self.asks = False  # whether for attributes whose names it works out
        variables: dict[str, None] = {}
        imports: dict[str, None] = {}
        names: set[str] = set()
        waiting = [] if self.is_library else [code]
        while waiting:
            part = waiting.pop()
            steps = list(dis.get_instructions(part))
            for at, step in enumerate(steps):
                if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                    variables[step.argval] = None
                    self.asks |= step.argval == "getattr" and not _by_constant(steps[at + 1 :])
                elif step.opname == "IMPORT_NAME":
                    imports["." * steps[at - 2].argval + step.argval] = None
                self.asks |= step.opname == "MATCH_CLASS"
            self.asks |= not ASKING.isdisjoint(part.co_names)
            names.update(part.co_names, _texts(part.co_consts))  # as getattr takes them
            waiting += [x for x in part.co_consts if isinstance(x, types.CodeType)]
        self.variables, self.imports = tuple(variables), tuple(imports)
        self.attributes = frozenset(names)


def _by_constant(steps: list[dis.Instruction]) -> bool:
    """Whether ``steps`` go on as ``getattr(x.y.z, "name")`` or ``getattr(x.y.z, "name", w)``."""
    after = itertools.dropwhile(lambda step: step.opname == "LOAD_ATTR", steps[1:])
    first, *rest = (step.opname for step in itertools.islice(after, 3))
    return first == "LOAD_CONST" and any(name in ("PRECALL", "CALL") for name in rest)


def _texts(constants: Iterable) -> Iterator[str]:
    for x in constants:
        if isinstance(x, str):
            yield x
        elif isinstance(x, (tuple, frozenset)):
            yield from _texts(x)


class Identity:
    """Equal to itself alone, as ``value`` is, and does not keep it alive if that can be avoided."""

    __slots__ = ("_find", "_id")

    def __init__(self, value) -> None:
        self._id = id(value)
        try:
            self._find = weakref.ref(value)
        except TypeError:
            self._find = lambda: value

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other) -> bool:
        found = self._find()
        return found is not None and isinstance(other, Identity) and found is other._find()


def _progress(generator):
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state()


@functools.lru_cache(maxsize=1 << 12)
def _own(kind: type) -> type:
    """The first class among the bases of ``kind``, itself included, that the user did not write."""
    return next(cls for cls in kind.__mro__ if _is_library(cls))


@functools.lru_cache(maxsize=1 << 12)
def _is_library(thing: types.ModuleType | type) -> bool:
    """Whether a module or a class is taken to stay as it is: not one that the user wrote."""
    module = sys.modules.get(thing.__module__) if isinstance(thing, type) else thing
    if file := getattr(module, "__file__", None):
        return _is_library_file(file)
    return module is not None and module.__name__ in sys.builtin_module_names


def _is_library_file(file: str) -> bool:
    return file.startswith(("<frozen", *_libraries()))


@functools.cache
def _libraries() -> tuple[str, ...]:
    """The folders of the standard library, of what is installed, and of NumPy and this library."""
    schemes = {sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")}
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    places = {sysconfig.get_path(kind, scheme) for scheme in schemes for kind in kinds}
    places |= {str(Path(np.__file__).parent), str(Path(__file__).parents[1])}
    return tuple(f"{place}{os.sep}" for place in places)

"""Arrays that count how often each element is loaded and stored, and see who takes them whole.

The reader's own loops run on them as plain Python.  What NumPy does to a whole array at once is
written down with the line that asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mtlib.exercises.lines import Line, current_line


class Counting(np.ndarray):
    """An array that keeps, beside each element, how often it was loaded and stored.

    >>> a = Counting.over(np.ones(3))
    >>> a[0] += a[1]
    >>> a.loads, a.stores
    (array([1, 1, 0]), array([1, 0, 0]))
    """

    loads: np.ndarray
    stores: np.ndarray

    @classmethod
    def over(cls, array):
        self = array.view(cls)
        self.loads, self.stores = np.zeros(array.shape, int), np.zeros(array.shape, int)
        return self

    def __getitem__(self, key):
        part = super().__getitem__(key)
        if isinstance(part, Counting):
            part.loads, part.stores = self.loads[key], self.stores[key]
        else:
            self.loads[key] += 1
        return part

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.stores[key] += 1


@dataclass
class Whole:
    """An operation on a whole array: what it is called, what it made, and where it was asked."""

    name: str
    shape: tuple[int, ...]
    line: Line | None


@dataclass
class Log:
    """What was done to arrays as a whole, and what was made beside them, in one run."""

    wholes: list[Whole] = field(default_factory=list)
    made: list[tuple[Watched, Line | None]] = field(default_factory=list)

    def enter(self, name: str, result) -> None:
        self.wholes.append(Whole(name, np.shape(result), current_line()))

    def array(self, array: np.ndarray) -> Watched:
        """An array made by the reader, which counts from here on."""
        watched = Watched.watch(array, self)
        self.made.append((watched, current_line()))
        return watched


# These look at an array's shape and not at its numbers.
_HARMLESS = {"shape", "ndim", "size", "zeros_like", "empty_like", "ones_like", "full_like"}
_HARMLESS |= {"shares_memory", "may_share_memory", "iscomplexobj"}
_VIEWS = ("transpose", "swapaxes", "reshape", "squeeze")
_COPIES = ("copy", "tolist", "astype", "flatten", "ravel", "dot", "take", "tobytes")


class Watched(Counting):
    """A counting array that tells its log when NumPy takes it whole."""

    loads = stores = log = None

    @classmethod
    def watch(cls, array: np.ndarray, log: Log) -> Watched:
        self = cls.over(array)
        self.log = log
        return self

    def __getitem__(self, key):
        if self.loads is None:  # a view made behind our back
            return np.ndarray.__getitem__(self, key)
        part = super().__getitem__(key)
        if isinstance(part, Watched):
            part.log = self.log
        return part

    def __setitem__(self, key, value):
        if isinstance(value, Watched):
            value = value._taken()
        np.ndarray.__setitem__(self, key, value)
        if self.stores is not None:
            self.stores[key] += 1

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))  # to print is not to load

    def __str__(self) -> str:
        return str(self.view(np.ndarray))

    def item(self, *at):
        return self[at[0] if len(at) == 1 and isinstance(at[0], tuple) else at].item()

    @property
    def T(self):
        return self.transpose()

    def _taken(self) -> np.ndarray:
        """The plain array, of which every element is loaded."""
        if self.loads is not None:
            self.loads += 1
        return self.view(np.ndarray)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        log = next((x.log for x in (*inputs, *out) if isinstance(x, Watched)), None)
        plain = [_plain(x) for x in inputs]
        if out:
            options["out"] = tuple(x.view(np.ndarray) if isinstance(x, Watched) else x for x in out)
        result = getattr(ufunc, method)(*plain, **options)
        if log:
            log.enter(_name(ufunc, method), result)
        for x in out:
            if isinstance(x, Watched) and x.stores is not None:
                x.stores += 1
        return out[0] if len(out) == 1 else result

    def __array_function__(self, function, types, arguments, options):
        name = function.__name__
        if name in _HARMLESS:
            bare = {k: _plain(v, False) for k, v in options.items()}
            return function(*[_plain(x, False) for x in arguments], **bare)
        named = {k: _plain(v) for k, v in options.items()}
        result = function(*[_plain(x) for x in arguments], **named)
        if self.log:
            self.log.enter(name, result)
        return result


Watched.__name__ = "array"  # as errors call it


def _plain(x, taken: bool = True):
    """``x`` with plain arrays in the place of watched ones, in lists too."""
    if isinstance(x, Watched):
        return x._taken() if taken else x.view(np.ndarray)
    if isinstance(x, list | tuple):
        return type(x)(_plain(part, taken) for part in x)
    return x


def _name(ufunc, method: str) -> str:
    if method == "__call__":
        return ufunc.__name__
    return "sum" if (ufunc, method) == (np.add, "reduce") else f"{ufunc.__name__}.{method}"


def _viewing(name: str):
    def method(self, *arguments):
        part = getattr(np.ndarray, name)(self, *arguments)
        if self.loads is not None and np.shares_memory(part, self):
            part.log = self.log
            part.loads = getattr(self.loads, name)(*arguments)
            part.stores = getattr(self.stores, name)(*arguments)
        return part

    return method


def _copying(name: str):
    def method(self, *arguments, **options):
        result = getattr(self._taken(), name)(*map(_plain, arguments), **options)
        if self.log:
            self.log.enter(name, result)
        return result

    return method


for _method in _VIEWS:
    setattr(Watched, _method, _viewing(_method))
for _method in _COPIES:
    setattr(Watched, _method, _copying(_method))

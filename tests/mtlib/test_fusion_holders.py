"""fuse: changes behind what holds them: containers, wrappers of a library, names worked out."""

import array
import collections
import contextlib
import contextvars
import dataclasses
import enum
import functools
import importlib.util
import operator
import types
import weakref

import numpy as np
import pytest

import mtlib

pytestmark = pytest.mark.usefixtures("plain")

ONES = mtlib.ones(3)
RATE, NAME = 1, "rate"


@pytest.fixture(autouse=True)
def _rate(monkeypatch):
    monkeypatch.setitem(globals(), "RATE", 1)


def set_rate():
    globals()["RATE"] = 4


def follows(fn, change, *inputs):
    """``fuse(fn)`` is ``fn``, before ``change()`` and after it, which makes a difference."""
    inputs = inputs or (ONES,)
    fused, found = mtlib.fuse(fn), []
    for _ in range(2):
        expected = fn(*inputs)
        np.testing.assert_array_equal(fused(*inputs), expected)
        found.append(expected.tolist())
        change()
    assert found[0] != found[1]


# --- Containers -----------------------------------------------------------------------------------

UNDER = {"rate": 1}
CONTAINERS = {
    "deque": (collections.deque([1]), lambda c: c.append(2)),
    "ChainMap": (collections.ChainMap({}, {"a": 1}), lambda c: c.maps[1].update(a=2)),
    "UserDict": (collections.UserDict(a=1), lambda c: c.update(a=2)),
    "UserList": (collections.UserList([1]), lambda c: c.append(2)),
    "mappingproxy": (types.MappingProxyType(UNDER), lambda c: UNDER.update(rate=5)),
    "values of a dict": (UNDER.values(), lambda c: UNDER.update(rate=7)),
    "array": (array.array("d", [1]), lambda c: c.append(2)),
    "bytearray": (bytearray(b"a"), lambda c: c.append(2)),
    "memoryview": (memoryview(bytearray(b"a")), lambda c: operator.setitem(c, 0, 2)),
}


def total(held):
    return sum(held.values() if hasattr(held, "values") else held)


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    held, change = CONTAINERS[name]
    follows(lambda x: x * total(held), lambda: change(held))


class Settings(dict):
    scale = 2

    def scaled(self):
        return self["by"] * RATE


class Pair(collections.namedtuple("Pair", "a b")):
    def scaled(self):
        return self.a * RATE


class Degrees(float):
    def __repr__(self):
        return "degrees"


class Numbered(enum.IntEnum):
    ONE = 1
    TWO = 2


def test_a_container_that_is_more():
    """Of a class of its own, with attributes and methods."""
    settings = Settings(by=1)
    follows(lambda x: x * settings.scaled(), set_rate)
    follows(lambda x: x * settings.scale, lambda: setattr(settings, "scale", 3))
    pair = Pair(2, 3)
    follows(lambda x: x * pair.scaled(), lambda: globals().update(RATE=5))


@pytest.mark.parametrize("values", [(Degrees(1), Degrees(2)), (Numbered.ONE, Numbered.TWO)])
def test_a_number_of_another_class(values):
    value, other = values

    def change():
        nonlocal value
        value = other

    follows(lambda x: x * value, change)


def test_what_is_held_weakly_or_by_context():
    held = Rates()
    reference, variable = weakref.ref(held), contextvars.ContextVar("variable", default=1)
    follows(lambda x: x * reference().rate, lambda: setattr(held, "rate", 2))
    follows(lambda x: x * variable.get(), lambda: variable.set(2))
    numbers = [1]
    length = numbers.__len__
    follows(lambda x: x * length(), lambda: numbers.append(2))


# --- Functions of the user's in wrappers of a library ---------------------------------------------


@mtlib.no_grad()
def under_no_grad(x):
    return x * RATE


@contextlib.contextmanager
def managed():
    yield RATE


def in_context(x):
    with managed() as rate:
        return x * rate


@functools.singledispatch
def dispatched(x):
    return RATE


class Wrapping(type):
    @property
    def of_metaclass(cls):
        return RATE


class Wrapped(metaclass=Wrapping):
    def times(self, k):
        return k * RATE

    doubled = functools.partialmethod(times, 2)

    @functools.singledispatchmethod
    def dispatched(self, x):
        return RATE


@pytest.mark.parametrize(
    "fn",
    [
        under_no_grad,
        lambda x: under_no_grad(x) + 1,
        in_context,
        lambda x: x * dispatched(1),
        lambda x: x * Wrapped().doubled(),
        lambda x: x * Wrapped().dispatched(1),
        lambda x: x * Wrapped.of_metaclass,
    ],
)
def test_wrappers(fn):
    follows(fn, set_rate)


def test_an_implementation_that_is_registered_later():
    follows(lambda x: x * dispatched("text"), lambda: dispatched.register(str)(lambda x: 9))


def test_a_module_that_nobody_registered(tmp_path):
    """As one that is read from a file by hand: its classes are the user's too."""
    (tmp_path / "by_hand.py").write_text("class Settings:\n    rate = 1\n")
    spec = importlib.util.spec_from_file_location("by_hand", tmp_path / "by_hand.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    settings = module.Settings()
    follows(lambda x: x * settings.rate, lambda: setattr(module.Settings, "rate", 2))


# --- Attributes whose names the code works out ----------------------------------------------------


@dataclasses.dataclass(eq=False)
class Rates:
    rate: int = 1
    other: int = 0


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


get_rate = operator.attrgetter("rate")


def matched(x, rates):
    match rates:
        case Rates(rate):
            return x * rate


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, rates: x * getattr(rates, NAME),
        lambda x, rates: x * sum(getattr(rates, name) for name in ("rate",)),
        lambda x, rates: x * getattr(rates, f"ra{'te'}"),
        lambda x, rates: x * getattr(rates, NAME, "nothing"),
        lambda x, rates: x * get_rate(rates),
        lambda x, rates: x * sum(vars(rates).values()),
        lambda x, rates: x * sum(rates.__dict__.values()),
        lambda x, rates: x * sum(dataclasses.astuple(rates)),
        matched,
    ],
)
def test_names_that_are_worked_out(fn):
    rates = Rates()
    follows(fn, lambda: setattr(rates, "rate", 2), ONES, rates)


def test_names_of_slots_that_are_worked_out():
    slotted = Slotted(1)
    follows(lambda x: x * getattr(slotted, NAME), lambda: setattr(slotted, "rate", 2))


def test_a_name_in_a_constant_is_not_worked_out(read):
    """Then what else there is does not matter: neither arrays nor changes."""
    rates = Rates(other=np.ones(3))
    fused = mtlib.fuse(lambda x: x * getattr(rates, "rate", 1))
    fused(ONES)
    rates.other = 5
    assert fused(ONES).tolist() == [1] * 3
    assert len(read) == 1


def test_an_array_beside_what_is_asked_for():
    """Its values could be asked for, so they are compared, and it is not refused."""
    rates = Rates(other=np.ones(3))
    follows(lambda x: x * getattr(rates, NAME), lambda: setattr(rates, "rate", 2))
    follows(lambda x: x * getattr(rates, f"oth{'er'}")[0], lambda: rates.other.fill(2))

"""fuse: what a function sees beside its arguments, and how it is read again when that changes."""

import functools
import math
import random
import sys
import types

import numpy as np
import pytest

import mtlib

pytestmark = pytest.mark.usefixtures("plain")

ONES = mtlib.ones(3)
RATE, FLAG, TABLE, NESTED = 0.5, False, [1, 2], (1, (2.0, None), {"deep": 3})
INDIRECT = 1


def scaled(x):
    return x * INDIRECT


@mtlib.fuse
def decorated(x):
    return x * RATE


class Config:
    scale = 2

    def __init__(self, shift=0):
        self.shift = shift
        self.unused = 0

    @property
    def both(self):
        return self.scale + self.shift

    def __getitem__(self, key):
        return self.shift * key

    def __rmul__(self, x):
        return x * self.shift


class Made:
    def __init__(self):
        self.rate = RATE


CONFIG = Config()
MODULE = types.ModuleType("settings")
MODULE.rate = 2


PLACES = {
    "a number": (lambda x: x * RATE, "RATE", [0.5, 0.25, 1, 1.0, -0.0, 0.0, np.float32(0.1)]),
    "more digits than Python writes": (lambda x: x * (RATE % 7), "RATE", [10**5000, 10**5001]),
    "nan": (lambda x: x * RATE, "RATE", [math.nan, 1]),
    "a flag": (lambda x: x if FLAG else -x, "FLAG", [True, False, None]),
    "a list": (lambda x: x * sum(TABLE) + len(TABLE), "TABLE", [[1, 2], [2, 1, 0], (1, 2)]),
    "nested": (
        lambda x: x * len(repr(NESTED)),
        "NESTED",
        [(1, (2.0, None)), (1, (2.0, None, ())), (1.0, (2, "None"))],
    ),
    "in a function that is called": (lambda x: scaled(x) + 1, "INDIRECT", [1, 2, 3.0]),
    "in a function in a partial": (
        functools.partial(lambda k, x: scaled(x) * k, 2),
        "INDIRECT",
        [1, 4],
    ),
    "in a comprehension": (lambda x: x * sum([RATE * i for i in range(4)]), "RATE", [1, 2]),
    "in a function inside": (lambda x: (lambda: x * RATE)(), "RATE", [1, 2]),
    "in an object made inside": (lambda x: x * Made().rate, "RATE", [1, 2]),
    "in a fused function": (
        lambda x: decorated(x) + 1,
        "RATE",
        [1, 2],
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_globals(name, monkeypatch):
    fn, variable, values = PLACES[name]
    fused = mtlib.fuse(fn)
    for value in [*values, *values]:
        monkeypatch.setitem(globals(), variable, value)
        result, expected = fused(ONES).numpy(), fn(ONES).numpy()
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))


def test_what_stays_is_not_read_again(monkeypatch, read):
    fused = mtlib.fuse(lambda x: x * RATE + CONFIG.both)
    monkeypatch.setattr(CONFIG, "unused", 0)
    for rate in (0.5, 0.5, 0.25, 0.5, math.nan, math.nan):
        monkeypatch.setitem(globals(), "RATE", rate)
        fused(ONES)
    assert len(read) == 3
    CONFIG.unused = 7
    fused(ONES)
    assert len(read) == 3


def test_closures():
    rate = 0.5
    step = mtlib.fuse(lambda w, g: w - rate * g)  # noqa: F821
    assert step(ONES, ONES).tolist() == [0.5] * 3
    rate = 0.25
    assert step(ONES, ONES).tolist() == [0.75] * 3
    del rate  # and the cell is empty
    with pytest.raises(NameError, match="rate"):
        step(ONES, ONES)


def test_a_list_that_is_changed_in_place():
    factors = [2]
    fused = mtlib.fuse(lambda x: x * math.prod(factors))
    assert fused(ONES).tolist() == [2] * 3
    factors.append(5)
    assert fused(ONES).tolist() == [10] * 3


def test_what_a_name_stands_for(monkeypatch):
    """Functions, classes and functions of a library can be put in the place of others."""
    fused = mtlib.fuse(lambda x: scaled(x))
    assert fused(ONES).tolist() == [1] * 3
    for other in (lambda x: x * 5, mtlib.Tensor.exp, functools.partial(mtlib.maximum, 7)):
        monkeypatch.setitem(globals(), "scaled", other)
        np.testing.assert_allclose(fused(ONES), other(ONES))
    monkeypatch.setattr(Config, "scale", 11)
    of_class = mtlib.fuse(lambda x: x * Config.scale)
    assert of_class(ONES).tolist() == [11] * 3
    monkeypatch.setattr(Config, "scale", 12)
    assert of_class(ONES).tolist() == [12] * 3


def test_a_builtin_that_is_covered_later(monkeypatch):
    fused = mtlib.fuse(lambda x: x * len(x.shape))
    assert fused(ONES).tolist() == [1] * 3
    monkeypatch.setitem(globals(), "len", lambda shape: 9)
    assert fused(ONES).tolist() == [9] * 3


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * CONFIG.shift,
        lambda x: x * CONFIG.both,
        lambda x: x * CONFIG[2],
        lambda x: x * CONFIG,
        lambda x: x * getattr(CONFIG, "shift"),  # noqa: B009
        lambda x, config=CONFIG: x * config.shift,
        lambda x: next(x * c.shift for c in (CONFIG,)),
    ],
)
def test_attributes(fn, monkeypatch):
    fused = mtlib.fuse(fn)
    for shift in (1, 2, 1):
        monkeypatch.setattr(CONFIG, "shift", shift)
        assert fused(ONES).tolist() == fn(ONES).tolist()


@pytest.mark.parametrize(
    "config", [MODULE, types.SimpleNamespace(rate=2), type("C", (), {"rate": 2})], ids=str
)
def test_settings(config, monkeypatch):
    fused = mtlib.fuse(lambda x: x * config.rate)
    for rate in (2, 3):
        monkeypatch.setattr(config, "rate", rate)
        assert fused(ONES).tolist() == [rate] * 3


def test_what_is_imported_inside(monkeypatch):
    def program(x):
        import settings_of_a_reader

        from .settings_of_a_package import rate

        return x * settings_of_a_reader.rate - rate

    other = types.ModuleType("other")
    monkeypatch.setitem(sys.modules, "settings_of_a_reader", MODULE)
    monkeypatch.setitem(sys.modules, f"{__package__}.settings_of_a_package", other)
    fused = mtlib.fuse(program)
    for rate, less in ((2, 1), (3, 1), (3, 2)):
        monkeypatch.setattr(MODULE, "rate", rate)
        monkeypatch.setattr(other, "rate", less, raising=False)
        assert fused(ONES).tolist() == [rate - less] * 3


def test_slots(monkeypatch):
    class Slotted:
        __slots__ = ("rate",)

    config = Slotted()
    fused = mtlib.fuse(lambda x: x * config.rate)
    for rate in (2, 3):
        config.rate = rate
        assert fused(ONES).tolist() == [rate] * 3


# --- Tensors and arrays ---------------------------------------------------------------------------

OUTSIDE = mtlib.ones(3)
ARRAY, LABELS, HELD = np.ones(3), np.array([0, 1, 1]), {"weights": [np.ones(3)]}


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (lambda x: x * ARRAY, r"ARRAY, a NumPy array of shape \(3,\)"),
        (lambda x: x * mtlib.tensor(ARRAY), r"ARRAY, a NumPy array of shape \(3,\)"),
        (lambda x: x * mtlib.from_numpy(ARRAY), r"ARRAY, a NumPy array of shape \(3,\)"),
        (
            lambda x: mtlib.fused.cross_entropy(x.view(3, 1), LABELS),
            r"LABELS, a NumPy array of shape \(3,\)",
        ),
        (lambda x: x * HELD["weights"][0], r"HELD\['weights'\]\[0\], a NumPy array"),
        (lambda x, held=(ARRAY,): x * held[0], r"held\[0\], a NumPy array of shape \(3,\)"),
    ],
)
def test_arrays_from_outside(fn, says):
    for _ in range(2):
        with pytest.raises(
            TypeError, match=rf"^fuse: the program uses {says}.*pass it as one"
        ) as e:
            mtlib.fuse(fn)(ONES)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * OUTSIDE,
        lambda x: x * OUTSIDE[0].item(),
        lambda x: x if OUTSIDE[0] > 0 else -x,
        lambda x: x * float(OUTSIDE[0]),
        lambda x: x * mtlib.tensor(OUTSIDE),
        lambda x: x * OUTSIDE.numpy(),
        lambda x: x * np.asarray(OUTSIDE),
    ],
)
def test_tensors_from_outside(fn):
    """Also where only their values are asked for."""
    with pytest.raises(ValueError, match=r"^fuse: the program uses a tensor of shape .*pass it as"):
        mtlib.fuse(fn)(ONES)


def test_the_shape_of_a_tensor_from_outside(monkeypatch):
    fused = mtlib.fuse(lambda x: x.sum(0).expand(*OUTSIDE.shape))
    for shape in ((2, 3), (4,)):
        monkeypatch.setitem(globals(), "OUTSIDE", mtlib.ones(shape))
        assert fused(ONES).shape == shape


def test_arrays_that_the_function_makes():
    fused = mtlib.fuse(lambda x: x * np.arange(3) + mtlib.tensor(np.eye(3)[1]))
    assert fused(ONES).tolist() == fused(ONES).tolist() == [0, 2, 2]


# --- Random numbers -------------------------------------------------------------------------------


def test_random_numbers_are_drawn_at_each_call():
    fused = mtlib.fuse(lambda x: (x * mtlib.rand(100), mtlib.randn(2, 50, dtype="float32") + 1))
    read = [fused(mtlib.ones(100)) for _ in range(3)]
    for uniform, normal in read:
        assert (uniform.dtype, normal.dtype) == (np.float64, np.float32)
        assert uniform.numpy().min() >= 0
        assert uniform.numpy().max() < 1
        assert len(set(uniform.tolist())) == 100
        assert 0.5 < normal.numpy().std() < 1.5
        assert 0 < normal.numpy().mean() < 2
    assert len({tuple(uniform.tolist()) for uniform, _ in read}) == 3


def test_two_draws_are_two():
    one, other = mtlib.fuse(lambda x: (x + mtlib.rand(3), x + mtlib.rand(3)))(ONES)
    assert one.tolist() != other.tolist()
    assert mtlib.fuse(lambda x: x * mtlib.rand())(ONES).shape == (3,)


def test_dropout():
    """What flows back flows where something flowed forward."""

    def dropout(x, p=0.5):
        return mtlib.where(mtlib.rand(*x.shape) < p, 0, x / (1 - p))

    fused = mtlib.fuse(dropout)
    found = set()
    for _ in range(3):
        x = mtlib.ones(20, 10, requires_grad=True)
        y = fused(x)
        y.backward(mtlib.ones(20, 10))
        assert set(y.numpy().flat) == {0, 2}
        np.testing.assert_array_equal(x.grad, y)
        found.add(y.numpy().tobytes())
    assert len(found) == 3
    assert str(fused.schedule).startswith("1. call rand -> rand1\n2. kernel: x, rand1 -> where")


def test_a_seed_gives_a_constant():
    fused = mtlib.fuse(lambda x: x * mtlib.rand(3, seed=1))
    assert fused(ONES).tolist() == fused(ONES).tolist() == mtlib.rand(3, seed=1).tolist()


@pytest.mark.parametrize("generator", [np.random.default_rng(0), np.random.RandomState(0)])
def test_a_generator_of_numpy(generator):
    fused = mtlib.fuse(lambda x: x * generator.normal(size=3))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^fuse: the program draws random numbers of NumPy"):
            fused(ONES)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * np.random.rand(3),  # noqa: NPY002
        lambda x: x * random.random(),
        lambda x, draw=random.gauss: x * draw(0, 1),
        lambda x, draw=np.random.standard_normal: x * draw(3),
    ],
)
def test_random_numbers_of_others(fn):
    with pytest.raises(ValueError, match=r"^fuse: the program draws random numbers of NumPy"):
        mtlib.fuse(fn)(ONES)


def test_constants_that_would_not_fit(monkeypatch):
    """What a program makes is made when it is read, and refused before that."""
    monkeypatch.setattr(mtlib.runtime.memory, "available_bytes", lambda: 10**8)
    for make in (mtlib.zeros, mtlib.ones, mtlib.arange, lambda n: mtlib.full((n,), 2)):
        with pytest.raises(MemoryError, match=r"^\w+: an array of shape .* would take 134\.2 MB"):
            mtlib.fuse(lambda x: x + make(1 << 24).sum())(ONES)  # noqa: B023
    with pytest.raises(MemoryError, match=r"^rand: an array of shape .* would take 134\.2 MB"):
        mtlib.fuse(lambda x: x + mtlib.rand(1 << 24).sum())(ONES)

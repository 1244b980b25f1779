"""Everything public is in the table of operations, or is tested in a place that it names."""

import importlib
import inspect
import pickle
import pkgutil
from pathlib import Path

import numba
import pytest
from numba import types

import mtlib
import mtlib.ops
from mtlib.autograd import Differentiable
from mtlib.fusion.primitives import CALLED, OF_ELEMENTS, WIDE
from mtlib.ops.elementwise import OPERATIONS
from mtlib.ops.inplace import Copy_, InPlace

from .composites import REFERENCES
from .operations import (
    COMPARISONS,
    ELSEWHERE,
    IN_PLACE,
    LOGIC,
    MAPS,
    PLACES,
    REDUCTIONS,
    VIEWS,
    WHERE,
    ZIPS,
    public_functions,
)

TABLE = [*MAPS, *ZIPS, WHERE, *COMPARISONS, *LOGIC, *IN_PLACE, *REDUCTIONS, *VIEWS]
SILENT = {"__slots__", "__doc__", "__module__", "__weakref__", "__dict__"}


def _public() -> dict[str, object]:
    """Name and value of all that a reader can reach."""
    found = {name: getattr(mtlib, name) for name in mtlib.__all__}
    for info in pkgutil.iter_modules(mtlib.ops.__path__):
        if info.name not in ("aliases", "elementwise", "operands"):  # they help the others
            found |= public_functions(importlib.import_module(f"mtlib.ops.{info.name}"))
    found |= public_functions(mtlib.naive) | public_functions(mtlib.fused)
    for cls in (Differentiable, mtlib.Tensor):
        for name, value in vars(cls).items():
            private = name.startswith("_") and not name.endswith("__")
            if not private and name not in SILENT:
                found[f"Tensor.{name}"] = value
    return found


PUBLIC = _public()


def _find(name: str):
    """The value of a name of the table."""
    if name.startswith("Tensor."):
        return inspect.getattr_static(mtlib.Tensor, name.removeprefix("Tensor."))
    return next(getattr(place, name) for place in PLACES if hasattr(place, name))


def _untested(public) -> list[str]:
    tested = {id(_find(entry.names[0])) for entry in TABLE if entry.names[0] in public}
    names = {name for entry in TABLE for name in entry.names} | set(REFERENCES) | set(ELSEWHERE)
    tested |= {id(public[name]) for name in names if name in public}
    return [name for name, value in public.items() if name not in names and id(value) not in tested]


def test_every_public_name_is_tested():
    untested = _untested(PUBLIC)
    assert not untested, f"no row in tests/mtlib/operations.py is of {', '.join(untested)}"


@pytest.mark.parametrize("name", ["new", "Tensor.new", "Tensor.__new__"])
def test_a_new_operation_without_tests_is_noticed(name):
    assert name in _untested(PUBLIC | {name: lambda a: a})


def test_the_table_names_only_what_exists():
    words = {"add", "mul", "max", "min", "correction"}  # how to reduce
    names = {name for entry in TABLE for name in entry.names} | set(ELSEWHERE) | set(REFERENCES)
    for name in names - words:
        assert name in PUBLIC or hasattr(mtlib.Tensor, name), name


@pytest.mark.parametrize(("name", "module"), ELSEWHERE.items())
def test_what_is_tested_elsewhere_is_named_there(name, module):
    spelled = {
        "Tensor.__array__": "np.asarray(",
        "Tensor.__array_function__": "np.where(",
        "Tensor.__array_priority__": "ndarray",
        "Tensor.__array_wrap__": "np.exp(",
        "Tensor.__bool__": "bool(",
        "Tensor.__float__": "float(",
        "Tensor.__format__": ":.2f",
        "Tensor.__init__": "Tensor(",
        "Tensor.__int__": "int(",
        "Tensor.__iter__": "for ",
        "Tensor.__len__": "len(",
        "Tensor.__matmul__": " @ ",
        "Tensor.__rmatmul__": " @ ",
        "Tensor.__reduce__": "pickle",
        "Tensor.__repr__": "repr(",
    }.get(name, name.rpartition(".")[2])
    assert spelled in Path(__file__).with_name(f"{module}.py").read_text()


@pytest.mark.parametrize("name", ["add", "mul", "max", "min"])
def test_every_way_to_reduce_is_in_the_table(name):
    from mtlib.ops.reductions import FOLDS

    assert name in FOLDS
    assert len(FOLDS) == 4
    assert any(entry.names == ("reduce", name) for entry in REDUCTIONS)


def test_every_public_name_has_an_example():
    """Those that Python itself calls, and what the modules above a tensor call, need none."""
    inner = {"Tensor.empty", "Tensor.owned", "Tensor.is_shared"}
    for name, value in PUBLIC.items():
        dunder = name.endswith("__")
        callable_ = callable(value) or isinstance(value, property)
        if callable_ and not dunder and name not in inner:
            assert ">>> " in (value.__doc__ or ""), name


def test_methods_and_functions_are_one():
    for function, operation in OPERATIONS.items():
        name, in_place = function.name, issubclass(function, InPlace)
        if in_place or not function.symbol:
            assert getattr(mtlib.Tensor, name) is operation
        if not in_place and not function.symbol:
            assert name in mtlib.__all__, f"{name} is missing from mtlib/__init__.py"
            assert getattr(mtlib, name) is operation
    assert mtlib.matmul is mtlib.Tensor.matmul is mtlib.fused.matmul
    assert mtlib.methods.Tensor is mtlib.Tensor


@pytest.mark.parametrize("function", OPERATIONS, ids=lambda function: function.__name__)
def test_every_operation_on_elements_has_a_row(function):
    """Where what follows from it is seen to be what it should be."""
    overwriting = function is Copy_
    rows = [row for row in TABLE if getattr(row, "function", None) is function]
    assert rows or overwriting, f"{function.name} has no row in tests/mtlib/operations.py"
    operation = OPERATIONS[function]
    home = importlib.import_module(function.__module__)
    assert getattr(home, function.name) is operation
    assert pickle.loads(pickle.dumps(operation)) is operation
    assert (operation.__name__, operation.__doc__) == (function.name, function.__doc__)
    assert (
        list(inspect.signature(operation).parameters)
        == ["a", "b"][: 1 + (function.kind == "zip" or overwriting)]
    )


OF_NUMBERS = [f for f in OF_ELEMENTS if f.takes != "bools" and f.name in CALLED]


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="asks how functions are compiled")
@pytest.mark.parametrize("function", OF_NUMBERS, ids=lambda function: function.__name__)
def test_fuse_knows_what_of_float32_is_computed_in_float64(function):
    f, name = function.kernel.scalar, function.name
    call = [lambda x: f(x), lambda x, y: f(x, y), lambda x, y, z: f(x, y, z)]
    count = f.__code__.co_argcount
    kernel = numba.njit((types.float32,) * count)(call[count - 1])
    wide = kernel.nopython_signatures[0].return_type == types.float64
    assert wide == (name in WIDE), f"whether {name} is in WIDE of mtlib/fusion/primitives.py"

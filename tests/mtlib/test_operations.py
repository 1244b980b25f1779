"""Everything public is in the table of operations, or is tested in a place that it names."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import mtlib
import mtlib.ops
from mtlib.autograd import Differentiable

from .composites import REFERENCES
from .operations import (
    COMPARISONS,
    ELSEWHERE,
    LOGIC,
    MAPS,
    PLACES,
    REDUCTIONS,
    VIEWS,
    WHERE,
    ZIPS,
    public_functions,
)

TABLE = [*MAPS, *ZIPS, WHERE, *COMPARISONS, *LOGIC, *REDUCTIONS, *VIEWS]
SILENT = {"__slots__", "__doc__", "__module__", "__weakref__", "__dict__"}


def _public() -> dict[str, object]:
    """Name and value of all that a reader can reach."""
    found = {name: getattr(mtlib, name) for name in mtlib.__all__}
    for info in pkgutil.iter_modules(mtlib.ops.__path__):
        if info.name not in ("aliases", "operands"):  # they help the others
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
    assert _untested(PUBLIC) == []


@pytest.mark.parametrize("name", ["softplus", "Tensor.softplus", "Tensor.__floordiv__"])
def test_a_new_operation_without_tests_is_noticed(name):
    assert _untested(PUBLIC | {name: lambda a: a}) == [name]


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
        "Tensor.__iadd__": "operator.iadd",
        "Tensor.__iand__": "operator.iand",
        "Tensor.__imul__": "operator.imul",
        "Tensor.__ixor__": "operator.ixor",
        "Tensor.__init__": "Tensor(",
        "Tensor.__int__": "int(",
        "Tensor.__ior__": "operator.ior",
        "Tensor.__ipow__": "operator.ipow",
        "Tensor.__isub__": "operator.isub",
        "Tensor.__iter__": "for ",
        "Tensor.__itruediv__": "operator.itruediv",
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
    """Those that Python itself calls, and what the rooms above a tensor call, need none."""
    inner = {"Tensor.empty", "Tensor.owned", "Tensor.is_shared"}
    for name, value in PUBLIC.items():
        dunder = name.endswith("__")
        callable_ = callable(value) or isinstance(value, property)
        if callable_ and not dunder and name not in inner:
            assert ">>> " in (value.__doc__ or ""), name


def test_methods_and_functions_are_one():
    for name in ("exp", "log", "sqrt", "relu", "sigmoid", "tanh", "gelu", "maximum", "minimum"):
        assert getattr(mtlib, name) is getattr(mtlib.Tensor, name)
    assert mtlib.matmul is mtlib.Tensor.matmul is mtlib.fused.matmul
    assert mtlib.methods.Tensor is mtlib.Tensor

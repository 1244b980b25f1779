"""Each row of the table of composites: naive, fused and NumPy are one, and what fused saves.

What is particular to an operation, its errors, its corners and its accuracy, is tested in the file
of its name.
"""

import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.kernels.rows.softmax import softmax as rows_of_softmax
from mtlib.tensor import empty_like

from .composites import TABLE, Composite, Of
from .fused_programs import check as check_fused
from .operations import public_functions
from .processes import python
from .strategies import DTYPES, Operand, check_gradient, fill, operands

nojit = pytest.mark.nojit
both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
each = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


# --- Nothing is missing ---------------------------------------------------------------------------


def missing(fused: dict, naive: dict, rows: set[str], files: set[str]) -> list[str]:
    """What an operation still lacks, each in one line that names the file to edit."""
    found = []
    for name, function in fused.items():
        if name not in naive:
            found.append(f"{name}: write it from map, zip and reduce in mtlib/naive.py")
        elif inspect.signature(function) != inspect.signature(naive[name]):
            found.append(f"{name}: its signatures in mtlib/naive.py and mtlib/fused differ")
        if name not in rows:
            found.append(f"{name}: add a row to TABLE in tests/mtlib/composites.py")
    names = {function.__module__.rpartition(".")[2] for function in fused.values()}
    found += [f"{name}: import it in mtlib/fused/__init__.py" for name in sorted(files - names)]
    found += [f"{name}: a row of a name that mtlib.fused has not" for name in rows - set(fused)]
    return found


FILES = {path.stem for path in Path(mtlib.fused.__file__).parent.glob("[!_]*.py")}


def test_nothing_is_missing():
    fused, naive = public_functions(mtlib.fused), public_functions(mtlib.naive)
    assert set(fused) == set(mtlib.fused.__all__)
    assert missing(fused, naive, {row.name for row in TABLE}, FILES) == []


def test_what_is_missing_is_named():
    def norm(x, p=2): ...

    norm.__module__ = "mtlib.fused.norm"
    assert missing({"norm": norm}, {"norm": norm}, {"norm"}, {"norm"}) == []
    assert missing({"norm": norm}, {"norm": lambda x, p: x}, set(), {"norm"}) == [
        "norm: its signatures in mtlib/naive.py and mtlib/fused differ",
        "norm: add a row to TABLE in tests/mtlib/composites.py",
    ]
    assert missing({}, {}, {"norm"}, {"norm"}) == [
        "norm: import it in mtlib/fused/__init__.py",
        "norm: a row of a name that mtlib.fused has not",
    ]
    assert missing({"norm": norm}, {}, {"norm"}, {"norm"}) == [
        "norm: write it from map, zip and reduce in mtlib/naive.py"
    ]


def test_a_name_is_a_function_also_where_its_file_is_named_to_pytest():
    """Imported by itself, the file would stand in the function's place: see conftest.py."""
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "mtlib/fused/linear.py")
    assert done.returncode == 0, done.stdout


# --- Small tensors, of any layout and dtype -------------------------------------------------------


@st.composite
def calls(draw, row: Composite, dtypes=DTYPES, most: int = 5):
    """Arguments of a row, with an Operand for each tensor."""
    return tuple(
        draw(operands(x.shape, draw(st.sampled_from(dtypes)))) if isinstance(x, Of) else x
        for x in draw(row.arguments(most))
    )


def tensors_of(call) -> list[Operand]:
    return [x for x in call if isinstance(x, Operand)]


def filled(call, tensors):
    """The arguments, with these in the place of the tensors."""
    tensors = iter(tensors)
    return [next(tensors) if isinstance(x, Operand | Of) else x for x in call]


def assert_close(result, expected, units: int) -> None:
    """Off by so many units in the last place of what is largest, if that is above 1."""
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.shape == expected.shape
    size = np.abs(expected[np.isfinite(expected)]).max(initial=1)
    tolerance = units * np.finfo(result.dtype).eps
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * size)


@nojit
@both
@each
@given(data=st.data())
@settings(max_examples=40)
def test_forward(row, module, data):
    call = data.draw(calls(row))
    arrays = [x.array for x in tensors_of(call)]
    with data.draw(row.cuts()):
        result = getattr(module, row.name)(*filled(call, (x.tensor for x in tensors_of(call))))
    floats = [x.dtype for x in call if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    assert result.dtype == np.result_type(*arrays, *floats)
    expected = row.reference(*filled(call, (a.astype(np.float64) for a in arrays)))
    assert_close(result, expected, row.units)


@nojit
@both
@each
@given(data=st.data())
@settings(max_examples=20)
def test_backward(row, module, data):
    call = data.draw(calls(row, (np.float64,), most=3))
    with data.draw(row.cuts()):
        check_gradient(
            lambda *tensors: getattr(module, row.name)(*filled(call, tensors)), *tensors_of(call)
        )


@nojit
@each
@given(data=st.data())
@settings(max_examples=40)
def test_naive_and_fused_agree(row, data):
    """In values and in gradients, whichever are wanted, and whatever comes in from above."""
    call, results = data.draw(calls(row)), []
    parts = tensors_of(call)
    wanted = [data.draw(st.booleans()) for _ in parts]
    with data.draw(row.cuts()):
        for module in (mtlib.naive, mtlib.fused):
            leaves = [
                mtlib.tensor(part.base, requires_grad=needed)
                for part, needed in zip(parts, wanted, strict=True)
            ]
            views = [part.recipe.of(leaf) for part, leaf in zip(parts, leaves, strict=True)]
            y = getattr(module, row.name)(*filled(call, views))
            assert y.requires_grad == any(wanted)
            if any(wanted):
                y.backward(mtlib.tensor(fill("any", y.shape, y.dtype, 1)))
            assert [leaf.grad is not None for leaf in leaves] == wanted
            results.append((y, *(leaf.grad for leaf in leaves if leaf.requires_grad)))
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        assert_close(one, other, row.units)


class Slanted(mtlib.Function):
    """What it gets, and a gradient that is one hundredth too large."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, d):
        return d * 1.01


# --- Tensors of the usual sizes -------------------------------------------------------------------


def arrays_for(call, dtype=np.float64, layout=lambda a: a) -> list[np.ndarray]:
    """Values for each tensor of a call."""
    shapes = [x.shape for x in call if isinstance(x, Of)]
    return [layout(fill("any", shape, dtype, seed)) for seed, shape in enumerate(shapes, 1)]


def leaves_of(arrays) -> list[mtlib.Tensor]:
    leaves = [mtlib.from_numpy(a) for a in arrays]
    for leaf in leaves:
        leaf.requires_grad = True
    return leaves


def both_ways(function, call, arrays, lock: bool = False) -> list[mtlib.Tensor]:
    """The result and the gradients of all tensors, for a gradient that perhaps is read-only."""
    leaves = leaves_of(arrays)
    y = function(*filled(call, leaves))
    d = fill("any", y.shape, y.dtype, 0)
    d.flags.writeable = not lock
    y.backward(mtlib.from_numpy(d))
    return [y, *(leaf.grad for leaf in leaves)]


@each
def test_a_wrong_gradient_is_noticed(row):
    """And the right one is not, over all of a large tensor."""
    call, function = row.large[0], getattr(mtlib.fused, row.name)
    leaves = leaves_of(arrays_for(call))
    assert mtlib.gradcheck(lambda *tensors: function(*filled(call, tensors)), leaves)
    with pytest.raises(AssertionError, match="gradcheck"):
        mtlib.gradcheck(lambda *tensors: Slanted.apply(function(*filled(call, tensors))), leaves)


LAYOUTS = {
    "contiguous": lambda a: a,
    "transposed": np.asfortranarray,
    "stepped": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "stretched": lambda a: np.lib.stride_tricks.as_strided(a, strides=(0, *a.strides[1:])),
}


@each
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.usefixtures("eager_threads")
def test_large(row, dtype, layout):
    """On all threads, in blocks of the usual size and some that are not full."""
    for call in row.large:
        arrays = arrays_for(call, dtype, layout)
        found = both_ways(getattr(mtlib.fused, row.name), call, arrays)
        doubled = [a.astype(np.float64) for a in arrays]
        assert_close(found[0], row.reference(*filled(call, doubled)), row.units)
        expected = both_ways(getattr(mtlib.naive, row.name), call, doubled)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == dtype
            assert_close(one, other, row.units)


@each
def test_operands_that_may_not_be_written_to(row):
    """Such as NumPy stretches, and gradients that come in so."""
    function, arrays = getattr(mtlib.fused, row.name), arrays_for(row.small)
    expected = both_ways(function, row.small, arrays)
    for a in arrays:
        a.flags.writeable = False
    found = both_ways(function, row.small, arrays, lock=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- Extremes -------------------------------------------------------------------------------------

EXTREMES = {
    "huge": lambda a: a * 1e15,
    "tiny": lambda a: a * 1e-15,
    "inf": lambda a: _with(a, np.inf),
    "-inf": lambda a: _with(a, -np.inf),
    "nan": lambda a: _with(a, np.nan),
}


def _with(a: np.ndarray, value: float) -> np.ndarray:
    """``a`` with this as its last element but one."""
    a = a.copy()
    a.flat[-2] = value
    return a


@nojit
@both
@each
@every_dtype
@pytest.mark.parametrize("extreme", EXTREMES.values(), ids=EXTREMES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extremes(row, module, dtype, extreme):
    """In each tensor in turn: what becomes nan and what does not is for NumPy to say."""
    call = row.small
    for which in range(len(arrays_for(call))):
        arrays = arrays_for(call, dtype)
        arrays[which] = extreme(arrays[which]).astype(dtype)
        result = getattr(module, row.name)(*filled(call, map(mtlib.from_numpy, arrays)))
        expected = row.reference(*filled(call, (a.astype(np.float64) for a in arrays)))
        assert_close(result, expected, row.units)


# --- fuse -----------------------------------------------------------------------------------------


@each
@both
@every_dtype
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "stretched"])
def test_fused_by_fuse(row, module, dtype, layout, plain):
    """``mtlib.fuse`` of either gives the same, and takes it apart for what is around it."""
    call, function = row.small, getattr(module, row.name)
    arrays = arrays_for(call, dtype, LAYOUTS[layout])
    units = row.units * np.finfo(dtype).eps
    check_fused(
        lambda *tensors: function(*filled(call, tensors)) * 2, arrays, rtol=units, atol=units
    )


def _whole(ctx, x):
    """A kernel that fuse has never seen."""
    y = empty_like(x, "whole")
    rows_of_softmax("whole", (0,), (y.layout, x.layout), y.storage, x.storage, False)
    return y


UNKNOWN = {
    "a kernel": _whole,
    "NumPy": lambda ctx, x: mtlib.from_numpy(np.exp(x.numpy())),
    "the storage": lambda ctx, x: mtlib.from_numpy(np.exp(x.storage)),
    "an element": lambda ctx, x: x * float(x.storage[0]),
    "its size": lambda ctx, x: x * x.storage.size,
}


def function_of(forward, **parts) -> type[mtlib.Function]:
    return type("Whole", (mtlib.Function,), {"forward": staticmethod(forward), **parts})


@nojit
@pytest.mark.parametrize("forward", UNKNOWN.values(), ids=UNKNOWN)
def test_fuse_says_what_a_function_that_it_does_not_know_lacks(forward):
    whole, x = function_of(forward), mtlib.ones(3)
    with pytest.raises(TypeError) as caught:
        mtlib.fuse(lambda x: whole.apply(x) * 2)(x)
    assert str(caught.value) == (
        "fuse: Whole.forward computes with values, and while a program is read there are none; "
        "write it from operations of mtlib, or give Whole a decompose that does"
    )
    assert whole.apply(x).shape == (3,)  # and runs as before


@nojit
def test_with_a_decompose_it_is_fused(plain):
    whole = function_of(_whole, decompose=staticmethod(lambda x: mtlib.naive.softmax(x, 0)))
    fused = mtlib.fuse(lambda x: whole.apply(x) * 2)
    np.testing.assert_allclose(fused(mtlib.zeros(4)), np.full(4, 0.5))
    assert len(fused.schedule.steps) == 1
    inherits = type("Inherits", (whole,), {"forward": staticmethod(lambda ctx, x: x * 3)})
    np.testing.assert_allclose(
        mtlib.fuse(lambda x: inherits.apply(x))(mtlib.ones(4)), np.full(4, 3)
    )


# --- What runs and what it takes ------------------------------------------------------------------


def results_of(trace) -> int:
    """Bytes that were made and are no kernel's scratch space."""
    return sum(b.nbytes for b in trace.buffers if b.role == "result")


@each
def test_fused_is_one_kernel_and_makes_no_intermediate(row):
    """Nothing but what is asked for, beside some numbers for each row."""
    call = row.large[0]
    leaves = leaves_of(arrays_for(call))
    few = max(leaf.nbytes for leaf in leaves) / 8
    with mtlib.trace() as t:
        y = getattr(mtlib.fused, row.name)(*filled(call, leaves))
    (event,) = (e for e in t.events if e.kind != "view")
    assert (event.name, event.kind, event.phase) == (row.name, "fused", "forward")
    assert results_of(t) <= y.nbytes + few
    assert t.saved_bytes <= sum(leaf.nbytes for leaf in leaves) + y.nbytes + few
    d = mtlib.ones(*y.shape)
    with mtlib.trace() as t:
        y.backward(d)
    assert {e.phase for e in t.events} == {"backward"}
    assert {e.kind for e in t.events} <= {"fused", "view", "reduce"}
    assert results_of(t) <= sum(leaf.nbytes for leaf in leaves) + few


@nojit
@both
@each
def test_nothing_is_saved_where_no_gradient_is_wanted(row, module):
    call, arrays = row.small, arrays_for(row.small)
    with mtlib.trace() as t:
        getattr(module, row.name)(*filled(call, map(mtlib.from_numpy, arrays)))
    with mtlib.trace() as t_no_grad, mtlib.no_grad():
        getattr(module, row.name)(*filled(call, leaves_of(arrays)))
    assert (t.saved_bytes, t_no_grad.saved_bytes) == (0, 0)

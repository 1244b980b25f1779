"""Exercises that ask for loops: over NumPy arrays, or in a Numba kernel, within a budget."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mtlib.exercises.budgets import (
    VALUES_RIGHT,
    check_all_loaded,
    check_counts,
    check_growth,
    check_made,
    check_wholes,
)
from mtlib.exercises.counting import Log
from mtlib.exercises.differences import first_wrong, map_of, usual_mistake, wrong_places
from mtlib.exercises.entries import Exercise, Outputs
from mtlib.exercises.explaining import Sizes, value_of
from mtlib.exercises.lines import Line
from mtlib.exercises.operands import Operand, names_in, shape_of, sizes_to_try
from mtlib.exercises.running import as_python, compiled_run, is_compiled, peak_memory, watched
from mtlib.exercises.verdicts import NOTHING_BACK, NotYet, Wrong

_LEFT_OVER = 7.25  # what stands in an ``out`` before the kernel runs


@dataclass
class Case:
    """One try: sizes, operands, the ``out`` of a kernel, and what should come of it."""

    sizes: Sizes
    operands: dict[str, Operand]
    log: Log
    wanted: np.ndarray
    out: Operand | None = None
    result: object = None  # as it came back

    def __str__(self) -> str:
        layout = next(iter(self.operands.values())).layout
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        return sizes + ("" if layout == "contiguous" else f", {layout} operands")


def arrays_of(*operands) -> tuple:
    return tuple(x.array for x in operands)


@dataclass(kw_only=True, eq=False)
class Loops(Exercise):
    """A function of arrays, written as loops.

    ``operands`` gives each its shape in letters, ``{"a": "m k", "b": "m k"}``, and ``result`` that
    of the result, ``"m"``.  ``reference`` computes it with NumPy.  ``loads`` and ``stores`` are the
    budget, as formulas of the letters, and ``workspace`` the bytes that may be allocated beside the
    result.  ``whole`` names what NumPy may do to whole arrays.

    With ``into`` the answer is a kernel: the result goes into its first argument.  With
    ``compiled`` Numba must have compiled it.  What an answer is called with can be changed by
    ``passes``, which gets the operands (``out`` first, if it is a kernel) and returns the
    arguments: ``.array``, or ``.storage``, ``.strides`` and ``.offset`` for a kernel that walks
    along strides.
    """

    operands: dict[str, str]
    result: str
    reference: Callable
    loads: str
    stores: str
    workspace: str = "0"
    whole: tuple[str, ...] = ()
    into: bool = False
    compiled: bool = False
    empty: bool = True
    dtypes: tuple[str, ...] = ("float64",)
    passes: Callable = arrays_of

    def cases(self) -> Iterator[Case]:
        tried = sizes_to_try(names_in(self.operands), self.empty)
        for number, (sizes, layout) in enumerate(tried):
            yield self.case(sizes, layout, self.dtypes[number % len(self.dtypes)])

    def case(self, sizes: Sizes, layout: str, dtype: str = "float64") -> Case:
        log = Log()
        operands = {
            name: Operand(shape_of(shape, sizes), layout, dtype, seed, log)
            for seed, (name, shape) in enumerate(self.operands.items())
        }
        wanted = np.asarray(self.reference(*(x.values for x in operands.values())), dtype)
        out = None
        if self.into:
            out = Operand(shape_of(self.result, sizes), "contiguous", dtype, 0, log)
            out.storage.view(np.ndarray)[:] = _LEFT_OVER
        return Case(sizes, operands, log, wanted, out)

    # --- One try ----------------------------------------------------------------------------------

    def run(self, answer, case: Case) -> Outputs:
        if not callable(answer):
            raise Wrong(f"a function is asked for, and this is of type {type(answer).__name__}")
        return self._run(functools.partial(watched, as_python(answer, case.log)), case)

    def _run(self, call: Callable, case: Case) -> Outputs:
        given = ([case.out] if case.out else []) + list(case.operands.values())
        try:
            result = call(*self.passes(*given))
        except Wrong as wrong:
            raise Wrong(f"{wrong.message} (for {case})") from None
        if case.out:
            return {"": self._written(result, case)}
        return {"": self._returned(result, case)}

    def _written(self, result, case: Case) -> np.ndarray:
        out = np.array(case.out.array.view(np.ndarray))
        if result is not None:
            raise Wrong("it returns something; a kernel writes into out, and returns nothing")
        if (
            out.size
            and (out == _LEFT_OVER).all()
            and not any(x.stores.any() for x in case.out.counted)
        ):
            raise NotYet
        return out

    def _returned(self, result, case: Case) -> np.ndarray:
        if result is None or result is ...:
            if any(x.loads.any() for operand in case.operands.values() for x in operand.counted):
                raise Wrong(NOTHING_BACK)
            raise NotYet
        for name, operand in case.operands.items():
            if isinstance(result, np.ndarray) and np.shares_memory(result, operand.storage):
                raise Wrong(f"what comes back is {name} itself, or a view of it; make a new array")
        if not isinstance(result, np.ndarray | np.generic):
            kind = type(result).__name__
            raise Wrong(f"a NumPy array should come back, and this is of type {kind}")
        if result.dtype.kind not in "fiub":
            raise Wrong(f"the result is {result.dtype} and should be {case.wanted.dtype}")
        case.result = result  # by it, the array that was made for it is known
        return np.asarray(result).view(np.ndarray)

    def wanted(self, case: Case) -> Outputs:
        return {"": case.wanted}

    # --- What is wrong with it --------------------------------------------------------------------

    def mistake(self, case: Case, got: Outputs, told: str) -> Wrong:
        said, right = got[""], case.wanted
        if said.shape != right.shape:
            shapes = f"the result has shape {said.shape} and should have {right.shape}, for {case}"
            if not told and said.shape == ():
                told = "a single number comes back"
            return Wrong(f"{told} ({shapes})" if told else shapes)
        told = told or self._kind(said, case)
        where = f"{first_wrong(said, right)}, for {case}"
        return Wrong(f"{told} ({where})" if told else where, map_of(wrong_places(said, right)))

    def _kind(self, said: np.ndarray, case: Case) -> str:
        """What kind of mistake gives these numbers."""
        right = case.wanted
        if said.dtype.kind != right.dtype.kind:
            return f"the result is {said.dtype}, which cuts fractions off; make it {right.dtype}"
        if case.out and np.allclose(said, right + _LEFT_OVER):
            return "it adds to what stood in out before; start each total at 0"
        return usual_mistake(said, right) or self._misread(said, case) or _unread(case)

    def _misread(self, said: np.ndarray, case: Case) -> str:
        true = {name: x.values for name, x in case.operands.items()}
        misread: dict[str, dict] = {"ignored": {}, "swapped": {}}
        for name, operand in case.operands.items():
            for how, values in operand.misread():
                misread[how][name] = values
        for how, seen in misread.items():
            for names in [*([name] for name in seen), list(seen)]:
                values = true | {name: seen[name] for name in names}
                if names and np.allclose(said, self.reference(*values.values())):
                    strides = f"{case.operands[names[0]].strides}"
                    return f"the strides of {' and '.join(names)} are {how}, {strides} here"
        return ""

    def afterwards(self, case: Case) -> str:
        for name, operand in case.operands.items():
            if operand.changed:
                raise Wrong(
                    f"{name} was changed on the way; leave the operands as they are. {VALUES_RIGHT}"
                )
        if case.result is not None and case.result.dtype != case.wanted.dtype:
            dtypes = f"the result is {case.result.dtype} and should be {case.wanted.dtype}"
            raise Wrong(f"{dtypes}, for {case}")
        check_wholes(case.log, self.whole)
        if case.wanted.size:
            check_all_loaded(case.operands)
        check_made(case.log, case.result, value_of(self.workspace, case.sizes))
        arrays = {name: x.counted for name, x in case.operands.items()}
        arrays["what it makes"] = [array for array, _ in case.log.made]
        arrays["out"] = case.out.counted if case.out else []
        loads, stores = check_counts(
            arrays, self.loads, self.stores, case.sizes, case.wanted.size, case
        )
        return f"{loads} loads and {stores} stores for {case}" if stores else f"{loads} loads"

    # --- All of it --------------------------------------------------------------------------------

    def judge(self, answer) -> str:
        praise = super().judge(answer)
        self._check_memory(answer)
        if is_compiled(answer):
            self._check_compiled(answer)
        elif self.compiled:
            raise Wrong("right, as Python; now put @njit above it, so that Numba compiles it")
        return praise

    def _check_memory(self, answer) -> None:
        """What Python itself holds, lists of numbers too, must not grow with the summed index."""
        summed = [name for name in names_in(self.operands) if name not in self.result.split()]
        if not summed:
            return
        check_growth(summed[0], functools.partial(self._peak, as_python(answer), summed[0]))

    def _peak(self, plain, name: str, size: int) -> tuple[int, Line | None]:
        """The most that it holds beyond its workspace, and where."""
        sizes = dict.fromkeys(names_in(self.operands), 2) | {name: size}
        shapes = [self.result] * self.into + list(self.operands.values())
        arguments = self.passes(*(_Plain(np.ones(shape_of(shape, sizes))) for shape in shapes))
        peak, line = peak_memory(plain, *arguments)
        return peak - value_of(self.workspace, sizes), line

    def _check_compiled(self, answer) -> None:
        case = self.case(next(self.cases()).sizes, "transposed", self.dtypes[0])
        for operand in (*case.operands.values(), *([case.out] if case.out else [])):
            operand.array, operand.storage = (
                x.view(np.ndarray) for x in (operand.array, operand.storage)
            )
        got = self._run(functools.partial(compiled_run, answer), case)
        if not np.allclose(got[""], case.wanted):
            raise Wrong(f"as Python it is right, compiled not: {first_wrong(got[''], case.wanted)}")


def _unread(case: Case) -> str:
    """Which elements were never looked at."""
    for name, operand in case.operands.items():
        unread = np.argwhere(operand.loads == 0)
        if len(unread) == operand.loads.size:
            return f"{name} is never read"
        if len(unread):
            row, *rest = unread[0].tolist()
            told = f"{name}{[row, *rest]} is never read"
            if row and rest and operand.loads[row].any() and operand.loads[0, *rest]:
                told += f", and {name}{[0, *rest]} is: does the end of a loop change on the way?"
            return told
    return ""


class _Plain:
    """An operand that does not count."""

    offset, layout = 0, "contiguous"

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.storage, self.shape = array, array.ravel(), array.shape
        self.strides = tuple(s // array.itemsize for s in array.strides)

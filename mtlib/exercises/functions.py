"""Exercises that ask for a Function: its backward, or all of it around a kernel of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import mtlib
from mtlib.autograd import Context
from mtlib.exercises.budgets import (
    VALUES_RIGHT,
    check_counts,
    check_growth,
    check_made,
    check_wholes,
)
from mtlib.exercises.counting import Log, Watched
from mtlib.exercises.differences import (
    factor,
    first_wrong,
    map_of,
    usual_mistake,
    wrong_places,
)
from mtlib.exercises.entries import Exercise, Outputs, same
from mtlib.exercises.explaining import Sizes
from mtlib.exercises.lines import Line, is_empty
from mtlib.exercises.operands import Operand, names_in, shape_of, sizes_to_try
from mtlib.exercises.running import as_python, peak_memory, watched
from mtlib.exercises.verdicts import NotYet, Wrong


@dataclass
class Case:
    """One try: the inputs of forward, and ``d``, the gradient that comes back to it."""

    sizes: Sizes
    inputs: dict[str, mtlib.Tensor]
    values: dict[str, np.ndarray]  # what they were at first, and d

    def __str__(self) -> str:
        return ", ".join(f"{name} = {size}" for name, size in self.sizes.items())


@dataclass(kw_only=True, eq=False)
class Derivative(Exercise):
    """A Function of which the reader writes the backward.

    ``inputs`` gives each argument of forward its shape in letters, and ``result`` that of the
    result.  ``forward`` computes it with NumPy; ``gradients`` has for each input a function of d
    and of the inputs that gives its gradient.  A known answer may be a backward alone, for the
    class ``given``.
    """

    inputs: dict[str, str]
    result: str
    forward: Callable
    gradients: dict[str, Callable]
    given: type[mtlib.Function]

    def complete(self, answer):
        """Of a known answer only the backward may be given."""
        return answer if isinstance(answer, type) else with_methods(self.given, backward=answer)

    def cases(self) -> Iterator[Case]:
        for sizes, layout in sizes_to_try(names_in(self.inputs)):
            shapes = self.inputs | {"d": self.result}
            values, tensors = {}, {}
            for seed, (name, shape) in enumerate(shapes.items(), start=1):
                operand = Operand(shape_of(shape, sizes), layout, "float64", seed, Log())
                values[name] = operand.values
                view = operand.seen(operand.storage.view(np.ndarray), operand.strides)
                tensors[name] = mtlib.from_numpy(view)
            yield Case(sizes, tensors, values)

    def run(self, answer, case: Case) -> Outputs:
        if not (isinstance(answer, type) and issubclass(answer, mtlib.Function)):
            raise Wrong("a Function is asked for: class Name(mtlib.Function), given by its name")
        *inputs, _ = case.inputs.values()
        ctx = Context(answer, (True,) * len(inputs))
        with mtlib.no_grad():
            return self.run_methods(answer, ctx, inputs, case)

    def run_methods(self, answer, ctx, inputs, case: Case) -> Outputs:
        self.run_forward(answer, ctx, inputs, case)
        return self.run_backward(answer, ctx, case)

    def run_forward(self, answer, ctx, inputs, case: Case) -> None:
        self.check_forward(answer, watched(answer.forward, ctx, *inputs), case)

    def check_forward(self, answer, out, case: Case) -> None:
        right = self.forward(*(case.values[name] for name in self.inputs))
        if out is None or out is ...:
            raise _nothing_back(answer, "forward")
        if not isinstance(out, mtlib.Tensor):
            kind = (
                "an array"
                if isinstance(out, np.ndarray)
                else f"what is of type {type(out).__name__}"
            )
            raise Wrong(f"forward gives {kind}; a Function makes a tensor")
        if out.shape != right.shape:
            raise Wrong(f"forward gives shape {out.shape} and should give {right.shape}")
        if not np.allclose(out.numpy(), right):
            told = usual_mistake(out.numpy(), right)
            where = f"({first_wrong(out.numpy(), right)}, for {case})"
            raise Wrong(
                f"forward is wrong: {told} {where}" if told else f"forward is wrong {where}"
            )

    def run_backward(self, answer, ctx, case: Case) -> Outputs:
        try:
            given = watched(answer.backward, ctx, case.inputs["d"])
        except Wrong as wrong:
            if isinstance(wrong.__context__, ValueError):  # as where shapes do not fit
                raise Wrong(f"{wrong.message}. {self._shapes(case)}") from None
            raise
        if given is None:
            raise _nothing_back(answer, "backward")
        return self._gradients(given, case)

    def _shapes(self, case: Case) -> str:
        """The shapes that backward has to do with, and how d can be made to meet the operands."""
        *shapes, last = (f"{name} {case.inputs[name].shape}" for name in ("d", *self.inputs))
        told = f"The shapes are {', '.join(shapes)} and {last}; each gradient has its operand's"
        result = self.result.split()
        for name, shape in self.inputs.items():
            letters = shape.split()
            if set(result) < set(letters):  # zipped with an operand, once it has all axes
                column = tuple(case.sizes[x] if x in result else 1 for x in letters)
                return f"{told}. Zipped with {name}, d must be a view of shape {column}"
        return told

    def _gradients(self, given, case: Case) -> Outputs:
        given = given if isinstance(given, tuple | list) else (given,)
        names = list(self.inputs)
        if given and all(x is None for x in given):
            raise NotYet
        if len(given) != len(names):
            raise Wrong(
                f"backward gives {_gradients(len(given))}, and forward takes {len(names)} "
                f"operands; return one for each: {', '.join(names)}"
            )
        return {name: self._gradient(name, x, case) for name, x in zip(names, given, strict=True)}

    def _gradient(self, name: str, x, case: Case) -> np.ndarray:
        shape, shape_of_d = case.inputs[name].shape, case.inputs["d"].shape
        if x is None:
            raise Wrong(
                f"backward gives no gradient for {name}: what can be made of d, {shape_of_d}, and "
                f"the other operand has its shape, {shape}?"
            )
        if not isinstance(x, mtlib.Tensor):
            raise Wrong(
                f"the gradient of {name} is of type {type(x).__name__} and should be a tensor"
            )
        if x.shape != shape:
            raise Wrong(
                f"the gradient of {name} has shape {x.shape}, and {name} has {shape}; the two are "
                "always the same"
            )
        return x.numpy()

    def wanted(self, case: Case) -> Outputs:
        inputs = [case.values[name] for name in self.inputs]
        return {name: f(case.values["d"], *inputs) for name, f in self.gradients.items()}

    def mistake(self, case: Case, got: Outputs, told: str) -> Wrong:
        wanted = self.wanted(case)
        name = next(n for n in wanted if not np.allclose(got[n], wanted[n]))
        where = f"{first_wrong(got[name], wanted[name])}, for {case}"
        if not told:
            kind = factor(got[name], wanted[name])
            told = f"the gradient of {name} has the right shape and wrong values"
            told += f": {kind}" if kind else ""
        return Wrong(f"{told} ({where})", map_of(wrong_places(got[name], wanted[name])))

    def afterwards(self, case: Case) -> str:
        for name, x in case.inputs.items():
            if not np.array_equal(x.numpy(), case.values[name]):
                raise Wrong(
                    f"{name} was changed on the way; leave what comes in as it is. {VALUES_RIGHT}"
                )
        return "the measured slopes agree"  # when they have been

    def judge(self, answer) -> str:
        praise = super().judge(answer)
        inputs = [x.detach() for name, x in next(self.cases()).inputs.items() if name != "d"]
        for x in inputs:
            x.requires_grad = True
        try:
            watched(mtlib.gradcheck, answer.apply, inputs, limit=False)
        except Wrong as wrong:
            raise Wrong(f"applied and differentiated, it fails: {wrong.message}") from None
        return praise


@dataclass(kw_only=True, eq=False)
class KernelFunction(Derivative):
    """A Function all of which the reader writes, around a Numba kernel.

    ``loads`` and ``stores`` are the kernel's budget, counted on the Python under it.
    """

    loads: str
    stores: str

    def run_methods(self, answer, ctx, inputs, case: Case) -> Outputs:
        try:
            self.run_forward(answer, ctx, inputs, case)
        except NotYet:
            ctx.save_for_backward(*inputs)
            raise NotYet(self._backward_alone(answer, ctx, case)) from None
        try:
            return self.run_backward(answer, ctx, case)
        except NotYet:
            raise NotYet(f"forward is right for {case}; backward is still to be written") from None

    def _backward_alone(self, answer, ctx, case: Case) -> str:
        """What to say of a backward whose forward is a stub; nothing if it is one too."""
        try:
            right = same(self.run_backward(answer, ctx, case), self.wanted(case))
        except NotYet:
            return ""
        except Wrong:
            right = False
        if right:
            return "backward gives the right gradients; forward is still to be written"
        return "forward is still to be written, and backward is judged after it"

    def run_forward(self, answer, ctx, inputs, case: Case) -> None:
        log, runs = Log(), []

        def kernel(plain):
            def counted(*arguments):
                if any(isinstance(x, mtlib.Tensor) for x in arguments):
                    raise Wrong("the kernel is given tensors, and Numba knows arrays: x.numpy()")
                watch = [
                    Watched.watch(x, log) if isinstance(x, np.ndarray) else x for x in arguments
                ]
                runs.append([x for x in watch if isinstance(x, Watched)])
                return plain(*watch)

            return counted

        forward = as_python(answer.forward, log, kernel)
        with mtlib.trace() as trace:
            out = watched(forward, ctx, *inputs)
        if not isinstance(out, mtlib.Tensor):
            self.check_forward(answer, out, case)  # which tells so
        work = [event.name for event in trace.events if event.kind != "view"]
        if work:
            raise Wrong(f"forward lets mtlib's {work[0]} do the work; let your kernel do it")
        if not runs:
            raise Wrong("forward runs no kernel of yours: call one that has @njit above it")
        try:
            self.check_forward(answer, out, case)
        except Wrong as wrong:
            if any(x.stores.any() for run in runs for x in run):
                raise
            into = "the kernel stores nothing in the arrays that it is given; out[i] = … does"
            raise Wrong(f"{into}; {wrong.message}") from None
        check_wholes(log)  # now that the values are right
        made = [array for array, _ in log.made]
        check_made(log, None, out.nbytes)  # the result may be among them
        arrays = {"what it is given": [x for run in runs for x in run], "its own arrays": made}
        check_counts(arrays, self.loads, self.stores, case.sizes, out.size, case)

    def judge(self, answer) -> str:
        praise = super().judge(answer)
        summed = [name for name in names_in(self.inputs) if name not in self.result.split()]
        if summed:
            forward = as_python(answer.forward)
            check_growth(summed[0], functools.partial(self._peak, answer, forward, summed[0]))
        return praise

    def _peak(self, answer, forward, name: str, size: int) -> tuple[int, Line | None]:
        sizes = dict.fromkeys(names_in(self.inputs), 2) | {name: size}
        inputs = [mtlib.ones(shape_of(shape, sizes)) for shape in self.inputs.values()]
        return peak_memory(forward, Context(answer, (False,) * len(inputs)), *inputs)


def with_methods(function: type[mtlib.Function], **methods: Callable) -> type[mtlib.Function]:
    """``function`` with another forward or backward."""
    static = {name: staticmethod(method) for name, method in methods.items()}
    return type(function.__name__, (function,), static)


def _nothing_back(answer: type, method: str) -> Wrong | NotYet:
    """What to raise where None came back."""
    if is_empty(getattr(answer, method)):
        return NotYet()
    return Wrong(f"nothing comes back from {method}; is the return missing?")


def _gradients(count: int) -> str:
    return "1 gradient" if count == 1 else f"{count} gradients"

"""Checking a derivative against the slope measured on both sides."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mtlib.layout import Shape
from mtlib.runtime.mode import no_grad
from mtlib.tensor import BOOL, Tensor

EVERY_ENTRY = 1000  # a larger input is not moved entry by entry, but
DIRECTIONS = 10  # all at once, this many times


def gradcheck(fn, inputs, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3) -> bool:
    """Whether the gradients of ``fn(*inputs)`` are the slopes that central differences measure.

    Each entry of each input that requires a gradient is moved by ``eps`` either way; the result,
    weighted with fixed random numbers so that no error can hide in a sum, must change as the
    gradient says, to ``atol + rtol · |slope|``.  A large input is moved in all its entries at once,
    each up or down by chance, along a few such directions: one wrong entry changes every slope.
    Inputs must be float64, or bools.  Returns True, or raises ``AssertionError`` that shows the
    worst entry.

    Source: Press et al., *Numerical Recipes*, 3rd ed., section 5.7.

    >>> import mtlib
    >>> gradcheck(lambda x: x * x, [mtlib.tensor([1.0, 2.0], requires_grad=True)])
    True
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not 0 < eps < math.inf:
        raise ValueError(f"gradcheck: eps must be positive and finite, got {eps}")
    if not any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
        raise ValueError("gradcheck: none of the inputs requires a gradient")
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.dtype not in (np.float64, BOOL):
            raise TypeError(f"gradcheck: input {i} is {x.dtype}; the check needs float64")

    # Copies, so that nothing of the caller's is moved, and each entry has a place of its own.
    copies = [_fresh(x) if isinstance(x, Tensor) else x for x in inputs]
    output = fn(*copies)
    if not isinstance(output, Tensor):
        raise TypeError(f"gradcheck: the result must be a tensor, got {type(output).__name__}")
    weights = Tensor.empty(output.shape, output.dtype, "gradcheck")
    weights.storage[...] = np.random.default_rng(0).uniform(0.5, 1.5, output.size)
    if output.requires_grad:  # else backward says 0
        output.backward(weights)

    def measured() -> float:
        with no_grad():
            return float((fn(*copies).numpy() * weights.numpy()).sum())

    for i, x in enumerate(copies):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        values = x.numpy()
        gradient = np.zeros(x.shape) if x.grad is None else x.grad.numpy()
        found = []
        for where, step in _moves(x.shape):
            middle = values[where].copy()
            values[where] = middle + eps * step
            above = measured()
            values[where] = middle - eps * step
            below = measured()
            values[where] = middle
            said = float((gradient[where] * step).sum())
            found.append((where, said, (above - below) / (2 * eps)))
        _compare(i, found, atol, rtol)
    return True


def _fresh(x: Tensor) -> Tensor:
    copy = x.detach().owned(copy=True)
    copy.requires_grad = x.requires_grad
    return copy


def _moves(shape: Shape) -> Iterator[tuple]:
    """(where, step): each entry by 1, or all of them by 1 or -1."""
    if math.prod(shape) <= EVERY_ENTRY:
        yield from ((at, 1.0) for at in np.ndindex(shape))
    else:
        chance = np.random.default_rng(0)
        yield from ((..., chance.choice((-1.0, 1.0), shape)) for _ in range(DIRECTIONS))


def _compare(i: int, found: list[tuple], atol: float, rtol: float) -> None:
    def excess(line) -> float:
        _, said, slope = line
        off = abs(said - slope) - (atol + rtol * abs(slope))
        return math.inf if math.isnan(off) else off

    where, said, slope = worst = max(found, key=excess, default=((), 0.0, 0.0))
    if excess(worst) > 0:
        at = "along a random direction" if where is ... else f"at {where}"
        raise AssertionError(
            f"gradcheck: input {i} {at}: backward says {said:.6g}, "
            f"the measured slope is {slope:.6g}"
        )

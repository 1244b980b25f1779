"""Checking a derivative against the slope measured on both sides."""

from __future__ import annotations

import numpy as np

from mtlib.autograd import no_grad
from mtlib.tensor import Tensor


def gradcheck(fn, inputs, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3) -> bool:
    """Whether the gradients of ``fn(*inputs)`` are the slopes that central differences measure.

    Each entry of each input that requires a gradient is moved by ``eps`` either way; the result,
    weighted with fixed random numbers so that no error can hide in a sum, must change as the
    gradient says, to ``atol + rtol · |slope|``.  Inputs must be float64.  Returns True, or raises
    ``AssertionError`` that shows the worst entry.

    Source: Press et al., *Numerical Recipes*, 3rd ed., section 5.7.

    >>> import mtlib
    >>> gradcheck(lambda x: x * x, [mtlib.tensor([1.0, 2.0], requires_grad=True)])
    True
    """
    inputs = list(inputs)
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: none of the inputs requires a gradient")
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} is {x.dtype}; the check needs float64")

    # Copies, so that nothing of the caller's is moved, and each entry has a place of its own.
    copies = [_fresh(x) if isinstance(x, Tensor) else x for x in inputs]
    output = fn(*copies)
    weights = Tensor.empty(output.shape, output.dtype, "gradcheck")
    weights.storage[...] = np.random.default_rng(0).uniform(0.5, 1.5, output.size)
    output.backward(weights)

    def measured() -> float:
        with no_grad():
            return float((fn(*copies).numpy() * weights.numpy()).sum())

    for i, x in enumerate(copies):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        values = x.numpy()
        slopes = np.empty(x.shape)
        for at in np.ndindex(x.shape):
            middle = values[at]
            values[at] = middle + eps
            above = measured()
            values[at] = middle - eps
            below = measured()
            values[at] = middle
            slopes[at] = (above - below) / (2 * eps)
        gradient = np.zeros(x.shape) if x.grad is None else x.grad.numpy()
        _compare(i, gradient, slopes, atol, rtol)
    return True


def _fresh(x: Tensor) -> Tensor:
    copy = x.detach().owned(copy=True)
    copy.requires_grad = x.requires_grad
    return copy


def _compare(i: int, gradient: np.ndarray, slopes: np.ndarray, atol: float, rtol: float) -> None:
    excess = np.abs(gradient - slopes) - (atol + rtol * np.abs(slopes))
    if not excess.size or (np.max(excess) <= 0):
        return
    worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
    at = tuple(int(j) for j in worst)
    raise AssertionError(
        f"gradcheck: input {i} at {at}: backward says {gradient[at]:.6g}, "
        f"the measured slope is {slopes[at]:.6g}"
    )

"""Cases: matrix products, from a 2 by 4 to 2048."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

import mtlib
from benchmarks.kinds import Comparison
from benchmarks.peers import with_torch
from mtlib.kernels.products.matmul import LADDER, threaded, zip_reduce

SIZES = (64, 128, 256, 512, 1024, 2048)
DTYPES = ("float32", "float64")
LADDER_SIZES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
MOST_PRODUCTS = 1 << 26  # that zip + reduce may write down: half a gigabyte


def operand(*shape: int, dtype: str, seed: int) -> np.ndarray:
    """A random array, the same each time."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tolerance(k: int, dtype: str) -> float:
    """How far two sums of k products may differ, relative to the largest."""
    return 4 * max(k, 16) ** 0.5 * float(np.finfo(dtype).eps)


def _product(
    name: str,
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    dtype: str,
    *,
    transpose: str = "",
    **more,
) -> Comparison:
    """``a @ b``; ``transpose`` names the operands that are views with rows and columns swapped."""

    def build():
        a, b = operand(*a_shape, dtype=dtype, seed=0), operand(*b_shape, dtype=dtype, seed=1)
        a, b = (x.T if which in transpose else x for x, which in ((a, "a"), (b, "b")))
        x, y = mtlib.from_numpy(a), mtlib.from_numpy(b)
        return {
            "mtlib": lambda: x @ y,
            "NumPy": lambda: a @ b,
            **with_torch(lambda torch: _torch_product(torch, a, b)),
        }

    k, n = b_shape[-2:]  # what is transposed here is square
    flops = 2 * k * n * math.prod(a_shape[:-1])
    return Comparison(name, build, tolerance(k, dtype), flops=flops, **more)


def _torch_product(torch, a, b):
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    return lambda: x @ y


def square() -> list[Comparison]:
    return [
        _product(f"{n} {dtype}", (n, n), (n, n), dtype, quick=n in (64, 256, 512))
        for n in SIZES
        for dtype in DTYPES
    ]


def transposed() -> list[Comparison]:
    return [
        _product(f"{n} {dtype} {word}", (n, n), (n, n), dtype, transpose=which, quick=n == 256)
        for n in SIZES
        for dtype in DTYPES
        for word, which in (("A·Bᵀ", "b"), ("Aᵀ·B", "a"))
    ]


def rectangular() -> list[Comparison]:
    shapes = (((4096, 64), (64, 4096)), ((64, 4096), (4096, 64)), ((4096, 1024), (1024, 16)))
    return [
        _product(f"{_by(a)} · {_by(b)} {dtype}", a, b, dtype, quick=dtype == "float32")
        for a, b in shapes
        for dtype in DTYPES
    ]


def batched() -> list[Comparison]:
    return [
        _product(f"{p} × {n}³ {dtype}", (p, n, n), (p, n, n), dtype, quick=dtype == "float32")
        for p, n in ((64, 64), (1024, 16))
        for dtype in DTYPES
    ]


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def ladder() -> list[Comparison]:
    """Every rung over n, in float64, beside NumPy; only the last rung uses several threads."""
    return [
        Comparison(
            f"{rung.__name__} {n}",
            partial(_rung, rung, n),
            tolerance(n, "float64"),
            flops=2 * n**3,
            series=rung.__name__,
            size=n,
            quick=n in (64, 128, 256, 512),
            threads="all" if rung is threaded else 1,
        )
        for rung in LADDER
        for n in LADDER_SIZES
        if rung is not zip_reduce or n**3 <= MOST_PRODUCTS
    ]


def _rung(rung, n: int):
    a, b = operand(n, n, dtype="float64", seed=0), operand(n, n, dtype="float64", seed=1)
    out, out_numpy = np.empty((n, n)), np.empty((n, n))

    def climb():
        rung(out, a, b)
        return out

    return {"mtlib": climb, "NumPy": lambda: np.matmul(a, b, out=out_numpy)}


def tiny() -> list[Comparison]:
    """What a call costs when there is next to nothing to compute."""
    forward = _product(
        "(2, 4) @ (4, 3)", (2, 4), (4, 3), "float64", quick=True, threads=1, at_most=5e-6
    )
    return [
        forward,
        _step("the same, and backward", (2, 4), (4, 3), "float64", threads=1, at_most=60e-6),
    ]


def backward() -> list[Comparison]:
    """A product and both of its gradients: three products."""
    return [
        _step(f"{n} {dtype}", (n, n), (n, n), dtype, flops=6 * n**3)
        for n in (256, 512)
        for dtype in DTYPES
    ]


def _step(name: str, a_shape, b_shape, dtype: str, **more) -> Comparison:
    def build():
        a, b = operand(*a_shape, dtype=dtype, seed=0), operand(*b_shape, dtype=dtype, seed=1)
        d = operand(a_shape[0], b_shape[1], dtype=dtype, seed=2)
        x, y = (mtlib.tensor(array, requires_grad=True) for array in (a, b))
        seed = mtlib.tensor(d)

        def ours():
            x.grad = y.grad = None
            c = x @ y
            c.backward(seed)
            return c, x.grad, y.grad

        return {
            "mtlib": lambda: tuple(t.detach() for t in ours()),
            "NumPy": lambda: (a @ b, d @ b.T, a.T @ d),
            **with_torch(lambda torch: _torch_step(torch, a, b, d)),
        }

    k = max(*a_shape, *b_shape)
    return Comparison(name, build, tolerance(k, dtype), quick=True, **more)


def _torch_step(torch, a, b, d):
    x, y = (torch.from_numpy(array.copy()).requires_grad_() for array in (a, b))
    seed = torch.from_numpy(d)

    def step():
        with torch.enable_grad():
            x.grad = y.grad = None
            c = x @ y
            c.backward(seed)
            return c.detach(), x.grad, y.grad

    return step

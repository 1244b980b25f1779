"""Live operands: tensors of every shape, dtype and layout, each beside an array of its values.

A :class:`Recipe` is a layout as a chain of views.  It is followed twice, by NumPy on an array and
by mtlib on a tensor, so that the expected values never come out of the code that is tested, and so
that gradients can be followed back through the layout to the storage under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

import mtlib

DTYPES = (np.float32, np.float64)


@dataclass(frozen=True)
class Recipe:
    """Slice the stored dimensions, put them in order, stretch them to a shape."""

    stored: tuple[int, ...]
    keys: tuple[slice, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def of(self, x):
        """The view of ``x``, which is an array or a tensor of the stored shape."""
        if isinstance(x, np.ndarray):
            x = x[self.keys].transpose(self.order)
            pairs = zip(x.shape, x.strides, self.shape, strict=True)
            strides = [step if n == wanted else 0 for n, step, wanted in pairs]
            return np.lib.stride_tricks.as_strided(x, self.shape, strides)  # may be written to
        return x[self.keys].permute(self.order).broadcast_to(self.shape)


class Operand(NamedTuple):
    """A tensor, an array of the same values, and how both were laid out on ``base``."""

    tensor: mtlib.Tensor
    array: np.ndarray
    base: np.ndarray
    recipe: Recipe


def shapes(min_rank: int = 0, max_rank: int = 5, min_size: int = 0, max_size: int = 4):
    """Shapes with sizes of 0 and 1 among them."""
    sizes = st.integers(min_size, max_size)
    return st.lists(sizes, min_size=min_rank, max_size=max_rank).map(tuple)


def small_shapes(min_rank: int = 0):
    """Shapes of few elements, for what is slow on many: a check of every gradient."""
    return shapes(min_rank=min_rank, max_rank=3, max_size=3)


@st.composite
def recipes(draw, shape: tuple[int, ...]):
    """Contiguous, permuted, sliced, stepped, reversed and stretched ways to hold ``shape``."""
    order = tuple(draw(st.permutations(range(len(shape)))))
    stored, keys = [0] * len(shape), [slice(None)] * len(shape)
    for d, length in zip(order, shape, strict=True):
        n = draw(st.sampled_from((length, length, 1)))  # 1 is stretched to length
        step = draw(st.sampled_from((1, 1, 2, -1, -2)))
        before, after = draw(st.integers(0, 1)), draw(st.integers(0, 1))
        last = before + max(n - 1, 0) * abs(step)
        if n == 0:
            keys[d] = slice(before, before, step)
        elif step > 0:
            keys[d] = slice(before, last + 1, step)
        else:
            keys[d] = slice(last, before - 1 if before else None, step)
        stored[d] = last + (n > 0) + after
    return Recipe(tuple(stored), tuple(keys), order, shape)


def fill(domain: str, shape: tuple[int, ...], dtype, seed: int) -> np.ndarray:
    """Random values of one kind; "distinct" ones lie half a unit apart, and none at 0."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape, dtype=int))
    values = {
        "any": lambda: rng.normal(0, 2, size),
        "positive": lambda: rng.uniform(0.5, 3, size),
        "nonzero": lambda: rng.uniform(0.5, 2, size) * rng.choice((-1, 1), size),
        "distinct": lambda: (rng.permutation(size) - size // 2) * 0.5 + 0.2,
        "tied": lambda: rng.integers(-1, 2, size),
        "special": lambda: rng.choice(SPECIAL, size),
    }[domain]()
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(dtype).reshape(shape)


SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, np.inf, -np.inf, np.nan, 1e-40, 1e300, -745.0)


def near(shape: tuple[int, ...]):
    """``shape``, with some sizes replaced by 1 and some leading dimensions left out."""

    @st.composite
    def strategy(draw):
        kept = shape[draw(st.integers(0, len(shape))) :]
        return tuple(draw(st.sampled_from((n, n, 1))) for n in kept)

    return strategy()


@st.composite
def operands(draw, shape=None, dtype=None, domain: str = "any"):
    """An :class:`Operand`: made by views of a tensor, or by ``from_numpy`` of a view."""
    shape = draw(shapes()) if shape is None else shape
    dtype = draw(st.sampled_from(DTYPES)) if dtype is None else dtype
    recipe = draw(recipes(shape))
    base = fill(domain, recipe.stored, dtype, draw(st.integers(0, 2**16)))
    array = recipe.of(base)
    if draw(st.booleans()):
        return Operand(recipe.of(mtlib.tensor(base)), array, base, recipe)
    shared = base.copy()
    return Operand(mtlib.from_numpy(recipe.of(shared)), array, base, recipe)


@st.composite
def dims(draw, rank: int):
    """None, a dimension, or several, counted from either end."""
    if rank == 0:
        return None
    one = st.integers(-rank, rank - 1)
    several = st.lists(one, max_size=rank, unique_by=lambda d: d % rank).map(tuple)
    return draw(st.one_of(st.none(), one, several))


def check_gradient(call, *parts: Operand) -> None:
    """``mtlib.gradcheck`` of ``call`` on the operands, from the storage under each layout up."""

    def follow(*bases):
        return call(*(part.recipe.of(base) for part, base in zip(parts, bases, strict=True)))

    bases = [mtlib.tensor(part.base, dtype=np.float64, requires_grad=True) for part in parts]
    assert mtlib.gradcheck(follow, bases)


def assert_agree(one, other, units: int) -> None:
    """Two lists of tensors are the same to so many units of their dtype, which is one too."""
    for x, y in zip(one, other, strict=True):
        assert x.dtype == y.dtype
        tolerance = units * np.finfo(x.dtype).eps
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)

"""Shape and stride arithmetic.

A tensor is a flat storage and a :class:`Layout` that says where in it each element lies: element
``(i, j, …)`` is at ``offset + i * strides[0] + j * strides[1] + …``.  A view is a new layout on the
same storage, so everything here is integer arithmetic and no element is ever touched.

Shapes and strides are tuples of ints, in elements.  Functions that can be asked for the impossible
raise ``ValueError`` (or ``IndexError`` for an index) that names the operation and the culprit.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

Shape = tuple[int, ...]

MOST = (1 << 60) - 1  # elements of 8 bytes whose addresses fit in 64 bits, as NumPy's have to


class Layout(NamedTuple):
    """Where the elements of a tensor lie in its storage.

    >>> Layout((2, 3), (3, 1), 0).position((1, 2))
    5
    """

    shape: Shape
    strides: Shape
    offset: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def position(self, index: Sequence[int]) -> int:
        """Where in the storage the element at ``index`` lies."""
        return self.offset + sum(i * stride for i, stride in zip(index, self.strides, strict=True))

    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in row-major order.

        >>> contiguous((2, 3)).is_contiguous(), permute(contiguous((2, 3)), (1, 0)).is_contiguous()
        (True, False)
        """
        expected = 1
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length != 1 and stride != expected:
                return self.size == 0
            expected *= length
        return True


@lru_cache(maxsize=1024)
def contiguous(shape: Shape) -> Layout:
    """The row-major layout: the last index moves fastest.

    >>> contiguous((2, 4, 3))
    Layout(shape=(2, 4, 3), strides=(12, 3, 1), offset=0)
    """
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return Layout(tuple(shape), tuple(reversed(strides)), 0)


@lru_cache(maxsize=1024)
def dense_like(*layouts: Layout) -> Layout:
    """A layout without gaps for the result of an operation on each element of ``layouts``.

    Row-major, unless the first operand that is not stretched has its dimensions nested otherwise:
    then as it has them, so that transposed operands are walked in the order in which they lie.

    >>> dense_like(permute(contiguous((2, 3)), (1, 0))).strides
    (1, 3)
    """
    shape = layouts[0].shape
    for layout in layouts:
        if layout.is_contiguous():
            break
        if 0 not in layout.strides:
            order = sorted(range(len(shape)), key=lambda d: -abs(layout.strides[d]))
            inner = contiguous(tuple(shape[d] for d in order)).strides
            strides = dict(zip(order, inner, strict=True))
            return Layout(shape, tuple(strides[d] for d in range(len(shape))), 0)
    return contiguous(shape)


# --- Reading what the user wrote ------------------------------------------------------------------


def check_addressable(shape: Shape, name: str) -> None:
    """Raise ``MemoryError`` for a shape, be it of no elements or a view, that no array can have.

    >>> check_addressable((1 << 40, 1 << 10), "expand")
    """
    if prod(n or 1 for n in shape) > MOST:
        raise MemoryError(f"{name}: shape {shape} is larger than 64 bits can address")


def as_shape(sizes, name: str) -> Shape:
    """The shape meant by ``f(2, 3)`` or ``f((2, 3))``; sizes must be whole and not negative.

    >>> as_shape((2, 3), "zeros"), as_shape(([2, 3],), "zeros")
    ((2, 3), (2, 3))
    """
    shape = _integers(sizes, name)
    if any(size < 0 for size in shape):
        raise ValueError(f"{name}: shape {shape} has the negative size {min(shape)}")
    if 0 in shape:  # else what makes the array says how many bytes it would take
        check_addressable(shape, name)
    return shape


def _integers(sizes, name: str) -> tuple[int, ...]:
    if len(sizes) == 1 and not hasattr(sizes[0], "__index__"):
        sizes = sizes[0]
    try:
        return tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"{name}: a shape is made of integers, got {sizes!r}") from None


def as_dim(dim: int, ndim: int, name: str, of: str = "the tensor") -> int:
    """``dim`` counted from the front.

    >>> as_dim(-1, 3, "sum")
    2
    """
    try:
        dim = operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}") from None
    if not -ndim <= dim < ndim:
        what = f"has {ndim} dimensions" if ndim else "is a scalar and has no dimensions"
        raise ValueError(f"{name}: dim {dim} is out of range, {of} {what}")
    return dim % ndim


def as_dims(dim: int | Sequence[int] | None, ndim: int, name: str) -> Shape:
    """The sorted dimensions meant by ``dim``: one, several, or all of them (None).

    >>> as_dims(None, 3, "sum"), as_dims((-1, 0), 3, "sum")
    ((0, 1, 2), (0, 2))
    """
    if dim is None:
        return tuple(range(ndim))
    given = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = [as_dim(d, ndim, name) for d in given]
    for d in dims:
        if dims.count(d) > 1:
            raise ValueError(f"{name}: dim {given} names dimension {d} more than once")
    return tuple(sorted(dims))


# --- Views: a new layout on the same storage ------------------------------------------------------


def permute(layout: Layout, dims: Sequence[int], name: str = "permute") -> Layout:
    """Dimensions in the order ``dims``.

    >>> permute(contiguous((2, 3)), (1, 0))
    Layout(shape=(3, 2), strides=(1, 3), offset=0)
    """
    ndim = len(layout.shape)
    order = [as_dim(d, ndim, name) for d in dims]
    if sorted(order) != list(range(ndim)):
        raise ValueError(
            f"{name}: {tuple(dims)} does not name each of the {ndim} dimensions of shape "
            f"{layout.shape} once"
        )
    return Layout(
        tuple(layout.shape[d] for d in order),
        tuple(layout.strides[d] for d in order),
        layout.offset,
    )


@lru_cache(maxsize=1024)
def broadcast_shapes(*shapes: Shape, name: str = "broadcast") -> Shape:
    """The shape that all of ``shapes`` stretch to: aligned at the last dimension, 1 stretches.

    >>> broadcast_shapes((2, 4, 1), (1, 4, 3))
    (2, 4, 3)
    """
    ndim = max(map(len, shapes), default=0)
    result = []
    for d in range(-ndim, 0):
        lengths = {shape[d] for shape in shapes if len(shape) >= -d} - {1}
        if len(lengths) > 1:
            found = " and ".join(str(shape[d]) for shape in shapes if len(shape) >= -d)
            raise ValueError(
                f"{name}: shapes {' and '.join(map(str, shapes))} do not broadcast: "
                f"sizes {found} in dimension {d} differ"
            )
        result.append(lengths.pop() if lengths else 1)
    check_addressable(tuple(result), name)
    return tuple(result)


def expand(layout: Layout, shape: Shape, name: str = "expand") -> Layout:
    """Stretched to ``shape``: new and stretched dimensions get stride 0, so nothing is copied.

    >>> expand(contiguous((2, 1)), (5, 2, 3))
    Layout(shape=(5, 2, 3), strides=(0, 1, 0), offset=0)
    """
    new = len(shape) - len(layout.shape)
    strides = [0] * len(shape)
    fits = new >= 0
    for d, (length, stride) in enumerate(zip(layout.shape, layout.strides, strict=True), new):
        if not fits or length not in (1, shape[d]):
            fits = False
            break
        if length == shape[d]:
            strides[d] = stride
    if not fits:
        raise ValueError(
            f"{name}: shape {layout.shape} does not stretch to {tuple(shape)}: only sizes of 1 "
            "stretch, aligned at the last dimension"
        )
    check_addressable(tuple(shape), name)
    return Layout(tuple(shape), tuple(strides), layout.offset)


def view(layout: Layout, shape: Shape) -> Layout | None:
    """The same elements, in the same order, as ``shape``; None where that needs a copy.

    Neighbouring dimensions can be merged when stepping over the inner one's end lands on the outer
    one's next element, and any dimension can be split.

    >>> view(contiguous((2, 1, 3)), (2, 3))
    Layout(shape=(2, 3), strides=(3, 1), offset=0)
    >>> view(permute(contiguous((2, 3)), (1, 0)), (6,)) is None
    True
    """
    if layout.size == 0 or layout.is_contiguous():
        return contiguous(shape)._replace(offset=layout.offset)
    (lengths, (steps,)) = collapse(layout.shape, layout.strides)
    strides: list[int] = []
    d = len(shape) - 1
    for length, step in zip(reversed(lengths), reversed(steps), strict=True):
        filled = 1
        while filled < length:
            if d < 0 or length % (filled * shape[d]):
                return None
            strides.append(step * filled)
            filled *= shape[d]
            d -= 1
    strides += [1] * (d + 1)  # what is left has size 1, where any stride will do
    return Layout(tuple(shape), tuple(reversed(strides)), layout.offset)


def resolve(shape: Shape, sizes, name: str) -> Shape:
    """The shape meant by ``sizes`` for a tensor of ``shape``, with at most one -1 worked out.

    >>> resolve((2, 4, 3), (-1, 3), "view")
    (8, 3)
    """
    wanted = _integers(sizes, name)
    size, unknown = prod(shape), wanted.count(-1)
    if unknown > 1:
        raise ValueError(f"{name}: only one size may be -1, got {wanted}")
    if any(n < -1 for n in wanted):
        raise ValueError(f"{name}: shape {wanted} has the negative size {min(wanted)}")
    known = prod(n for n in wanted if n != -1)
    if unknown and known and size % known == 0:
        wanted = tuple(size // known if n == -1 else n for n in wanted)
    if -1 in wanted or prod(wanted) != size:
        raise ValueError(f"{name}: shape {shape} has {size} elements, which do not fill {wanted}")
    if not size:
        check_addressable(wanted, name)
    return wanted


def index(layout: Layout, key) -> Layout:
    """Basic indexing: ints, slices with any step, None and Ellipsis.

    >>> index(contiguous((4, 6)), (slice(None, None, -2), 1))
    Layout(shape=(2,), strides=(-12,), offset=19)
    """
    keys = key if isinstance(key, tuple) else (key,)
    ndim = len(layout.shape)
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if sum(k is Ellipsis for k in keys) > 1:
        raise IndexError("index: only one ellipsis ('...') may stand in an index")
    if used > ndim:
        raise IndexError(f"index: {used} indices for shape {layout.shape}, which has {ndim} dims")
    if not any(k is Ellipsis for k in keys):
        keys = (*keys, Ellipsis)

    shape, strides, offset, d = [], [], layout.offset, 0
    for k in keys:
        if k is Ellipsis:
            rest = d + ndim - used
            shape += layout.shape[d:rest]
            strides += layout.strides[d:rest]
            d = rest
            continue
        if k is None:
            shape.append(1)
            strides.append(0)
            continue
        length, stride = layout.shape[d], layout.strides[d]
        if isinstance(k, slice):
            picked = _range(k, length)
            shape.append(len(picked))
            strides.append(stride * picked.step)
            offset += stride * picked.start if picked else 0
        else:
            offset += stride * _at(k, length, d, layout.shape)
        d += 1
    return Layout(tuple(shape), tuple(strides), offset)


def _range(k: slice, length: int) -> range:
    try:
        return range(length)[k]
    except TypeError:
        raise TypeError(f"index: {k} is not made of integers") from None
    except ValueError:
        raise ValueError(f"index: {k} has the step 0") from None


def _at(k, length: int, d: int, shape: Shape) -> int:
    try:
        i = operator.index(None if isinstance(k, bool) else k)
    except TypeError:
        raise TypeError(
            f"index: {k!r} is not an index; use ints, slices, None and '...' (basic indexing)"
        ) from None
    if not -length <= i < length:
        raise IndexError(f"index: {i} is out of range for dimension {d} of shape {shape}")
    return i % length


# --- For the kernels ------------------------------------------------------------------------------


def collapse(shape: Shape, *strides: Shape) -> tuple[Shape, tuple[Shape, ...]]:
    """The fewest dimensions that walk the same elements in the same order.

    ``strides`` has one entry per operand of a kernel.  Dimensions of size 1 are dropped, and
    neighbours merge when they do so for every operand.  A contiguous tensor of any rank becomes one
    long row, which is what makes one compiled kernel serve every rank.

    >>> collapse((2, 4, 3), (12, 3, 1), (12, 3, 1))
    ((24,), ((1,), (1,)))
    >>> collapse((2, 4, 3), (12, 3, 1), (4, 1, 0))
    ((8, 3), ((3, 1), (1, 0)))
    """
    lengths: list[int] = []
    steps: list[list[int]] = []  # per dimension, one step per operand
    for d, length in enumerate(shape):
        if length == 1:
            continue
        here = [s[d] for s in strides]
        if lengths and all(a == b * length for a, b in zip(steps[-1], here, strict=True)):
            lengths[-1] *= length
            steps[-1] = here
        else:
            lengths.append(length)
            steps.append(here)
    if not lengths:
        return (1,), tuple((1,) for _ in strides)
    return tuple(lengths), tuple(zip(*steps, strict=True))

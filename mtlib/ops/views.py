"""View operations: another layout on the same storage; ``reshape`` copies where none fits.

The derivative of a view is the view that undoes it, except where several places of the result read
one element (expand): that element collects the sum of their gradients.
"""

from __future__ import annotations

from mtlib import layout as layouts
from mtlib.autograd import Function
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.strided import elementwise
from mtlib.layout import as_dim, as_dims, as_shape, resolve
from mtlib.tensor import Tensor


class _View(Function):
    """Nothing is loaded or stored."""

    kind = "view"

    @staticmethod
    def traffic(ctx, inputs, output):
        return 0, 0


class View(_View):
    """The same elements in the same order, as another shape."""

    name = "view"

    @staticmethod
    def forward(ctx, a, shape):
        ctx.shape = a.shape
        layout = layouts.view(a.layout, shape)
        if layout is None:
            raise ValueError(
                f"view: a tensor of shape {a.shape} with strides {a.strides} cannot be seen as "
                f"{shape} without a copy; use reshape"
            )
        return Tensor(a.storage, layout)

    @staticmethod
    def backward(ctx, d):
        return d.reshape(ctx.shape), None


class Permute(_View):
    """Dimensions in another order; ``dims`` counts from the front."""

    name = "permute"

    @staticmethod
    def forward(ctx, a, dims):
        layout = layouts.permute(a.layout, dims)
        ctx.inverse = tuple(sorted(range(a.ndim), key=dims.__getitem__))
        return Tensor(a.storage, layout)

    @staticmethod
    def backward(ctx, d):
        return d.permute(ctx.inverse), None


class Expand(_View):
    """Stretch dimensions of size 1; stretched dimensions have stride 0."""

    name = "expand"

    @staticmethod
    def forward(ctx, a, shape):
        ctx.shape = a.shape
        return Tensor(a.storage, layouts.expand(a.layout, shape))

    @staticmethod
    def backward(ctx, d):
        if d.shape == ctx.shape:
            return d, None
        new = d.ndim - len(ctx.shape)
        stretched = [new + i for i, n in enumerate(ctx.shape) if n == 1 and d.shape[new + i] != 1]
        return d.sum((*range(new), *stretched), keepdim=True).view(ctx.shape), None


class Index(_View):
    """Basic indexing."""

    name = "index"

    @staticmethod
    def forward(ctx, a, key):
        ctx.shape, ctx.key = a.shape, key
        return Tensor(a.storage, layouts.index(a.layout, key))

    @staticmethod
    def backward(ctx, d):
        return Scatter.apply(d, ctx.shape, ctx.key), None


class Scatter(Function):
    """Zeros of ``shape``, but for ``a`` at ``key``: what undoes an index."""

    name, kind = "scatter", "map"

    @staticmethod
    def forward(ctx, a, shape, key):
        ctx.key = key
        out = Tensor.empty(shape, a.dtype, "scatter", zero=True)
        target = layouts.index(out.layout, key)
        elementwise.copy(out.storage, a.storage, plans.iteration(target, a.layout), work=a.size)
        return out

    @staticmethod
    def backward(ctx, d):
        return d[ctx.key], None, None

    @staticmethod
    def traffic(ctx, inputs, output):
        return inputs[0].size, inputs[0].size  # the zeros come from the operating system


class Contiguous(Function):
    """A row-major copy."""

    name, kind = "contiguous", "map"

    @staticmethod
    def forward(ctx, a):
        out = Tensor.empty(a.shape, a.dtype, "contiguous")
        elementwise.copy(out.storage, a.storage, plans.iteration(out.layout, a.layout), work=a.size)
        return out

    @staticmethod
    def backward(ctx, d):
        return d


# --- As they are called ---------------------------------------------------------------------------


def view(a: Tensor, *shape) -> Tensor:
    """The same elements in the same order, as ``shape`` (one size may be -1); never copies.

    Raises ``ValueError`` where the strides do not allow it.

    >>> import mtlib
    >>> mtlib.arange(6).view(2, -1).shape
    (2, 3)
    """
    return View.apply(a, resolve(a.shape, shape, "view"))


def reshape(a: Tensor, *shape) -> Tensor:
    """Like :func:`view`, but copies where a view is not possible.

    >>> import mtlib
    >>> mtlib.arange(6).view(2, 3).T.reshape(6)
    tensor([0., 3., 1., 4., 2., 5.])
    """
    wanted = resolve(a.shape, shape, "reshape")
    return View.apply(a if layouts.view(a.layout, wanted) else contiguous(a), wanted)


def permute(a: Tensor, *dims) -> Tensor:
    """Dimensions in the order ``dims``.

    >>> import mtlib
    >>> mtlib.zeros(2, 4, 3).permute(2, 0, 1).shape
    (3, 2, 4)
    """
    given = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    return Permute.apply(a, tuple(as_dim(d, a.ndim, "permute") for d in given))


def transpose(a: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged.

    >>> import mtlib
    >>> mtlib.zeros(2, 4, 3).transpose(-1, -2).shape
    (2, 3, 4)
    """
    dim0, dim1 = (as_dim(d, a.ndim, "transpose") for d in (dim0, dim1))
    swapped = {dim0: dim1, dim1: dim0}
    return Permute.apply(a, tuple(swapped.get(d, d) for d in range(a.ndim)))


def squeeze(a: Tensor, dim=None) -> Tensor:
    """Without dimensions of size 1: all of them, or those of ``dim`` that have it.

    >>> import mtlib
    >>> mtlib.zeros(2, 1, 3).squeeze().shape, mtlib.zeros(2, 1, 3).squeeze(0).shape
    ((2, 3), (2, 1, 3))
    """
    dims = as_dims(dim, a.ndim, "squeeze")
    return View.apply(a, tuple(n for d, n in enumerate(a.shape) if n != 1 or d not in dims))


def unsqueeze(a: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 before ``dim``.

    >>> import mtlib
    >>> mtlib.zeros(2, 4).unsqueeze(-1).shape
    (2, 4, 1)
    """
    dim = as_dim(dim, a.ndim + 1, "unsqueeze", of="the result")
    return View.apply(a, (*a.shape[:dim], 1, *a.shape[dim:]))


def expand(a: Tensor, *shape) -> Tensor:
    """Stretched to ``shape`` with stride 0; -1 keeps a size.

    >>> import mtlib
    >>> b = mtlib.ones(2, 4, 1).expand(-1, -1, 3)
    >>> b.shape, b.strides
    ((2, 4, 3), (4, 1, 0))
    """
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    new = len(sizes) - a.ndim
    kept = [a.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(sizes)]
    return Expand.apply(a, as_shape((kept,), "expand"))


def broadcast_to(a: Tensor, *shape) -> Tensor:
    """Stretched to ``shape`` with stride 0.

    >>> import mtlib
    >>> mtlib.arange(3).broadcast_to(2, 3).strides
    (0, 1)
    """
    wanted = as_shape(shape, "broadcast_to")
    layouts.expand(a.layout, wanted, "broadcast_to")  # if it does not stretch, say who asked
    return Expand.apply(a, wanted)


def index(a: Tensor, key) -> Tensor:
    """``a[key]`` for basic keys: ints, slices with any step, None and ``...``.

    >>> import mtlib
    >>> mtlib.arange(6)[::-2]
    tensor([5., 3., 1.])
    """
    return Index.apply(a, key)


def contiguous(a: Tensor) -> Tensor:
    """This tensor if it is row-major, else a copy that is.

    >>> import mtlib
    >>> mtlib.zeros(2, 3).T.contiguous().strides
    (2, 1)
    """
    return a if a.is_contiguous() else Contiguous.apply(a)


def reversed_dims(a: Tensor) -> Tensor:
    """``a.T``: dimensions in reverse order.

    >>> import mtlib
    >>> mtlib.zeros(2, 3).T.shape
    (3, 2)
    """
    return Permute.apply(a, tuple(reversed(range(a.ndim))))

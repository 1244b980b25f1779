"""Views against NumPy: the same elements, no copy, and gradients that find their way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .operations import VIEWS
from .strategies import check_gradient, operands, shapes, small_shapes

pytestmark = pytest.mark.nojit

every_view = pytest.mark.parametrize("op", VIEWS, ids=lambda op: op.id)


@st.composite
def new_shapes(draw, shape):
    """A shape of as many elements, perhaps with a -1."""
    size = int(np.prod(shape, dtype=int))
    if size == 0:
        new = list(draw(st.permutations(shape)))
        return tuple(new)
    new, rest = [], size
    while rest > 1 and len(new) < 5:
        factor = draw(st.sampled_from([f for f in range(1, rest + 1) if rest % f == 0]))
        new.append(factor)
        rest //= factor
    new += [rest] * (rest > 1) + [1] * draw(st.integers(0, 2))
    new = list(draw(st.permutations(new)))
    if new and draw(st.booleans()):
        new[draw(st.integers(0, len(new) - 1))] = -1
    return tuple(new)


@st.composite
def keys(draw, shape):
    """A basic index: ints, slices with any step, None and an ellipsis."""
    parts = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        whole = st.integers(-n, n - 1) if n else st.just(slice(None))
        bound = st.none() | st.integers(-n - 2, n + 2)
        step = st.sampled_from((None, 1, 2, 3, -1, -2))
        parts.append(draw(st.one_of(whole, st.builds(slice, bound, bound, step))))
    if len(parts) == len(shape) or draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), ...)
        here = parts.index(...)
        after = len(parts) - here - 1  # these now count from the end
        for i, n in zip(range(1, after + 1), reversed(shape), strict=False):
            if isinstance(parts[-i], int):
                parts[-i] = draw(st.integers(-n, n - 1)) if n else slice(None)
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


@st.composite
def arguments(draw, name: str, shape):
    """What ``name`` can be called with, after a tensor of ``shape``."""
    rank = len(shape)
    if name in ("view", "reshape"):
        new = draw(new_shapes(shape))
        return (new,) if draw(st.booleans()) else new
    if name == "permute":
        order = draw(st.permutations(range(rank)))
        order = tuple(d - rank * draw(st.booleans()) for d in order)
        return (order,) if draw(st.booleans()) or not rank else order
    if name == "transpose":
        return tuple(draw(st.integers(-rank, rank - 1)) for _ in "ab")
    if name == "squeeze":
        ones = [d for d, n in enumerate(shape) if n == 1]
        dim = draw(st.none() | st.sampled_from(ones)) if ones else None
        return () if dim is None else (dim,)
    if name == "unsqueeze":
        return (draw(st.integers(-rank - 1, rank)),)
    if name in ("expand", "broadcast_to"):
        new = [draw(st.integers(0, 3)) if n == 1 else n for n in shape]
        return (*draw(shapes(max_rank=2, max_size=3)), *new)
    if name == "Tensor.__getitem__":
        return (draw(keys(shape)),)
    return ()


def viewable(op):
    """Shapes that ``op`` can be called on at all."""
    return 1 if op.id == "transpose" else 0


@every_view
@given(data=st.data())
@settings(max_examples=40)
def test_forward(op, data):
    shape = data.draw(shapes(min_rank=viewable(op), max_rank=4))
    operand = data.draw(operands(shape))
    given_ = data.draw(arguments(op.id, shape))
    expected = np.asarray(op.reference(operand.array, *given_))
    if op.id == "view" and not np.shares_memory(expected, operand.array) and expected.size:
        with pytest.raises(ValueError, match="without a copy; use reshape"):
            op.call(operand.tensor, *given_)
        return  # NumPy needed a copy too
    with mtlib.trace() as t:
        result = op.call(operand.tensor, *given_)
    if op.id == "contiguous":
        expected = expected.reshape(operand.array.shape)  # NumPy makes a scalar 1-D
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)
    copied = result.storage is not operand.tensor.storage
    assert copied == bool(t.buffers)
    if copied:
        assert op.id in ("reshape", "contiguous")
        assert result.is_contiguous()
        assert not operand.tensor.is_contiguous()
    elif op.id == "reshape" and result.size:
        assert op.call(operand.tensor, *given_).shape == operand.tensor.view(*given_).shape
    for event in t.events:
        if event.kind == "view":
            assert (event.reads, event.writes, event.bytes_allocated) == (0, 0, 0)


@every_view
@given(data=st.data())
@settings(max_examples=15)
def test_backward(op, data):
    shape = data.draw(small_shapes(min_rank=viewable(op)))
    part = data.draw(operands(shape, np.float64))
    given_ = data.draw(arguments(op.id, shape))

    def call(x):
        y = x.contiguous() if op.id == "view" else x
        return op.call(y, *given_)

    check_gradient(call, part)


@given(data=st.data())
@settings(max_examples=40)
def test_reshape_copies_only_when_it_must(data):
    operand = data.draw(operands())
    new = data.draw(new_shapes(operand.array.shape))
    result = operand.tensor.reshape(new)
    # NumPy finds a view of every layout that has one
    if result.size and not _shares(operand.array.reshape(new), operand.array):
        assert result.storage is not operand.tensor.storage
    elif result.size:
        assert result.storage is operand.tensor.storage


def _shares(view, array) -> bool:
    return np.shares_memory(view, array)


def test_a_write_through_one_view_is_seen_through_all():
    t = mtlib.zeros(2, 3)
    views = [t.T, t.view(6), t[:, ::-1], t.unsqueeze(0), t.expand(4, 2, 3), t.detach()]
    t.numpy()[1, 0] = 7
    for view in views:
        assert 7 in view.numpy()
    for view in views:
        view.numpy()[...] = 5
    assert (t.numpy() == 5).all()


def test_a_view_lives_on_without_its_tensor():
    t = mtlib.arange(6)
    view = t[::-2]
    del t
    assert view.tolist() == [5, 3, 1]


class TestGradients:
    def test_an_element_that_is_read_often_collects_all(self):
        x = mtlib.tensor([[1.0], [2.0]], requires_grad=True)
        x.expand(5, 2, 3).backward(mtlib.arange(30).view(5, 2, 3))
        assert x.grad.tolist() == [
            [sum(6 * i + j for i in range(5) for j in range(3))],
            [sum(6 * i + j + 3 for i in range(5) for j in range(3))],
        ]

    def test_what_is_not_picked_gets_0(self):
        x = mtlib.arange(6, requires_grad=True)
        x[1::2].backward(mtlib.tensor([1.0, 2.0, 3.0]))
        assert x.grad.tolist() == [0, 1, 0, 2, 0, 3]

    def test_stretching_to_nothing_gives_0(self):
        x = mtlib.ones(2, 1, requires_grad=True)
        x.expand(2, 0).sum().backward()
        assert x.grad.tolist() == [[0], [0]]

    def test_the_gradient_of_an_index_has_a_gradient(self):
        """Scatter is a Function too."""
        from mtlib.ops.views import Scatter

        assert mtlib.gradcheck(
            lambda d: Scatter.apply(d, (4,), slice(1, 3)), mtlib.ones(2, requires_grad=True)
        )


TRANSPOSED, ONE = mtlib.ones(2, 3).T, mtlib.ones(1)


def fails(error, says, call):
    return pytest.param(error, says, call, id=says[:30])


@pytest.mark.parametrize(
    ("error", "says", "call"),
    [
        fails(
            ValueError,
            r"view: shape (2, 3) has 6 elements, which do not fill (4, 2)",
            lambda t: t.view(4, 2),
        ),
        fails(
            ValueError,
            r"reshape: shape (2, 3) has 6 elements, which do not fill (4, -1)",
            lambda t: t.reshape(4, -1),
        ),
        fails(
            ValueError,
            r"reshape: shape (2, 3) has 6 elements, which do not fill (0, -1)",
            lambda t: t.reshape(0, -1),
        ),
        fails(ValueError, r"view: only one size may be -1, got (-1, -1)", lambda t: t.view(-1, -1)),
        fails(ValueError, r"view: shape (-2, 3) has the negative size -2", lambda t: t.view(-2, 3)),
        fails(
            TypeError, r"view: a shape is made of integers, got (2.0, 3)", lambda t: t.view(2.0, 3)
        ),
        fails(
            TypeError, r"reshape: a shape is made of integers, got None", lambda t: t.reshape(None)
        ),
        fails(
            TypeError, r"reshape: a shape is made of integers, got 'ab'", lambda t: t.reshape("ab")
        ),
        fails(
            ValueError,
            r"view: a tensor of shape (3, 2) with strides (1, 3) cannot be seen as "
            r"(6,) without a copy; use reshape",
            lambda t: TRANSPOSED.view(6),
        ),
        fails(
            ValueError,
            r"permute: (0,) does not name each of the 2 dimensions of shape (2, 3)",
            lambda t: t.permute(0),
        ),
        fails(ValueError, r"permute: () does not name each of the 2", lambda t: t.permute()),
        fails(
            ValueError,
            r"permute: (0, 0) does not name each of the 2 dimensions",
            lambda t: t.permute(0, 0),
        ),
        fails(
            ValueError,
            r"permute: (0, 1, 1) does not name each of the 2 dimensions",
            lambda t: t.permute(0, 1, 1),
        ),
        fails(ValueError, r"permute: dim 2 is out of range", lambda t: t.permute(0, 2)),
        fails(TypeError, r"permute: dim must be an integer, got 'a'", lambda t: t.permute("a", 0)),
        fails(
            ValueError,
            r"transpose: dim 2 is out of range, the tensor has 2 dimensions",
            lambda t: t.transpose(0, 2),
        ),
        fails(TypeError, r"transpose: dim must be an integer", lambda t: t.transpose(0, None)),
        fails(ValueError, r"squeeze: dim 2 is out of range", lambda t: t.squeeze(2)),
        fails(
            ValueError,
            r"squeeze: dim (0, 0) names dimension 0 more than once",
            lambda t: t.squeeze((0, 0)),
        ),
        fails(
            ValueError,
            r"unsqueeze: dim 3 is out of range, the result has 3 dimensions",
            lambda t: t.unsqueeze(3),
        ),
        fails(TypeError, r"unsqueeze: dim must be an integer", lambda t: t.unsqueeze(0.5)),
        fails(
            ValueError,
            r"expand: shape (2, 3) does not stretch to (2, 4): only sizes of 1",
            lambda t: t.expand(2, 4),
        ),
        fails(ValueError, r"expand: shape (2, 3) does not stretch to (3,)", lambda t: t.expand(3)),
        fails(
            ValueError,
            r"expand: shape (-1, 2, 3) has the negative size -1",
            lambda t: t.expand(-1, 2, 3),
        ),
        fails(
            ValueError, r"expand: shape (-2, 3) has the negative size -2", lambda t: t.expand(-2, 3)
        ),
        fails(TypeError, r"expand: a shape is made of integers", lambda t: t.expand(2.5, 3)),
        fails(
            ValueError,
            r"broadcast_to: shape (2, 3) does not stretch to (4, 3)",
            lambda t: t.broadcast_to(4, 3),
        ),
        fails(
            ValueError,
            r"broadcast_to: shape (-1, 3) has the negative size -1",
            lambda t: t.broadcast_to(-1, 3),
        ),
        fails(
            IndexError, r"index: 2 is out of range for dimension 0 of shape (2, 3)", lambda t: t[2]
        ),
        fails(
            IndexError,
            r"index: -4 is out of range for dimension 1 of shape (2, 3)",
            lambda t: t[0, -4],
        ),
        fails(
            IndexError, r"index: 3 indices for shape (2, 3), which has 2 dim", lambda t: t[0, 0, 0]
        ),
        fails(IndexError, r"index: only one ellipsis", lambda t: t[..., 0, ...]),
        fails(TypeError, r"index: 1.0 is not an index; use ints, slices, None", lambda t: t[1.0]),
        fails(TypeError, r"index: 'a' is not an index", lambda t: t["a"]),
        fails(TypeError, r"index: True is not an index", lambda t: t[True]),
        fails(TypeError, r"index: [0, 1] is not an index", lambda t: t[[0, 1]]),
        fails(TypeError, r"index: array([0, 1]) is not an index", lambda t: t[np.array([0, 1])]),
        fails(TypeError, r"index: tensor([1.]) is not an index", lambda t: t[ONE]),
        fails(
            TypeError, r"index: slice(0.5, None, None) is not made of integers", lambda t: t[0.5:]
        ),
        fails(ValueError, r"index: slice(None, None, 0) has the step 0", lambda t: t[::0]),
    ],
)
def test_errors(error, says, call):
    t = mtlib.ones(2, 3)
    with mtlib.trace() as page, pytest.raises(error) as caught:
        call(t)
    assert says in str(caught.value)
    assert page.buffers == page.events == []


def test_integers_of_numpy_are_integers():
    t = mtlib.ones(2, 3)
    two, three = np.int64(2), np.int32(3)
    assert t.view(three, two).shape == (3, 2)
    assert t[np.int64(1), :two].shape == (2,)
    assert t.sum(np.int64(1)).shape == (2,)
    assert mtlib.zeros(two, three).shape == (2, 3)

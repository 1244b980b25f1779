"""Attention, naive and fused: held together, and against NumPy in float64."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.kernels.attention import attention as kernels

from .attention_cases import assert_close, causal_or_not, draw_arrays, gradients, reference
from .strategies import DTYPES, check_gradient, fill, near, operands, shapes

both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])


@st.composite
def masks(draw, scores):
    """(mask, array of its values): bools, or numbers with -inf among them; or neither."""
    kind = draw(st.sampled_from(("none", "bools", "numbers", "a tensor")))
    shape, seed = draw(near(scores)), draw(st.integers(0, 2**16))
    if kind == "none":
        return None, None
    hidden = np.random.default_rng(seed).random(shape) < 0.4
    if kind == "bools":
        array = np.asarray(~hidden)
        if draw(st.booleans()):
            array = np.asfortranarray(array)[..., ::-1]
        return array, array
    values = np.where(hidden, -np.inf, fill("any", shape, draw(st.sampled_from(DTYPES)), seed))
    return (mtlib.tensor(values) if kind == "a tensor" else values), values


@st.composite
def problems(draw, dtypes=DTYPES, largest=6, rank=2, least=0):
    """q, k, v whose batches broadcast, in any layout, and the keyword arguments."""
    batch = draw(shapes(max_rank=rank, max_size=2, min_size=least))
    queries, keys, width, depth = (draw(st.integers(least, largest)) for _ in range(4))
    sizes = (queries, width), (keys, width), (keys, depth)
    parts = [
        draw(operands((*draw(near(batch)), *size), draw(st.sampled_from(dtypes)))) for size in sizes
    ]
    found = np.broadcast_shapes(*(part.array.shape[:-2] for part in parts))
    mask, array = draw(masks((*found, queries, keys)))
    return parts, mask, array, draw(st.booleans())


@st.composite
def cuts(draw):
    """How the kernels cut the work: into how large blocks, and for how many threads."""
    queries, keys, threads = (draw(st.integers(1, most)) for most in (4, 4, 3))
    return mock.patch.multiple(
        kernels, QUERIES=queries, KEYS=keys, threads_for=lambda work: threads
    )


@both
@pytest.mark.nojit
@given(problem=problems(), cut=cuts())
@settings(max_examples=150)
def test_forward(module, problem, cut):
    parts, mask, array, causal = problem
    with cut:
        result = module.attention(*(part.tensor for part in parts), mask, causal)
    arrays = [part.array for part in parts]
    known = arrays if array is None or array.dtype == bool else [*arrays, array]
    assert result.dtype == np.result_type(*known)
    assert_close(result, reference(*arrays, array, causal))


@both
@pytest.mark.nojit
@given(problem=problems((np.float64,), largest=3, rank=1, least=1), cut=cuts())
@settings(max_examples=25)
def test_backward(module, problem, cut):
    parts, mask, _, causal = problem
    with cut:
        check_gradient(lambda q, k, v: module.attention(q, k, v, mask, causal), *parts)


@both
@pytest.mark.nojit
@given(problem=problems((np.float64,), largest=3, rank=1, least=1), cut=cuts(), data=st.data())
@settings(max_examples=15)
def test_backward_to_the_mask(module, problem, cut, data):
    """Also where it is stretched over queries, keys or batches, and hidden where it is -inf."""
    parts, _, _, causal = problem
    batch = np.broadcast_shapes(*(part.array.shape[:-2] for part in parts))
    scores = (*batch, parts[0].array.shape[-2], parts[1].array.shape[-2])
    added = data.draw(operands(data.draw(near(scores)), np.float64))
    hides = np.where(np.random.default_rng(0).random(scores[-2:]) < 0.3, -np.inf, 0.0)
    with cut:
        check_gradient(
            lambda q, k, v, mask: module.attention(q, k, v, mask + hides, causal), *parts, added
        )


@pytest.mark.nojit
@given(problem=problems(least=1), cut=cuts())
@settings(max_examples=40)
def test_naive_and_fused_agree(problem, cut):
    parts, mask, array, causal = problem
    results = []
    for module in (mtlib.naive, mtlib.fused):
        leaves = [mtlib.tensor(part.array, requires_grad=True) for part in parts]
        if isinstance(mask, mtlib.Tensor):
            mask = mtlib.tensor(array, requires_grad=True)
            leaves.append(mask)
        with cut:
            out = module.attention(*leaves[:3], mask, causal)
            out.backward(mtlib.tensor(fill("any", out.shape, out.dtype, 1)))
        results.append((out, *(x.grad for x in leaves)))
    coarsest = max((part.array.dtype for part in parts), key=lambda dtype: np.finfo(dtype).eps)
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        assert_close(one, other.numpy(), coarsest)


@causal_or_not
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["row-major", "heads", "columns"])
@pytest.mark.parametrize(
    ("queries", "keys"), [(96, 192), (97, 193), (95, 191), (300, 50), (1, 400)]
)
@pytest.mark.usefixtures("eager_threads")
def test_blocks_of_the_usual_size(queries, keys, layout, dtype, causal):
    """On several threads, with sizes on both sides of a block's."""
    arrays = draw_arrays((2, 3), queries, keys, 20, 17, dtype)
    orders = {"row-major": (0, 1, 2, 3), "heads": (0, 2, 1, 3), "columns": (3, 1, 0, 2)}
    order = orders[layout]  # of the dimensions in memory
    back = np.argsort(order)
    held = [mtlib.from_numpy(x.transpose(order).copy()) for x in arrays]
    for x in held[:3]:
        x.requires_grad = True
    q, k, v, d = (x.permute(*back) for x in held)
    out = mtlib.fused.attention(q, k, v, causal=causal)
    out.backward(d)
    expected = gradients(arrays[3], *arrays[:3], causal=causal)
    scale = 8 * keys**0.5  # gradients of keys are sums over many queries
    tolerance = {"rtol": 0, "atol": scale * 20 * np.finfo(dtype).eps}
    np.testing.assert_allclose(out, reference(*arrays[:3], causal=causal), **tolerance)
    for leaf, gradient in zip(held[:3], expected[:3], strict=True):
        np.testing.assert_allclose(leaf.grad.permute(*back), gradient, **tolerance)


@both
@causal_or_not
@pytest.mark.nojit
@pytest.mark.parametrize(
    ("batch", "queries", "keys", "width", "depth"),
    [
        ((), 0, 3, 2, 2),
        ((), 3, 0, 2, 2),  # nothing to look at
        ((2,), 3, 4, 0, 2),  # every score is 0
        ((2,), 3, 4, 2, 0),
        ((0,), 3, 4, 2, 2),
        ((0,), 0, 0, 0, 0),
        ((), 1, 1, 1, 1),
    ],
)
def test_corners(module, batch, queries, keys, width, depth, causal):
    arrays = draw_arrays(batch, queries, keys, width, depth)
    leaves = [mtlib.tensor(x, requires_grad=True) for x in arrays[:3]]
    out = module.attention(*leaves, causal=causal)
    assert_close(out, reference(*arrays[:3], causal=causal))
    out.backward(mtlib.tensor(arrays[3]))
    for leaf in leaves:
        assert np.isfinite(leaf.grad.numpy()).all()
        assert leaf.grad.shape == leaf.shape


@both
@causal_or_not
@pytest.mark.nojit
@pytest.mark.parametrize("kind", ["bools", "numbers"])
def test_a_query_that_sees_no_key_gives_0(module, kind, causal):
    """As PyTorch's since 2.5; its gradients are 0 and not nan."""
    arrays = draw_arrays((), 4, 5, 3, 2)
    sees = np.random.default_rng(0).random((4, 5)) < 0.6
    sees[2], sees[1, :2], sees[1, 3] = False, False, True  # query 1 sees none if causal
    mask = sees if kind == "bools" else mtlib.tensor(np.where(sees, 0, -np.inf), requires_grad=True)
    leaves = [mtlib.tensor(x, requires_grad=True) for x in arrays[:3]]
    out = module.attention(*leaves, mask, causal)
    assert_close(out, reference(*arrays[:3], sees, causal))
    blind = [1, 2] if causal else [2]
    assert not out.numpy()[blind].any()
    out.backward(mtlib.tensor(arrays[3]))
    expected = gradients(arrays[3], *arrays[:3], sees, causal)
    for leaf, gradient in zip(leaves, expected, strict=False):
        assert_close(leaf.grad, gradient)
    assert not leaves[0].grad.numpy()[blind].any()
    if kind == "numbers":
        assert_close(mask.grad, expected[3])


@both
@pytest.mark.nojit
@pytest.mark.parametrize("size", [1e4, -1e4, 1e30])
def test_large_scores(module, size):
    """Their powers would overflow or vanish; only differences count."""
    q = np.array([[size], [-size]])
    k, v = np.array([[1.0], [1.0], [0.5], [-1.0]]), np.arange(8.0).reshape(4, 2)
    leaves = [mtlib.tensor(x, requires_grad=True) for x in (q, k, v)]
    with mock.patch.multiple(kernels, KEYS=1):  # the largest grows from block to block
        out = module.attention(*leaves)
        assert_close(out, reference(q, k, v))
        out.sum().backward()
    assert all(np.isfinite(leaf.grad.numpy()).all() for leaf in leaves)


@both
@pytest.mark.nojit
def test_nan_and_infinity_reach_the_queries_that_see_them(module):
    q, k, v, _ = draw_arrays((), 4, 3, 2, 2)
    q[0, 0], q[1, 0] = np.nan, np.inf
    k[:, 0] = abs(k[:, 0])
    v[2, 1] = np.inf
    out = module.attention(*map(mtlib.tensor, (q, k, v))).numpy()
    assert np.isnan(out[:2]).all()  # inf - inf among the scores of the second
    assert_close(out[2:, 0], reference(q[2:], k, v[:, :1])[:, 0])
    assert np.isposinf(out[2:, 1]).all()


@both
@pytest.mark.nojit
def test_the_scale(module):
    arrays = draw_arrays((), 3, 4, 2, 2)[:3]
    tensors = [mtlib.tensor(x) for x in arrays]
    for scale in (0, 0.3, -2, np.float32(0.25)):
        assert_close(module.attention(*tensors, scale=scale), reference(*arrays, scale=scale))


@both
@pytest.mark.nojit
def test_arrays_are_taken_too(module):
    q, k, v, _ = draw_arrays((), 3, 4, 2, 2, "float32")
    out = module.attention(q, k, mtlib.tensor(v), np.eye(3, 4, dtype=int))
    assert out.dtype == np.float64  # that of the mask, as a number in an array of ints
    assert_close(out, reference(q, k, v, np.eye(3, 4)), np.float32)
    assert module.attention(q, k, v, np.ones((3, 4), bool)).dtype == np.float32


@pytest.mark.nojit
def test_operands_that_may_not_be_written_to():
    q, k, v, _ = draw_arrays((), 3, 4, 2, 2)
    k, mask = np.broadcast_to(k[:1], k.shape), np.broadcast_to([True, False, True, True], (3, 4))
    assert not k.flags.writeable
    assert not mask.flags.writeable
    out = mtlib.fused.attention(q, mtlib.from_numpy(k), v, mask)
    assert_close(out, reference(q, k, v, mask))


class TestErrors:
    @both
    @pytest.mark.nojit
    @pytest.mark.parametrize(
        ("q", "k", "v", "says"),
        [
            ((4,), (3, 4), (3, 5), "q (4,), k (3, 4), v (3, 5): q needs 2 dimensions or more"),
            ((2, 4), (4,), (3, 5), "q (2, 4), k (4,), v (3, 5): k needs 2 dimensions or more"),
            ((2, 4), (3, 4), (), "q (2, 4), k (3, 4), v (): v needs 2 dimensions or more"),
            (
                (2, 4),
                (3, 5),
                (3, 5),
                "q (2, 4), k (3, 5), v (3, 5): queries of size 4 and keys of size 5 do not go "
                "together",
            ),
            (
                (2, 4),
                (3, 4),
                (2, 4),
                "q (2, 4), k (3, 4), v (2, 4): 3 keys and 2 values differ",
            ),
            (
                (2, 1, 4),
                (3, 3, 4),
                (3, 4),
                "q (2, 1, 4), k (3, 3, 4), v (3, 4): batch dimensions (2,), (3,), () do not "
                "broadcast",
            ),
        ],
    )
    def test_shapes(self, module, q, k, v, says):
        tensors = mtlib.zeros(q), mtlib.zeros(k, dtype="float32"), mtlib.zeros(v)
        with (
            mtlib.trace() as t,
            pytest.raises(ValueError, match=r"^attention: ") as caught,
        ):
            module.attention(*tensors)
        assert str(caught.value) == f"attention: {says}"
        assert t.buffers == t.events == []

    @both
    @pytest.mark.nojit
    @pytest.mark.parametrize("shape", [(3, 2), (3,), (2, 2, 3), (7, 5, 2, 3), (0, 3)])
    @pytest.mark.parametrize("kind", ["bools", "numbers"])
    def test_a_mask_that_does_not_stretch(self, module, shape, kind):
        mask = np.ones(shape, bool) if kind == "bools" else mtlib.zeros(shape, dtype="float32")
        q, k = mtlib.zeros(5, 2, 4), mtlib.zeros(4, 4)
        says = f"attention: mask: shape {shape} does not stretch to (5, 2, 4): "
        with (
            mtlib.trace() as t,
            pytest.raises(ValueError, match=r"^attention: mask") as caught,
        ):
            module.attention(q, k, k, mask)
        assert str(caught.value).startswith(says)
        assert t.buffers == t.events == []

    @both
    @pytest.mark.nojit
    def test_types(self, module):
        q = mtlib.zeros(2, 2, dtype="float32")
        wrong = [
            ({"q": 1}, "q must be a tensor, got int"),
            ({"k": [[1.0]]}, "k must be a tensor, got list"),
            ({"v": None}, "v must be a tensor, got NoneType"),
            ({"mask": True}, "mask must be a tensor, got bool"),
            ({"mask": [[True]]}, "mask must be a tensor, got list"),
            ({"mask": np.ones((2, 2)) * 1j}, "dtype complex128 is not supported"),
            ({"k": np.ones((2, 2)) * 1j}, "dtype complex128 is not supported"),
            ({"scale": "1"}, "scale must be a real number, got str"),
            ({"scale": 1j}, "scale must be a real number, got complex"),
        ]
        for arguments, says in wrong:
            arguments = {"q": q, "k": q.numpy(), "v": q} | arguments
            with mtlib.trace() as t, pytest.raises(TypeError) as caught:
                module.attention(**arguments)
            assert str(caught.value).startswith(f"attention: {says}")
            assert t.buffers == t.events == []

"""What is particular to attention: see test_composites for the rest."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.kernels.attention import attention as kernels

from .attention_cases import assert_close, causal_or_not, draw_arrays, gradients, reference
from .composites import blocks
from .strategies import check_gradient, near, operands

both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])


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
@given(data=st.data())
@settings(max_examples=10)
def test_backward_to_the_mask(module, causal, data):
    """Also where it is stretched over queries, keys or batches, and hidden where it is -inf."""
    parts = [data.draw(operands(shape, np.float64)) for shape in ((2, 3, 2), (3, 2), (2, 3, 1))]
    added = data.draw(operands(data.draw(near((2, 3, 3))), np.float64))
    hides = np.where(np.random.default_rng(0).random((3, 3)) < 0.3, -np.inf, 0.0)
    with data.draw(blocks()):
        check_gradient(
            lambda q, k, v, mask: module.attention(q, k, v, mask + hides, causal), *parts, added
        )


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

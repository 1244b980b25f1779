"""Tensors of bools: what comparisons give, and where, masks and counts take."""

import operator
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .fused_programs import check
from .operations import COMPARISONS, LOGIC, REDUCTIONS, VIEWS
from .strategies import DTYPES, near, recipes, shapes

pytestmark = pytest.mark.nojit

T, F = True, False
MASK = np.array([[T, F, T], [F, F, T]])


@st.composite
def masks(draw, shape):
    """(tensor, array): bools that lie in some way or other."""
    recipe = draw(recipes(shape))
    chance = np.random.default_rng(draw(st.integers(0, 99))).random(recipe.stored)
    base = np.asarray(chance < 0.5)
    made = mtlib.tensor(base) if draw(st.booleans()) else mtlib.from_numpy(base.copy())
    return recipe.of(made), recipe.of(base)


class TestMaking:
    @pytest.mark.parametrize(
        "t",
        [
            mtlib.tensor([T, F]),
            mtlib.tensor(np.array([T, F])),
            mtlib.tensor([3, 0], dtype=bool),
            mtlib.tensor([np.nan, -0.0], dtype="bool"),
            mtlib.from_numpy(np.array([T, F])),
            mtlib.tensor([0.5, 0.0]).to(bool),
            mtlib.arange(2) < 1,
        ],
    )
    def test_what_gives_bools(self, t):
        assert t.dtype == bool
        assert t.numpy().dtype == bool
        assert t.tolist() == [T, F]
        assert t[0].item() is True
        assert t.nbytes == t.storage.nbytes == 2

    def test_makers(self):
        assert mtlib.zeros(2, dtype=bool).tolist() == [F, F]
        assert mtlib.ones(2, dtype=bool).tolist() == [T, T]
        assert mtlib.full(2, True).tolist() == [T, T]
        assert mtlib.full(2, True, dtype="float32").dtype == np.float32

    def test_memory_is_shared_with_an_array(self):
        array = np.array([T, F])
        t = mtlib.from_numpy(array)
        array[1] = T
        assert t.tolist() == [T, T]

    def test_among_numbers_they_are_numbers(self):
        assert mtlib.tensor([T, 2.0]).dtype == np.float64

    def test_repr(self):
        assert repr(mtlib.tensor([T, F])) == "tensor([ True, False])"
        assert repr(mtlib.tensor(T)) == "tensor(True)"
        assert repr(mtlib.zeros(0, dtype=bool)) == "tensor([], shape=(0,), dtype=bool)"

    def test_to_and_back(self):
        t = mtlib.tensor(MASK)
        for dtype in DTYPES:
            assert t.to(dtype).dtype == dtype
            np.testing.assert_array_equal(t.to(dtype), MASK)
            assert t.to(dtype).to(bool).tolist() == MASK.tolist()
        assert t.to(bool) is t

    def test_one_pickles_and_is_true_or_false(self):
        t = pickle.loads(pickle.dumps(mtlib.tensor(MASK).T))
        assert t.dtype == bool
        assert t.tolist() == MASK.T.tolist()
        assert (t * t).dtype == bool
        assert (t @ t.T).dtype == np.float64
        assert bool(mtlib.tensor(T)) is True
        assert float(mtlib.tensor(T)) == 1


class TestLogic:
    @pytest.mark.parametrize("op", LOGIC, ids=lambda op: op.id)
    @given(data=st.data())
    @settings(max_examples=25)
    def test_forward(self, op, data):
        whole = data.draw(shapes(max_rank=3))
        parts = [data.draw(masks(data.draw(near(whole)))) for _ in op.domains]
        result = op.call(*(t for t, _ in parts))
        expected = op.reference(*(a for _, a in parts))
        assert result.dtype == bool
        assert result.shape == expected.shape
        np.testing.assert_array_equal(result, expected)

    @pytest.mark.parametrize("op", LOGIC[1:], ids=lambda op: op.id)
    def test_beside_arrays_and_pythons_bools(self, op):
        for other in (T, F, np.True_, MASK[:1]):
            for pair in ((mtlib.tensor(MASK), other), (other, mtlib.tensor(MASK))):
                result = op.call(*pair)
                assert isinstance(result, mtlib.Tensor)
                np.testing.assert_array_equal(result, op.reference(*map(np.asarray, pair)))

    @pytest.mark.parametrize("op", LOGIC[1:], ids=lambda op: op.id)
    @pytest.mark.parametrize("other", [1, 0.5, mtlib.ones(3), np.ones(3), np.ones(3, int)])
    def test_of_bools_only(self, op, other):
        says = rf"^{op.id}: takes bools, such as comparisons give, and no numbers$"
        for pair in ((mtlib.tensor(MASK), other), (other, mtlib.tensor(MASK))):
            with mtlib.trace() as t, pytest.raises(TypeError, match=says):
                op.call(*pair)
            assert t.buffers == []

    @pytest.mark.parametrize(
        ("op", "name"),
        [
            (operator.iand, "logical_and_"),
            (operator.ior, "logical_or_"),
            (operator.ixor, "logical_xor_"),
        ],
    )
    @given(data=st.data())
    @settings(max_examples=25)
    def test_in_place(self, op, name, data):
        """``mask &= other`` changes the mask itself, and so what others hold of it."""
        whole = data.draw(shapes(min_rank=1, max_rank=3))
        stored = np.random.default_rng(0).random((*whole, 2)) < 0.5
        part = stored[..., 0]
        other, array = data.draw(masks(data.draw(near(whole))))
        expected = op(part.copy(), array)
        t = mtlib.from_numpy(part)
        with mtlib.trace() as ledger:
            assert op(t, other) is t
        assert ledger.events[-1].name == name
        assert ledger.buffers == []
        np.testing.assert_array_equal(part, expected)
        np.testing.assert_array_equal(op(t, t[::-1]), op(expected, expected[::-1].copy()))

    def test_in_place_of_bools_only(self):
        for left, right in ((MASK, 1), (MASK, np.ones(3)), (np.ones(3), MASK)):
            t = mtlib.tensor(left)
            with pytest.raises(TypeError, match=r"^logical_or_: takes bools, such as"):
                t |= right
            np.testing.assert_array_equal(t, left)

    def test_a_mask_that_backward_needs_is_not_changed_unnoticed(self):
        x = mtlib.ones(3, requires_grad=True)
        mask = x > 0
        y = mtlib.where(mask, x, 0).sum()
        mask &= False
        with pytest.raises(RuntimeError, match="and logical_and_ changed its memory afterwards"):
            y.backward()

    def test_no_inverse_of_numbers(self):
        with pytest.raises(TypeError, match=r"^logical_not: takes bools"):
            ~mtlib.ones(2)

    @pytest.mark.parametrize("op", VIEWS, ids=lambda op: op.id)
    def test_views(self, op):
        arguments = {
            "view": (3, 2),
            "reshape": (6,),
            "permute": (1, 0),
            "transpose": (0, 1),
            "unsqueeze": (1,),
            "expand": (4, 2, 3),
            "broadcast_to": (4, 2, 3),
            "Tensor.__getitem__": ((slice(None), 1),),
        }.get(op.id, ())
        result = op.call(mtlib.tensor(MASK), *arguments)
        assert result.dtype == bool
        np.testing.assert_array_equal(result, op.reference(MASK, *arguments))


class TestAmongNumbers:
    """Beside floats they count as 0 and 1, and have no say in the dtype."""

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("f", [operator.add, operator.sub, operator.mul, operator.pow])
    def test_beside_a_float_tensor(self, f, dtype):
        x = np.array([0.5, 2.0, 3.0], dtype)
        for mask in (mtlib.tensor(MASK), MASK):
            result = f(mtlib.tensor(x), mask)
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, f(x, MASK.astype(dtype)))
            np.testing.assert_array_equal(f(mask, mtlib.tensor(x)), f(MASK.astype(dtype), x))

    @pytest.mark.parametrize("f", [operator.add, operator.sub, operator.mul, operator.truediv])
    def test_beside_a_number(self, f):
        result = f(mtlib.tensor(MASK), 2)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, f(MASK, 2.0))

    def test_a_comparison_with_a_number(self):
        assert (mtlib.tensor(MASK) == 1).tolist() == MASK.tolist()
        assert (mtlib.tensor(MASK) < 0.5).tolist() == (~MASK).tolist()

    @pytest.mark.parametrize(
        ("f", "reference"),
        [
            (operator.add, np.logical_or),
            (operator.mul, np.logical_and),
            (mtlib.maximum, np.logical_or),
            (mtlib.minimum, np.logical_and),
            *((op.call, op.reference) for op in COMPARISONS),
        ],
    )
    def test_two_of_them_stay_bools(self, f, reference):
        """So that a product of masks is a mask."""
        other = np.array([T, T, F])
        result = f(mtlib.tensor(MASK), mtlib.tensor(other))
        assert result.dtype == bool
        np.testing.assert_array_equal(result, reference(MASK, other))

    def test_no_difference_and_no_negative(self):
        m = mtlib.tensor(MASK)
        for call in (lambda: m - m, lambda: True - m):
            with pytest.raises(TypeError, match=r"^sub: bools have no difference; \^ tells where"):
                call()
        with pytest.raises(TypeError, match=r"^neg: a bool tensor has no negative; ~ inverts it$"):
            operator.neg(m)

    @pytest.mark.parametrize("f", [mtlib.exp, mtlib.sqrt, mtlib.tanh, mtlib.relu, mtlib.gelu])
    def test_functions_of_numbers(self, f):
        result = f(mtlib.tensor(MASK))
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, f(mtlib.tensor(MASK.astype(float))))

    def test_quotients_and_products_of_matrices(self):
        m, x = mtlib.tensor(MASK), np.arange(6.0).reshape(3, 2)
        assert (m / mtlib.ones(3, dtype=bool)).dtype == np.float64
        np.testing.assert_array_equal(m @ m.T, MASK.astype(float) @ MASK.T)
        for module in (mtlib.naive, mtlib.fused):
            np.testing.assert_array_equal(module.matmul(m, mtlib.tensor(x)), MASK @ x)
            np.testing.assert_allclose(module.softmax(m, 1).sum(1), 1)

    def test_where(self):
        m = mtlib.tensor(MASK)
        assert mtlib.where(m, mtlib.ones(3, dtype="float32"), 0).dtype == np.float32
        assert mtlib.where(m, True, ~m).tolist() == np.where(MASK, True, ~MASK).tolist()
        assert mtlib.where(m, True, ~m).dtype == bool
        assert mtlib.where(True, m, 2).tolist() == MASK.tolist()


class TestCounting:
    @pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.id)
    @pytest.mark.parametrize("dim", [None, 0, 1])
    def test_reductions(self, op, dim):
        """Counts are float64; the largest and smallest of bools are bools."""
        result = op.call(mtlib.tensor(MASK), dim=dim)
        np.testing.assert_allclose(result, op.reference(MASK.astype(float), axis=dim))
        extreme = op.exact
        assert result.dtype == (bool if extreme else np.float64)


class TestNoGradient:
    says = r"^requires_grad: a bool tensor has no gradient, only floats do$"

    def test_none_can_be_required(self):
        with pytest.raises(TypeError, match=self.says):
            mtlib.tensor([T, F], requires_grad=True)
        with pytest.raises(TypeError, match=self.says):
            mtlib.zeros(2, dtype=bool, requires_grad=True)
        m = mtlib.ones(2) > 0
        with pytest.raises(TypeError, match=self.says):
            m.requires_grad = True
        m.requires_grad = False

    def test_none_flows_through(self):
        x = mtlib.tensor([1.0, -1.0], requires_grad=True)
        for m in (x > 0, x.to(bool), (x > 0) & (x < 5), ~(x > 0)):
            assert not m.requires_grad
            assert m.is_leaf
        assert not (x > 0).sum().requires_grad

    def test_one_flows_past(self):
        x = mtlib.tensor([1.0, -2.0], requires_grad=True)
        (x * (x > 0) + mtlib.where(x < 0, x * x, 0)).sum().backward()
        assert x.grad.tolist() == [1, -4]

    def test_a_function_that_returns_bools(self):
        class Sign(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                return x > 0

        assert not Sign.apply(mtlib.ones(2, requires_grad=True)).requires_grad

    def test_gradcheck_takes_a_mask(self):
        x = mtlib.tensor([1.0, 2.0], requires_grad=True)
        assert mtlib.gradcheck(lambda x, m: mtlib.where(m, x * x, x), [x, mtlib.tensor([T, F])])


class TestAttention:
    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
    @pytest.mark.parametrize("fused", [False, True])
    def test_a_comparison_is_a_mask(self, module, fused):
        """True says that a key is seen: what a comparison of places gives is ``causal``."""
        q, k, v = (mtlib.rand(5, n, seed=n) for n in (3, 3, 2))
        q = mtlib.rand(5, 3, seed=9)
        places = mtlib.arange(5)
        call = mtlib.fuse(module.attention) if fused else module.attention
        mask = places <= places.view(5, 1)
        expected = module.attention(q, k, v, causal=True)
        np.testing.assert_allclose(call(q, k, v, mask), expected, rtol=1e-12)
        np.testing.assert_allclose(call(q, k, v, (mask * mask) & True), expected, rtol=1e-12)

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
    def test_it_is_shared_and_any_layout_will_do(self, module):
        q, k, v = (mtlib.rand(2, 4, 3, seed=n) for n in range(3))
        mask = np.random.default_rng(0).random((4, 4)) < 0.5
        expected = module.attention(q, k, v, mask.T)
        np.testing.assert_array_equal(module.attention(q, k, v, mtlib.tensor(mask).T), expected)
        lines = mtlib.tensor(mask[:1]).expand(2, 4, 4)
        expected = module.attention(q, k, v, mask[:1])
        np.testing.assert_array_equal(module.attention(q, k, v, lines), expected)


class TestFuse:
    def test_comparisons_take_no_memory_of_their_own(self):
        f = mtlib.fuse(lambda x, y: mtlib.where((x > y) & ~(x > 1), x, y))
        x, y = mtlib.rand(30, 40, seed=0), mtlib.rand(30, 40, seed=1)
        with mtlib.trace() as t:
            f(x, y)
        assert [b.nbytes for b in t.buffers] == [x.nbytes]

    def test_bools_that_are_arguments_and_results(self):
        f = mtlib.fuse(lambda x, m: (m & (x > 0), ~m, x * m, m.T, m[:, None] ^ m, m.sum(0)))
        x, m = mtlib.tensor([[1.0, -1.0], [-2.0, 3.0]]), mtlib.tensor([[T, T], [F, T]])
        results = f(x, m)
        a, b = x.numpy(), m.numpy()
        expected = (b & (a > 0), ~b, a * b, b.T, b[:, None] ^ b, b.sum(0))
        for result, array in zip(results, expected, strict=True):
            assert (result.dtype == bool) == (array.dtype == bool)
            np.testing.assert_array_equal(result, array)

    @pytest.mark.usefixtures("plain")
    def test_constants(self):
        def program(x):
            steps = mtlib.arange(3)
            seen = (steps > 0) | (mtlib.full((), True) & False)
            return mtlib.where(seen, x, -x) * mtlib.where(mtlib.full((), True) ^ True, x, 2)

        check(program, [np.array([[1.0, 2.0, 3.0]])])

    def test_a_gradient_past_a_mask(self):
        f = mtlib.fuse(lambda x, m: mtlib.where(m, x * x, x).sum() + (x * m).sum())
        x = mtlib.tensor([1.0, 2.0], requires_grad=True)
        f(x, mtlib.tensor([T, F])).backward()
        assert x.grad.tolist() == [3, 1]


class TestLedger:
    def test_a_comparison_writes_a_byte_for_each_element(self):
        x = mtlib.rand(30, 40)
        with mtlib.trace() as t:
            m = x > 0.5
            mtlib.where(m, x, 0)
        compared, chosen = (e for e in t.events if e.kind == "zip")
        assert (compared.reads, compared.writes, compared.bytes_allocated) == (2400, 1200, 1200)
        assert chosen.bytes_allocated == 1200 * 8

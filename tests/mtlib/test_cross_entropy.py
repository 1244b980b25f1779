"""What is particular to cross entropy: see test_composites for the rest."""

import numpy as np
import pytest

import mtlib

from .composites import REFERENCES
from .strategies import DTYPES
from .strips import small_strips

reference = REFERENCES["cross_entropy"]
nojit = pytest.mark.nojit
both = pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused], ids=["naive", "fused"])
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


@nojit
class TestLabels:
    @both
    @pytest.mark.parametrize(
        "labels",
        [
            [2, 0],
            (2, 0),
            np.array([2, 0], np.int8),
            np.array([2, 0], np.uint64),
            np.array([2, 0], ">i4"),
            np.array([0, 2])[::-1],
            [np.int64(2), np.int32(0)],
        ],
        ids=str,
    )
    def test_integers_in_an_array_or_a_list(self, module, labels):
        x = mtlib.tensor([[1.0, 2.0, 4.0], [0.0, 1.0, 2.0]], requires_grad=True)
        loss = module.cross_entropy(x, labels)
        np.testing.assert_allclose(loss, reference(x.numpy(), np.array([2, 0])))
        loss.backward()
        assert (x.grad.numpy() < 0).tolist() == [[False, False, True], [True, False, False]]

    @both
    @pytest.mark.parametrize("label", [1, np.int64(1), np.array(1)])
    def test_a_single_label(self, module, label):
        x = mtlib.tensor([1.0, 2.0], requires_grad=True)
        for reduction in ("mean", "sum", "none"):
            x.grad, loss = None, module.cross_entropy(x, label, reduction)
            assert loss.shape == ()
            loss.backward()
            p = REFERENCES["softmax"](x.numpy(), 0)
            np.testing.assert_allclose(x.grad, p - [0, 1], rtol=1e-14)

    @both
    def test_lists_of_lists(self, module):
        x = mtlib.randn(2, 3, 2, seed=0)
        labels = [[0, 1], [2, 1]]
        loss = module.cross_entropy(x, labels, "none")
        np.testing.assert_allclose(loss, reference(x.numpy(), np.array(labels), "none"))

    @both
    def test_in_an_array_of_any_strides(self, module):
        labels = np.arange(24).reshape(4, 6)[::-2, ::3] % 3
        x = mtlib.randn(2, 3, 2, seed=0, requires_grad=True)
        module.cross_entropy(x, labels).backward()
        grads = [x.grad.numpy()]
        x.grad = None
        module.cross_entropy(x, labels.copy()).backward()
        np.testing.assert_array_equal(grads[0], x.grad)

    @both
    def test_changed_before_backward_they_have_no_effect(self, module):
        x, labels = mtlib.zeros(2, 2, requires_grad=True), np.array([0, 1])
        loss = module.cross_entropy(x, labels, "sum")
        labels[:] = 10**9
        loss.backward()
        np.testing.assert_array_equal(x.grad, [[-0.5, 0.5], [0.5, -0.5]])


@nojit
class TestCorners:
    @both
    @pytest.mark.parametrize(
        ("shape", "labels"),
        [((0, 3), []), ((0, 3), np.zeros(0, int)), ((2, 3, 0), [[], []]), ((0, 0), [])],
    )
    def test_no_rows(self, module, shape, labels):
        x = mtlib.zeros(shape, requires_grad=True)
        assert module.cross_entropy(x, labels, "none").shape == (*shape[:1], *shape[2:])
        assert module.cross_entropy(x, labels, "sum").item() == 0
        mean = module.cross_entropy(x, labels)
        assert np.isnan(mean.item())
        mean.backward()
        assert x.grad.shape == shape

    @both
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shift", [1e4, -1e4])
    def test_what_is_large_does_not_overflow(self, module, dtype, shift):
        """Nor lose its digits: 1e4 + ln Σ has but three after the point in float32."""
        a = np.array([[0.0, 1.0, -2.0], [3.0, 3.0, 3.0]])
        x = mtlib.tensor(a + shift, dtype=dtype, requires_grad=True)
        losses = module.cross_entropy(x, [2, 1], "none")
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(losses, reference(a, np.array([2, 1]), "none"), rtol=8 * eps)
        losses.backward(mtlib.ones(2, dtype=dtype))
        expected = REFERENCES["softmax"](a, 1) - [[0, 0, 1], [0, 1, 0]]
        np.testing.assert_allclose(x.grad, expected, rtol=16 * eps)

    @both
    def test_what_is_masked(self, module):
        """A class with the logit -inf has no chance: no effect if it is wrong, else no end."""
        x = mtlib.tensor([[1.0, -np.inf, 2.0], [1.0, -np.inf, 2.0]], requires_grad=True)
        losses = module.cross_entropy(x, [0, 1], "none")
        short = np.array([[1.0, 2.0]])
        expected = reference(short, np.array([0]), "none")
        np.testing.assert_allclose(losses, [*expected, np.inf], rtol=1e-14)
        losses.backward(mtlib.ones(2))
        p = REFERENCES["softmax"](short, 1)[0]
        expected = [[p[0] - 1, 0, p[1]], [p[0], -1, p[1]]]
        np.testing.assert_allclose(x.grad, expected, rtol=1e-14)

    @both
    @pytest.mark.parametrize("small", [False, True])
    def test_infinity_and_nan(self, module, small):
        bad = [[np.inf, 0, 1], [0, np.inf, 1], [np.nan, 0, 1], [-np.inf] * 3]
        x = mtlib.tensor([*bad, [0, 1, 2]], requires_grad=True)
        with small_strips(small), np.errstate(invalid="ignore"):
            losses = module.cross_entropy(x, [0, 0, 1, 2, 0], "none")
            losses.backward(mtlib.ones(5))
        assert np.isnan(losses.numpy()[[0, 2, 3]]).all()
        assert np.isfinite(losses.numpy()[4])
        assert np.isnan(x.grad.numpy()[:4]).all()
        assert np.isfinite(x.grad.numpy()[4]).all()

    @both
    def test_one_class_is_no_surprise(self, module):
        x = mtlib.randn(3, 1, seed=0, requires_grad=True)
        loss = module.cross_entropy(x, [0, 0, 0])
        loss.backward()
        assert loss.item() == 0
        np.testing.assert_array_equal(x.grad, np.zeros((3, 1)))


def test_the_mean_of_many_is_not_off():
    """A million losses of ln 2 in float32, added one after the other, would be."""
    x = mtlib.zeros(1, 2, dtype="float32").expand(10**6, 2)
    loss = mtlib.fused.cross_entropy(x, np.zeros(10**6, int))
    np.testing.assert_allclose(loss, np.log(2), rtol=4 * np.finfo(np.float32).eps)


@nojit
class TestWhatRuns:
    def test_the_naive_pipeline(self):
        r, c = 3, 5
        n, x = r * c, mtlib.rand(r, c, requires_grad=True)
        with mtlib.trace() as t:
            mtlib.naive.cross_entropy(x, [0, 1, 2], "none")
        steps = [e.name for e in t.events if e.kind != "view"]
        inner = ["max", "sub", "exp", "sum", "log", "sub"]
        assert steps == ["compare", *inner, "where", "sum", "neg"]
        assert (t.reads, t.writes) == (13 * n + 2 * r, 5 * n + 5 * r)

    @reductions
    @pytest.mark.parametrize("shape", [(5, 300), (300, 5)])
    def test_fused_never_makes_the_logarithms(self, reduction, shape):
        x = mtlib.rand(*shape, seed=0, requires_grad=True)
        rows, labels = shape[0], np.zeros(shape[0], int)
        with mtlib.trace() as t:
            loss = mtlib.fused.cross_entropy(x, labels, reduction)
        (event,) = t.events
        assert (event.name, event.kind, event.phase) == ("cross_entropy", "fused", "forward")
        assert event.bytes_saved == x.nbytes + 8 * 2 * rows  # the logits, two numbers of each row
        made = sorted(b.nbytes for b in t.buffers if b.role == "result")
        assert made == sorted([loss.nbytes, 8 * rows, 8 * rows])
        assert t.live_bytes[-1] == sum(made)  # the workspace is gone
        d = mtlib.ones(loss.shape)
        with mtlib.trace() as t:
            loss.backward(d)
        (event,) = t.events
        assert (event.name, event.phase) == ("cross_entropy_backward", "backward")
        assert [b.nbytes for b in t.buffers if b.role == "result"] == [x.nbytes]


@nojit
class TestErrors:
    @both
    @pytest.mark.parametrize(
        ("shape", "labels", "says"),
        [
            ((), 0, "logits of shape () have no dimension of classes"),
            ((2, 3), [0], "logits of shape (2, 3) need labels of shape (2,), got (1,)"),
            ((2, 3), 0, "logits of shape (2, 3) need labels of shape (2,), got ()"),
            ((3,), [0], "logits of shape (3,) need labels of shape (), got (1,)"),
            ((2, 3, 4), [0, 1], "logits of shape (2, 3, 4) need labels of shape (2, 4), got (2,)"),
            ((2, 3), [0, 3], "label 3 at (1,) is no class, logits of shape (2, 3) have 3"),
            ((2, 3), [-1, 1], "label -1 at (0,) is no class, logits of shape (2, 3) have 3"),
            ((3,), -100, "label -100 is no class, logits of shape (3,) have 3"),
            (
                (1, 2, 1, 2),
                [[[1, 2]]],
                "label 2 at (0, 0, 1) is no class, logits of shape (1, 2, 1, 2) have 2",
            ),
            ((2, 0), [0, 0], "label 0 at (0,) is no class, logits of shape (2, 0) have 0"),
            ((2, 3), [[0], [0, 1]], "the lists of labels are ragged: their lengths differ"),
        ],
    )
    def test_values(self, module, shape, labels, says):
        x = mtlib.zeros(shape)
        with (
            mtlib.trace() as t,
            pytest.raises(ValueError, match=r"^cross_entropy: ") as caught,
        ):
            module.cross_entropy(x, labels)
        assert str(caught.value) == f"cross_entropy: {says}"
        assert t.buffers == t.events == []

    @both
    @pytest.mark.parametrize(
        ("labels", "got"),
        [
            ([0.0, 1.0], "float64"),
            (np.zeros(2, "float32"), "float32"),
            (np.zeros(0), "float64"),
            ([True, False], "bool"),
            (["a", "b"], "<U1"),
            (None, "object"),
            (mtlib.zeros(2), "a tensor, which holds floats"),
        ],
        ids=str,
    )
    def test_labels_are_integers(self, module, labels, got):
        x = mtlib.zeros(2, 3)
        with (
            mtlib.trace() as t,
            pytest.raises(TypeError, match=r"^cross_entropy: ") as caught,
        ):
            module.cross_entropy(x, labels)
        says = "labels must be integers, in an array or in lists, got"
        assert str(caught.value) == f"cross_entropy: {says} {got}"
        assert t.buffers == t.events == []

    @both
    @pytest.mark.parametrize("reduction", ["avg", None, "Mean", 1])
    def test_a_reduction_that_there_is_not(self, module, reduction):
        x = mtlib.zeros(2, 3)
        with (
            mtlib.trace() as t,
            pytest.raises(ValueError, match=r"^cross_entropy: ") as caught,
        ):
            module.cross_entropy(x, [0, 1], reduction)
        says = f"reduction {reduction!r} is not one of mean, sum, none"
        assert str(caught.value) == f"cross_entropy: {says}"
        assert t.buffers == t.events == []

    @both
    @pytest.mark.parametrize("x", [2.0, [[1.0]], None])
    def test_only_tensors_and_arrays(self, module, x):
        with pytest.raises(TypeError, match=r"^cross_entropy: the logits must be a tensor, got "):
            module.cross_entropy(x, 0)

    @both
    def test_arrays_of_other_dtypes(self, module):
        a, labels = np.arange(6).reshape(2, 3), np.array([0, 2])
        loss = module.cross_entropy(a, labels)
        np.testing.assert_allclose(loss, reference(a.astype(float), labels))
        with pytest.raises(TypeError, match=r"^cross_entropy: dtype complex128 is not supported"):
            module.cross_entropy(a * 1j, labels)

"""In place and autograd: the gradients that flow, and changes of what backward has saved."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib

from .strategies import fill, near, shapes
from .test_inplace import OPERATIONS, every_operation, every_operator

pytestmark = pytest.mark.nojit


class TestGradients:
    @every_operation
    @given(data=st.data())
    @settings(max_examples=15)
    def test_of_a_result_changed_in_place(self, name, data):
        change, *_ = OPERATIONS[name]
        shape = data.draw(shapes(max_rank=3, max_size=3))
        a = fill("positive", shape, np.float64, 0)
        b = fill("positive", data.draw(near(shape)), np.float64, 1)
        flows = data.draw(st.sampled_from(((True, True), (True, False), (False, True))))

        def call(a, b):
            return change(a * 0.5 if a.requires_grad else mtlib.tensor(a), b).tanh()

        pair = zip((a, b), flows, strict=True)
        tensors = [mtlib.tensor(x, requires_grad=needed) for x, needed in pair]
        assert mtlib.gradcheck(call, tensors)

    @every_operator
    def test_by_itself_and_by_a_number(self, change):
        x = mtlib.tensor([0.5, 1.5], requires_grad=True)

        def by_itself(x):
            y = x * 1
            return change(y, y)

        assert mtlib.gradcheck(by_itself, [x])
        assert mtlib.gradcheck(lambda x: change(x * 1, 2), [x])

    def test_the_check_notices_what_is_saved_too_late(self, monkeypatch):
        def late(ctx, a, b):
            ctx.save_for_backward((a * b).detach(), b)

        monkeypatch.setattr("mtlib.ops.inplace._save_before", late)
        x = mtlib.tensor([0.5, 1.5], requires_grad=True)
        with pytest.raises(AssertionError, match=r"gradcheck: input 0 at"):
            mtlib.gradcheck(lambda x: operator.imul(x * 1, x * 3), [x])

    @every_operator
    def test_of_two_dtypes(self, change):
        x = mtlib.full((2, 3), 2.0, dtype="float32", requires_grad=True)
        y = mtlib.full((3,), 3.0, dtype="float64", requires_grad=True)
        z = x * 1
        z = change(z, y)
        z.sum().backward()
        assert (z.dtype, x.grad.dtype, y.grad.dtype) == (np.float32, np.float32, np.float64)

        x2, y2 = mtlib.full((2, 3), 2.0, requires_grad=True), mtlib.full((3,), 3.0)
        y2.requires_grad = True
        out_of_place = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv"}
        plain = getattr(operator, out_of_place.get(change.__name__, "pow"))
        plain(x2, y2).sum().backward()
        np.testing.assert_allclose(x.grad, x2.grad, rtol=1e-6)
        np.testing.assert_allclose(y.grad, y2.grad, rtol=1e-6)

    def test_what_is_overwritten_gets_none(self):
        x, y = mtlib.ones(2, requires_grad=True), mtlib.ones(2, requires_grad=True)
        h = (x * 2).copy_(y)
        h.sum().backward()
        assert x.grad is None
        assert y.grad.tolist() == [1, 1]
        h = (x * 2).zero_()
        assert h.requires_grad
        h.sum().backward()
        assert x.grad is None

    @pytest.mark.parametrize("start", [lambda: 0, lambda: mtlib.zeros()], ids=["0", "a tensor"])
    def test_a_total_of_losses(self, start):
        w = mtlib.tensor([1.0, 2.0], requires_grad=True)
        total = start()
        for k in range(1, 4):
            total += (w * w * k).sum()
        total.backward()
        assert total.item() == 30
        assert w.grad.tolist() == [12, 24]

    def test_a_leaf_only_under_no_grad(self):
        w = mtlib.ones(2, requires_grad=True)
        says = "a leaf that requires a gradient is being used in an in-place operation"
        for name, call in (
            *((name, lambda f=f: f(w, 2)) for name, (f, *_) in OPERATIONS.items()),
            ("copy_", lambda: w.copy_(mtlib.zeros(2))),
            ("fill_", lambda: w.fill_(2)),
            ("zero_", w.zero_),
        ):
            with pytest.raises(RuntimeError, match=f"^{name}: {says}; do it under no_grad\\(\\)$"):
                call()
        with mtlib.no_grad():
            w += 1
        assert w.is_leaf
        assert w.requires_grad
        assert w.tolist() == [2, 2]

    @pytest.mark.parametrize(
        "hold",
        [lambda h: h[0], lambda h: h.T, lambda h: h.detach(), lambda h: h.numpy(), lambda h: h * h],
        ids=["row", "transposed", "detached", "array", "saved"],
    )
    def test_memory_that_something_else_holds(self, hold):
        """Whatever it is would have values that its own history does not explain."""
        x = mtlib.ones(2, 2, requires_grad=True)
        h = x * 2
        held = hold(h)
        with pytest.raises(RuntimeError, match=r"^add_: the memory .* shape \(2, 2\) is held by"):
            h += 1
        assert h.tolist() == [[2, 2], [2, 2]]
        assert h.grad_fn.name == "mul"
        del held
        h += 1
        h.sum().backward()
        assert x.grad.tolist() == [[2, 2], [2, 2]]

    def test_memory_that_is_only_looked_at(self):
        x = mtlib.ones(2, 2, requires_grad=True)
        h = x * 2
        total, same = h[0].sum() + h.T.sum(), h
        h *= h
        assert same is h
        (total + h.sum()).backward()
        assert x.grad.tolist() == [[12, 12], [10, 10]]

    def test_memory_of_an_array(self):
        x, array = mtlib.ones(2, requires_grad=True), np.zeros(2)
        a = mtlib.from_numpy(array)
        with pytest.raises(RuntimeError, match=r"^add_: the memory"):
            a += x
        assert not a.requires_grad
        assert array.tolist() == [0, 0]


class TestVersions:
    """What backward has saved must be what it was."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda y: y.add_(1),
            lambda y: y[0].zero_(),
            lambda y: y.T.mul_(2),
            lambda y: y.detach().copy_(mtlib.zeros(2, 2)),
            lambda y: operator.setitem(y, 0, 3),
        ],
        ids=["itself", "a row", "transposed", "detached", "an item"],
    )
    def test_a_change_is_noticed(self, change):
        x = mtlib.zeros(2, 2, requires_grad=True)
        y = x.exp()
        with mtlib.no_grad():
            change(y)
        says = r"modified by an inplace operation: exp saved a tensor of shape \(2, 2\), and \w+ ch"
        with pytest.raises(RuntimeError, match=says):
            y.sum().backward()

    def test_of_data_that_need_no_gradient(self):
        x, w = mtlib.ones(2), mtlib.ones(2, requires_grad=True)
        y = (x * w).sum()
        x += 1
        with pytest.raises(RuntimeError, match=r"mul saved .* and add_ changed its memory"):
            y.backward()
        (x * w).sum().backward()
        assert w.grad.tolist() == [2, 2]

    def test_through_another_tensor_of_one_array(self):
        array = np.arange(6.0).reshape(2, 3)
        saved, row = mtlib.from_numpy(array), mtlib.from_numpy(array[1, ::-1])
        w = mtlib.ones(2, 3, requires_grad=True)
        for change in (row, mtlib.from_numpy(saved.T.numpy())):
            y = (w * saved).sum()
            change *= 2
            with pytest.raises(RuntimeError, match=r"mul saved .* and mul_ changed its memory"):
                y.backward()

    def test_what_is_not_saved_may_change(self):
        x, other = mtlib.ones(2, requires_grad=True), mtlib.ones(2)
        y = x.exp()
        other += 1
        z = y + other
        other *= 3  # + needs neither
        z.sum().backward()
        np.testing.assert_allclose(x.grad, y.detach())

    def test_before_and_after(self):
        x = mtlib.ones(2)
        x += 1
        w = mtlib.ones(2, requires_grad=True)
        y = (x * w).sum()
        y.backward(retain_graph=True)
        assert w.grad.tolist() == [2, 2]
        x += 1
        with pytest.raises(RuntimeError, match=r"inplace operation"):
            y.backward()

    def test_memory_that_was_freed_is_forgotten(self):
        before = len(mtlib.runtime.versions.clock._last)
        x = mtlib.ones(2)
        x += 1
        assert len(mtlib.runtime.versions.clock._last) == before + 1
        del x
        assert len(mtlib.runtime.versions.clock._last) == before

    def test_a_function_that_changes_what_it_saved(self):
        class Wrong(mtlib.Function):
            @staticmethod
            def forward(ctx, a, b):
                ctx.save_for_backward(a, b)
                return a.mul_(b).detach()

            @staticmethod
            def backward(ctx, d):
                a, b = ctx.saved_tensors
                return d * b, d * a

        b = mtlib.full((2,), 3.0, requires_grad=True)
        y = Wrong.apply(mtlib.ones(2), b).sum()
        with pytest.raises(RuntimeError, match=r"Wrong saved a tensor .* and mul_ changed"):
            y.backward()

    def test_what_a_fused_program_keeps(self):
        x = mtlib.ones(2, requires_grad=True)
        y = mtlib.fuse(lambda x: (x * x).exp())(x)
        with mtlib.no_grad():
            x -= 0.5
        with pytest.raises(RuntimeError, match=r"inplace operation"):
            y.sum().backward()


class TestGrad:
    def test_can_be_set(self):
        w = mtlib.ones(2, dtype="float32", requires_grad=True)
        w.grad = g = mtlib.ones(2, dtype="float32")
        assert w.grad is g
        w.grad += 1
        w.sum().backward()
        assert w.grad.tolist() == [3, 3]
        w.grad = None
        assert w.grad is None

    def test_is_a_tensor_of_that_shape_and_dtype(self):
        w = mtlib.ones(2, requires_grad=True)
        w.grad = mtlib.zeros(2)
        for value, error, says in (
            (0, TypeError, "must be a tensor or None, got int"),
            (np.zeros(2), TypeError, "must be a tensor or None, got ndarray"),
            (mtlib.zeros(3), ValueError, r"a gradient of shape \(3,\) and dtype float64 for a"),
            (mtlib.zeros(2, dtype="float32"), ValueError, "a gradient of shape .* dtype float32"),
            (w, ValueError, "a tensor cannot be its own gradient"),
        ):
            with pytest.raises(error, match=f"^grad: {says}"):
                w.grad = value
        assert w.grad.tolist() == [0, 0]

"""How gradients flow back, arrive, add up and are let go."""

import gc
import threading
import weakref

import numpy as np
import pytest

import mtlib


def leaf(*values, dtype=None) -> mtlib.Tensor:
    return mtlib.tensor(values, dtype=dtype, requires_grad=True)


class TestGraphs:
    def test_a_shared_subexpression_is_visited_once(self):
        x = leaf(2.0, 3.0)
        shared = x * x
        y = shared + shared * shared + shared.exp().log()
        with mtlib.trace() as t:
            y.sum().backward()
        np.testing.assert_allclose(x.grad, [2 * 2 * 2 + 4 * 8, 2 * 2 * 3 + 4 * 27])
        # the backward of x * x is two products and their sum, once
        assert sum(e.input_shapes[0] == (2,) for e in t.by_name("exp")) == 0

    def test_a_diamond(self):
        x = leaf(3.0)
        left, right = x * 2, x * x
        (left * right).sum().backward()
        assert x.grad.tolist() == [6 * 9]

    def test_diamonds_upon_diamonds_take_one_step_each(self):
        """2⁶⁰ paths lead from the end to the leaf, and 60 nodes."""
        x = leaf(1.0)
        y = x
        for _ in range(60):
            y = y + y
        y.backward()
        assert x.grad.item() == 2.0**60

    def test_an_operand_used_twice(self):
        x = leaf(2.0, 5.0)
        (x * x).sum().backward()
        assert x.grad.tolist() == [4, 10]

    def test_gradients_flow_only_where_they_are_needed(self):
        x, y = leaf(2.0), mtlib.tensor([3.0])
        z = x * y
        assert z.requires_grad
        assert not (y * y).requires_grad
        z.backward()
        assert y.grad is None

    def test_a_result_knows_what_made_it(self):
        x = leaf(1.0)
        y = x * 2
        assert (x.is_leaf, y.is_leaf) == (True, False)
        assert x.grad_fn is None
        assert (y.grad_fn.name, repr(y.grad_fn)) == ("mul", "<Mul>")
        y.backward()
        assert y.grad is None  # only leaves keep theirs

    def test_a_leaf_is_its_own_derivative(self):
        x = leaf(1.0, 2.0)
        x.backward(mtlib.tensor([3.0, 4.0]))
        x.backward(mtlib.tensor([1.0, 1.0]))
        assert x.grad.tolist() == [4, 5]

    def test_a_chain_of_100_000(self):
        x = leaf(1.0)
        y = x
        for _ in range(100_000):
            y = y + x
        y.backward()
        assert x.grad.item() == 100_001
        del y  # must not overflow the stack either

    def test_a_chain_of_100_000_that_is_never_walked(self):
        y = leaf(1.0)
        for _ in range(100_000):
            y = y * 1
        held = weakref.ref(y)
        del y
        assert held() is None


class TestAccumulation:
    def test_two_passes_add_up(self):
        x = leaf(1.0, 2.0)
        for _ in range(2):
            (x * 3).sum().backward()
        assert x.grad.tolist() == [6, 6]
        x.grad = None
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3, 3]

    def test_leaves_do_not_share_the_memory_of_their_gradients(self):
        x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
        gradient = mtlib.ones(2)
        (x + y).backward(gradient)
        grads = [x.grad.numpy(), y.grad.numpy()]
        assert not np.shares_memory(*grads)
        grads[0][...] = 0
        assert y.grad.tolist() == gradient.tolist() == [1, 1]

    def test_a_gradient_has_no_memory_but_its_own(self):
        x = leaf(1.0, 2.0, 3.0)
        x[:2].sum().backward()  # came as a stretched view
        assert x.grad.is_contiguous()
        assert x.grad.storage.size == 3
        y = leaf(1.0)
        y.expand(3).sum().backward()
        assert y.grad.storage.size == 1

    def test_a_function_that_returns_what_it_saved_does_not_give_it_away(self):
        class Dot(mtlib.Function):
            @staticmethod
            def forward(ctx, x, weight):
                ctx.save_for_backward(weight)
                return (x * weight).sum()

            @staticmethod
            def backward(ctx, d):
                (weight,) = ctx.saved_tensors
                return weight, None

        x, weight = leaf(1.0, 2.0), mtlib.tensor([3.0, 4.0])
        Dot.apply(x, weight).backward()
        x.grad.numpy()[...] = 0
        assert weight.tolist() == [3, 4]

    def test_an_array_returned_as_a_gradient_stays_the_callers(self):
        array = np.ones(2)

        class Ones(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                return x.sum()

            @staticmethod
            def backward(ctx, d):
                return mtlib.from_numpy(array)

        x = leaf(1.0, 2.0)
        Ones.apply(x).backward()
        x.grad.numpy()[...] = 0
        assert array.tolist() == [1, 1]


class TestBackward:
    def test_a_single_element_needs_no_gradient(self):
        for shape in ((), (1,), (1, 1)):
            x = mtlib.ones(shape, requires_grad=True)
            (x * 2).backward()
            assert x.grad.item() == 2

    def test_twice_needs_retain_graph(self):
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.item() == 8
        with pytest.raises(
            RuntimeError,
            match=r"^backward: what mul had saved was freed by an earlier backward; .*retain_graph",
        ):
            y.backward()

    def test_what_was_saved_is_freed_on_the_way(self):
        x = leaf(*range(100))
        y = x.exp()
        saved = weakref.ref(y.storage)
        z = y.sum()
        del y
        assert saved() is not None
        z.backward()
        assert saved() is None

    @pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused])
    def test_twice_over_a_product(self, module):
        a = mtlib.ones(2, 2, requires_grad=True)
        c = module.matmul(a, a)
        c.sum().backward()
        with pytest.raises(RuntimeError, match=r"was freed by an earlier backward"):
            c.sum().backward()

    def test_without_anything_that_requires_a_gradient(self):
        says = r"^backward: this tensor of shape \(2,\) does not depend on anything that requires"
        with pytest.raises(RuntimeError, match=says):
            mtlib.ones(2).backward()

    def test_more_than_one_element_without_a_gradient(self):
        x = leaf(1.0, 2.0)
        with pytest.raises(ValueError, match=r"^backward: a tensor of shape \(2,\) needs a gradi"):
            (x * 2).backward()
        with pytest.raises(ValueError, match=r"^backward: a tensor of shape \(0,\) needs a gradi"):
            x[:0].backward()

    def test_a_gradient_of_another_shape(self):
        x = leaf(1.0, 2.0)
        y = x * 2
        for shape in ((3,), (1,), (2, 1), ()):
            with pytest.raises(
                ValueError, match=r"^backward: gradient of shape .* for a tensor of shape \(2,\)$"
            ):
                y.backward(mtlib.ones(shape))
        assert x.grad is None

    @pytest.mark.parametrize("gradient", [1.0, [1.0, 1.0], np.ones(2), "a"])
    def test_a_gradient_of_another_type(self, gradient):
        with pytest.raises(TypeError, match=r"^backward: the gradient must be a tensor, got "):
            (leaf(1.0, 2.0) * 2).backward(gradient)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("other", ["float32", "float64"])
    def test_a_gradient_has_the_dtype_of_its_leaf(self, dtype, other):
        x, w = leaf(1.0, 2.0, dtype=dtype), leaf(3.0, 4.0, dtype=other)
        y = x * w
        y.backward(mtlib.ones(2, dtype=other))
        assert x.grad.dtype == x.dtype
        assert w.grad.dtype == w.dtype
        x.backward(mtlib.ones(2, dtype=other))
        assert x.grad.dtype == x.dtype

    def test_the_callers_gradient_is_left_alone(self):
        x, d = leaf(1.0, 2.0), mtlib.ones(2)
        (x + 0).backward(d)
        x.grad.numpy()[...] = 5
        assert d.tolist() == [1, 1]

    def test_a_backward_that_raises_leaves_gradients_on(self):
        class Bad(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 1

            @staticmethod
            def backward(ctx, d):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            Bad.apply(leaf(1.0)).backward()
        assert (leaf(1.0) * 2).requires_grad
        with mtlib.trace() as t:
            _ = leaf(1.0) * 2
        assert t.events[0].phase == "forward"


class TestRequiresGrad:
    def test_it_can_be_set_on_leaves_only(self):
        x = mtlib.ones(2)
        x.requires_grad = True
        y = x * 2
        with pytest.raises(
            RuntimeError, match=r"^requires_grad: can only be set on a leaf, and .*mul"
        ):
            y.requires_grad = False
        y.detach().requires_grad = True
        x.requires_grad = False
        assert not (x * 2).requires_grad

    def test_a_view_of_a_leaf_is_no_leaf(self):
        x = mtlib.ones(2, 3, requires_grad=True)
        assert not x.T.is_leaf
        assert x.T.requires_grad

    def test_detach_shares_memory_and_drops_history(self):
        x = leaf(1.0, 2.0)
        y = (x * 2).detach()
        assert (y.requires_grad, y.is_leaf, y.grad_fn) == (False, True, None)
        (x * y).sum().backward()
        assert x.grad.tolist() == [2, 4]  # y is a constant
        z = x.detach()
        assert z.storage is x.storage
        assert x.requires_grad


class TestNoGrad:
    def test_as_a_context(self):
        x = leaf(1.0)
        with mtlib.no_grad():
            y = x * 2
        assert (y.requires_grad, y.is_leaf) == (False, True)
        assert (x * 2).requires_grad

    def test_as_a_decorator(self):
        @mtlib.no_grad()
        def double(x):
            """Twice."""
            return x * 2

        assert not double(leaf(1.0)).requires_grad
        assert double.__doc__ == "Twice."
        assert (leaf(1.0) * 2).requires_grad

    def test_nested_and_entered_again(self):
        x, off = leaf(1.0), mtlib.no_grad()
        with off:
            with off, mtlib.no_grad():
                pass
            assert not (x * 2).requires_grad
        assert (x * 2).requires_grad

    def test_a_decorated_function_may_call_itself(self):
        @mtlib.no_grad()
        def power(x, n):
            return x * power(x, n - 1) if n else x

        assert not power(leaf(2.0), 3).requires_grad
        assert (leaf(1.0) * 2).requires_grad

    def test_an_exception_leaves_it_as_it_was(self):
        with pytest.raises(ZeroDivisionError), mtlib.no_grad():
            raise ZeroDivisionError
        assert (leaf(1.0) * 2).requires_grad

    def test_threads_that_share_a_decorated_function_do_not_disturb_each_other(self):
        inside, leave = threading.Event(), threading.Event()

        @mtlib.no_grad()
        def slow(wait):
            inside.set()
            if wait:
                leave.wait(10)

        thread = threading.Thread(target=slow, args=(True,))
        thread.start()
        inside.wait(10)
        with mtlib.no_grad():
            slow(False)  # enters and leaves while the other thread is inside
        leave.set()
        thread.join()
        assert (leaf(1.0) * 2).requires_grad

    def test_it_is_of_this_thread(self):
        seen = []
        with mtlib.no_grad():
            thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
            thread.start()
            thread.join()
        assert seen == [True]


class TestMemory:
    @pytest.mark.parametrize("name", ["exp", "sqrt", "relu", "sigmoid", "tanh"])
    def test_a_function_that_saves_its_output_can_be_freed(self, name):
        """Reference counting alone must do: the garbage collector may come late."""
        gc.disable()
        try:
            y = getattr(leaf(1.0, 2.0), name)()
            held = [weakref.ref(y), weakref.ref(y.storage), weakref.ref(y.grad_fn.context)]
            del y
            assert [ref() for ref in held] == [None, None, None]
        finally:
            gc.enable()

    def test_a_function_that_keeps_its_output_on_ctx_can_be_freed(self):
        class Keep(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.y = x * 2
                return ctx.y

            @staticmethod
            def backward(ctx, d):
                return d * 2

        gc.disable()
        try:
            y = Keep.apply(leaf(1.0))
            held = weakref.ref(y.storage)
            del y
            assert held() is None
        finally:
            gc.enable()

    def test_results_that_nothing_saved_are_not_held(self):
        x = leaf(1.0, 2.0)
        y = x + 1
        held = weakref.ref(y.storage)
        z = y + 1
        del y
        assert held() is None
        z.sum().backward()
        assert x.grad.tolist() == [1, 1]

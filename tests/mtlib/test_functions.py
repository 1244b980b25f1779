"""Writing a Function of one's own, and what is said when a part is missing."""

import numpy as np
import pytest

import mtlib

pytestmark = pytest.mark.nojit


class Scale(mtlib.Function):
    """Ten lines: both methods, a saved tensor, an argument that is no tensor."""

    @staticmethod
    def forward(ctx, x, factor, power=2):
        ctx.save_for_backward(x)
        ctx.factor, ctx.power = factor, power
        return factor * x**power

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * ctx.factor * ctx.power * x ** (ctx.power - 1), None, None


def made(forward=None, backward=None):
    """A Function called Made with the methods that are given."""
    methods = {"forward": forward, "backward": backward}
    return type("Made", (mtlib.Function,), {k: staticmethod(f) for k, f in methods.items() if f})


def leaf(*values):
    return mtlib.tensor(values, requires_grad=True)


def double(ctx, x):
    return x * 2


def test_ten_lines_are_enough():
    x = leaf(1.0, 2.0)
    y = Scale.apply(x, 5.0, 3)
    assert y.tolist() == [5, 40]
    assert repr(y.grad_fn) == "<Scale>"
    y.sum().backward()
    assert x.grad.tolist() == [15, 60]
    assert mtlib.gradcheck(lambda x: Scale.apply(x, 5.0, 3), [x])


def test_gradients_are_not_followed_through_forward():
    y = Scale.apply(leaf(1.0), 2.0, 2)
    assert len(y.grad_fn.inputs) == 3
    assert [source is None for source in y.grad_fn.inputs] == [False, True, True]


def test_under_no_grad_nothing_is_saved():
    seen = []

    def forward(ctx, x):
        ctx.save_for_backward(x)
        seen.append((ctx.saved_tensors, ctx.needs_input_grad))
        return x * 2

    with mtlib.no_grad():
        y = made(forward).apply(leaf(1.0))
    assert seen == [((), (False,))]
    assert not y.requires_grad


def test_none_can_be_saved():
    def forward(ctx, x):
        ctx.save_for_backward(x, None)
        return x * 2

    def backward(ctx, d):
        x, nothing = ctx.saved_tensors
        assert nothing is None
        return d * x

    x = leaf(3.0)
    made(forward, backward).apply(x).backward()
    assert x.grad.item() == 3


def test_needs_input_grad_has_one_entry_for_each_argument():
    def forward(ctx, x, flag, y):
        assert ctx.needs_input_grad == (True, False, False)
        return x * y

    made(forward).apply(leaf(1.0), True, mtlib.ones(1))


def test_an_input_can_be_returned_as_it_is():
    def backward(ctx, d):
        return d * 3

    x = leaf(1.0)
    y = made(lambda ctx, x: x, backward).apply(x)
    assert y is not x
    assert x.is_leaf
    y.backward()
    assert x.grad.item() == 3


def test_a_constant_can_be_returned_and_is_left_alone():
    constant = mtlib.ones(1)
    y = made(lambda ctx, x: constant, double).apply(leaf(1.0))
    assert y.requires_grad
    assert not constant.requires_grad
    assert constant.grad_fn is None


def test_a_list_of_gradients_will_do():
    x, y = leaf(1.0), leaf(1.0)
    made(lambda ctx, x, y: x + y, lambda ctx, d: [d, d * 2]).apply(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (1, 2)


def test_a_gradient_nobody_asked_for_is_not_looked_at():
    x = leaf(1.0)
    made(lambda ctx, x, y: x + y, lambda ctx, d: (d, "whatever")).apply(x, 2.0).backward()
    assert x.grad.item() == 1


def test_no_gradient_at_all():
    x = leaf(1.0)
    made(double, lambda ctx, d: None).apply(x).backward()
    assert x.grad is None


def test_a_gradient_of_another_dtype_is_cast():
    x = mtlib.ones(1, dtype="float32", requires_grad=True)
    made(double, lambda ctx, d: d.to("float64")).apply(x).backward()
    assert x.grad.dtype == np.float32


class TestMissingParts:
    def test_forward(self):
        with pytest.raises(NotImplementedError, match=r"^Made\.forward is not written$"):
            made().apply(leaf(1.0))

    def test_backward(self):
        y = made(double).apply(leaf(1.0))
        with pytest.raises(NotImplementedError, match=r"^Made\.backward is not written"):
            y.backward()

    @pytest.mark.parametrize("result", [None, 3.0, np.ones(1)])
    def test_a_result(self, result):
        with pytest.raises(TypeError, match=r"^Made\.forward must return a tensor, got \w+$"):
            made(lambda ctx, x: result).apply(leaf(1.0))

    def test_saving(self):
        def backward(ctx, d):
            (x,) = ctx.saved_tensors
            return d * x

        y = made(double, backward).apply(leaf(1.0))
        says = r"^backward: Made\.forward saved nothing; call ctx\.save_for_backward there$"
        with pytest.raises(RuntimeError, match=says):
            y.backward()

    @pytest.mark.parametrize("thing", [3, np.ones(1), "x"])
    def test_saving_what_is_no_tensor(self, thing):
        def forward(ctx, x):
            ctx.save_for_backward(x, thing)
            return x * 2

        says = r"^save_for_backward: Made\.forward saves a \w+; only tensors are saved, set .* ctx$"
        with pytest.raises(TypeError, match=says):
            made(forward).apply(leaf(1.0))

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_the_number_of_gradients(self, count):
        y = made(lambda ctx, a, b: a + b, lambda ctx, d: (d,) * count).apply(leaf(1.0), leaf(1.0))
        says = rf"^Made\.backward returned {count} gradients for the 2 arguments of forward"
        with pytest.raises(ValueError, match=says):
            y.backward()

    def test_the_shape_of_a_gradient(self):
        y = made(lambda ctx, a, b: a + b, lambda ctx, d: (d, d.sum())).apply(leaf(1.0), leaf(1.0))
        says = r"^Made\.backward returned a gradient of shape \(\) for argument 1 of shape \(1,\)$"
        with pytest.raises(ValueError, match=says):
            y.backward()

    @pytest.mark.parametrize("thing", [3.0, np.ones(1)])
    def test_the_type_of_a_gradient(self, thing):
        y = made(double, lambda ctx, d: thing).apply(leaf(1.0))
        with pytest.raises(TypeError, match=r"^Made\.backward must return tensors, got \w+$"):
            y.backward()

    def test_an_error_in_forward_leaves_gradients_on(self):
        def forward(ctx, x):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            made(forward).apply(leaf(1.0))
        assert (leaf(1.0) * 2).requires_grad


class TestLedger:
    def test_what_it_is_made_of_is_entered_first_and_counts(self):
        with mtlib.trace() as t:
            Scale.apply(mtlib.ones(3), 2.0, 2)
        assert [e.name for e in t.events] == ["expand", "pow", "expand", "mul", "Scale"]
        last = t.events[-1]
        assert (last.kind, last.reads, last.writes) == ("fused", 0, 0)
        assert t.reads == 12

    def test_a_name_and_a_kind_of_its_own(self):
        class Special(mtlib.Function):
            name, kind = "special", "map"

            @staticmethod
            def forward(ctx, x):
                return mtlib.Tensor(x.storage.copy(), x.layout)

        with mtlib.trace() as t:
            Special.apply(mtlib.ones(3))
        (event,) = t.events
        assert (event.name, event.kind) == ("special", "map")
        assert (event.reads, event.writes) == (3, 3)  # each input and the output once

        class Other(Special):
            pass

        assert Other.name == "Other"

    def test_a_backward_that_runs_a_kernel_of_its_own(self):
        """It is the engine that enters it: with what it got, and the gradients that it made."""

        class Square(mtlib.Function):
            @staticmethod
            def forward(ctx, x, nothing):
                ctx.save_for_backward(x, None)
                return x * x

            @staticmethod
            def backward(ctx, d):
                x, _ = ctx.saved_tensors
                dx = mtlib.Tensor.empty(x.shape, x.dtype, "loops")
                dx.numpy()[...] = 2 * x.numpy() * d.numpy()
                return dx, None

            @staticmethod
            def backward_traffic(ctx, inputs, gradients):
                return 10 * len(inputs), len(gradients)

        x, d = leaf(1.0, 2.0, 3.0), mtlib.ones(3)
        y = Square.apply(x, None)
        with mtlib.trace() as t:
            y.backward(d)
        (event,) = t.events
        assert (event.name, event.kind, event.phase) == ("Square_backward", "fused", "backward")
        assert (event.input_shapes, event.output_shapes) == (((3,), (3,)), ((3,),))
        assert (event.reads, event.writes, event.bytes_allocated) == (20, 1, 24)
        assert [b.name for b in t.buffers] == ["Square_backward"]
        assert x.grad.tolist() == [2, 4, 6]

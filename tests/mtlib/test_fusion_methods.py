"""fuse: methods, and what pickling and copying a fused function gives."""

import copy
import gc
import pickle
import weakref

import pytest

import mtlib

pytestmark = pytest.mark.usefixtures("plain")

ONES = mtlib.ones(3)


class Layer:
    """A class of a reader."""

    bias = 1

    def __init__(self, scale):
        self.scale = scale

    @mtlib.fuse
    def forward(self, x, by=1):
        """Words."""
        return self.inner(x) * by

    def inner(self, x):
        return x * self.scale + self.bias

    @classmethod
    @mtlib.fuse
    def of_class(cls, x):
        return x * cls.bias

    @staticmethod
    @mtlib.fuse
    def of_none(x):
        return x * 4


def test_methods(monkeypatch):
    two, five = Layer(2), Layer(5)
    for _ in range(2):
        assert two.forward(ONES).tolist() == [3] * 3
        assert five.forward(x=ONES, by=2).tolist() == [12] * 3
        assert Layer.forward(two, ONES).tolist() == [3] * 3
    two.scale = 7
    assert two.forward(ONES).tolist() == [8] * 3
    assert five.forward(ONES).tolist() == [6] * 3
    monkeypatch.setattr(Layer, "bias", 3)
    assert five.forward(ONES).tolist() == [8] * 3
    five.bias = 0
    assert five.forward(ONES).tolist() == [5] * 3
    monkeypatch.setattr(Layer, "inner", lambda self, x: -x)
    assert five.forward(ONES).tolist() == [-1] * 3
    assert "neg" in five.forward.source
    assert Layer.of_class(ONES).tolist() == [3] * 3
    assert Layer.of_none(ONES).tolist() == five.of_none(ONES).tolist() == [4] * 3
    assert Layer.forward.__doc__ == "Words."


def test_tensors_of_an_instance_are_arguments_too():
    layer = Layer(2)
    for scale, error in ((mtlib.ones(3), ValueError), (mtlib.ones(3).numpy(), TypeError)):
        layer.scale = scale
        with pytest.raises(error, match=r"^fuse: the program uses .* shape \(3,\).*pass it as one"):
            layer.forward(ONES)


def test_a_method_with_gradients():
    x = mtlib.ones(3, requires_grad=True)
    Layer(4).forward(x).backward(ONES)
    assert x.grad.tolist() == [4] * 3


def test_a_method_keeps_no_instance_alive():
    layer = Layer(3)
    layer.forward(ONES)
    seen = weakref.ref(layer)
    del layer
    gc.collect()
    assert seen() is None
    assert Layer(4).forward(ONES).tolist() == [5] * 3  # wherever in memory it lies


def test_instances_that_are_equal_and_not_hashable():
    class Equal:
        def __init__(self, scale):
            self.scale = scale

        def __eq__(self, other):
            return True

        @mtlib.fuse
        def forward(self, x):
            return x * self.scale

    assert Equal(2).forward(ONES).tolist() == [2] * 3
    assert Equal(3).forward(ONES).tolist() == [3] * 3


def test_an_instance_that_counts_its_calls():
    class Counter:
        calls = 0

        @mtlib.fuse
        def forward(self, x):
            self.calls += 1
            return x * self.calls

    counter = Counter()
    assert [counter.forward(ONES).tolist()[0] for _ in range(3)] == [1, 2, 3]


def test_an_instance_that_is_called():
    class Scale:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return x * self.by

    scale = Scale(2)
    fused = mtlib.fuse(scale)
    assert fused(ONES).tolist() == [2] * 3
    scale.by = 3
    assert fused(ONES).tolist() == mtlib.fuse(scale.__call__)(ONES).tolist() == [3] * 3


# --- Copies ---------------------------------------------------------------------------------------


@mtlib.fuse
def decorated(x):
    return x * 3


def doubled(x):
    return x * 2


def test_pickled_by_name():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert pickle.loads(pickle.dumps(Layer.forward)) is Layer.forward
    other = pickle.loads(pickle.dumps(mtlib.fuse(doubled)))
    assert other.__wrapped__ is doubled
    assert other(ONES).tolist() == [2] * 3
    bound = pickle.loads(pickle.dumps(Layer(3).forward))
    assert bound(ONES).tolist() == [4] * 3
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"[Cc]an't (pickle|get) "):
        pickle.dumps(mtlib.fuse(lambda x: x))


def test_copies_are_the_same():
    assert copy.copy(decorated) is copy.deepcopy(decorated) is decorated

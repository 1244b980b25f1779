"""fuse: which argument goes where, what may be called what, and arrays of integers."""

import keyword

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtlib
from mtlib.fusion.frontend import PROGRAMS
from mtlib.fusion.primitives import RESERVED, namespace

from .fused_programs import check

pytestmark = pytest.mark.usefixtures("plain")

ONES, TWOS = mtlib.ones(3), mtlib.full((3,), 2)
NAMES = sorted({*namespace(range), *RESERVED} - {"__debug__"})  # which cannot be a parameter


# --- Where they go --------------------------------------------------------------------------------


def test_options_by_name():
    def program(x, **options):
        return x * options.get("scale", 1) + options.get("shift", 0)

    fused = mtlib.fuse(program)
    for options in ({"scale": 3}, {"shift": 3}, {"scale": 2, "shift": 5}, {"shift": 2, "scale": 5}):
        for _ in range(2):
            assert fused(TWOS, **options).tolist() == program(TWOS, **options).tolist()


def test_tensors_by_name_in_any_order():
    """The order can be seen by the function, as Python lets it."""
    by_name = mtlib.fuse(lambda **t: t["a"] - t["b"])
    in_order = mtlib.fuse(lambda **t: t.popitem()[1] - t.popitem()[1])
    for _ in range(2):
        assert by_name(a=ONES, b=TWOS).tolist() == [-1] * 3
        assert by_name(b=TWOS, a=ONES).tolist() == [-1] * 3
        assert by_name(a=TWOS, b=ONES).tolist() == [1] * 3
        assert in_order(a=ONES, b=TWOS).tolist() == [1] * 3
        assert in_order(b=TWOS, a=ONES).tolist() == [-1] * 3


def test_names_that_look_like_places():
    mixed = mtlib.fuse(lambda x0, *x, x1=0, **x2: x0 * 100 + x[0] * 10 + x1 + x2.get("x00", 0))
    expected = [100 + 20] * 3
    assert mixed(ONES, TWOS).tolist() == expected
    assert mixed(ONES, TWOS, x1=ONES).tolist() == [n + 1 for n in expected]
    assert mixed(ONES, TWOS, x00=ONES * 3).tolist() == [n + 3 for n in expected]
    labels = [line.split()[0] for line in str(mixed.graph).splitlines()]
    assert labels[:3] == ["x0", "x0_", "x00"]


def test_a_tensor_in_the_place_of_a_number():
    fused = mtlib.fuse(lambda x, *more, by=2: x * by + sum(more))
    assert fused(ONES, by=TWOS).tolist() == fused(ONES).tolist() == [2] * 3
    assert fused(ONES, 1, ONES).tolist() == fused(ONES, ONES, 1).tolist() == [4] * 3


def test_names_that_are_used_twice():
    twice = mtlib.fuse(lambda x, /, self=1, **other: x * self - other["x"])
    for by in (2, 3):
        assert twice(TWOS, x=by).tolist() == [2 - by] * 3
        assert twice(by, x=TWOS, self=ONES).tolist() == [by - 2] * 3


def test_defaults_are_arguments_like_others():
    weights, labels = mtlib.ones(2, 3), np.array([0, 1])
    fused = mtlib.fuse(lambda x, w=weights, to=labels: mtlib.fused.cross_entropy(x * w, to))
    x = mtlib.rand(2, 3, seed=0)
    for _ in range(2):
        expected = mtlib.fused.cross_entropy(x * weights, labels)
        np.testing.assert_allclose(fused(x), expected)
        weights.numpy()[...], labels[...] = 3, 2


def weighed(a, b=2, /, c=3, *more, d=5, **named):
    """A sum in which everything counts differently, wherever it is passed."""
    total = a * 1 + b * 10 + c * 100 + d * 1000
    for i, x in enumerate(more):
        total = total + x * (i + 2) * 7
    for i, (name, x) in enumerate(named.items()):
        total = total + x * (i + 3) * len(name) * 11
    return total


WEIGHED = mtlib.fuse(weighed)
VALUES = st.sampled_from([1, 1.0, True, 2, *(mtlib.full((3,), v) for v in (3, 4))])


@given(
    first=st.sampled_from([ONES, TWOS]),
    more=st.lists(VALUES, max_size=5),
    named=st.dictionaries(st.sampled_from(("c", "d", "a", "more", "more0", "named")), VALUES),
)
@settings(max_examples=200)
def test_any_call_is_what_the_function_makes_of_it(first, more, named):
    """One fused function for all calls, so that none may run the program of another."""
    if len(more) > 1:
        named.pop("c", None)
    result, expected = WEIGHED(first, *more, **named), weighed(first, *more, **named)
    assert result.tolist() == expected.tolist()


def test_passed_by_name_or_by_place_it_is_one_program():
    fused = mtlib.fuse(lambda x, y, by=3, *, up=0: x - y * by + up)
    fused(ONES, TWOS)
    first = fused.graph
    fused(ONES, y=TWOS)
    fused(y=TWOS, x=ONES)
    fused(ONES, TWOS, 3)
    fused(ONES, TWOS, up=0, by=3)
    assert fused.graph is first
    fused(ONES, TWOS, 4)
    assert fused.graph is not first


def test_programs_are_kept_up_to_a_number(read):
    fused = mtlib.fuse(lambda x: x + 1)
    for n in range(3 * PROGRAMS):
        fused(mtlib.ones(n))
        fused(mtlib.ones(0))  # used all the time, so it stays
    assert len(read) == 3 * PROGRAMS
    assert len(fused._programs) == PROGRAMS
    fused(mtlib.ones(3 * PROGRAMS - 1))
    assert len(read) == 3 * PROGRAMS
    fused(mtlib.ones(1))
    assert read[3 * PROGRAMS :] == [[(1,)]]


# --- What they are called -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_function_or_an_argument_of_any_name(name):
    """Also that of something which the text of a kernel uses."""
    scope = {}
    exec(f"def {name}(x, y): return (x.exp() + y.relu()).sum(0)", scope)
    check(scope[name], [np.ones(3), np.ones(3)], rtol=1e-12)
    exec(f"def program({name}, y): return ({name}.exp() + y.relu()).sum(0)", scope)
    check(scope["program"], [np.ones(3), np.ones(3)], rtol=1e-12)


@pytest.mark.parametrize("name", ["exp", "range", "fold_add", "each"])
def test_compiled_too(name, monkeypatch):
    monkeypatch.undo()  # of the fixture that leaves kernels as they are written
    scope = {}
    exec(f"def {name}(x): return (x.exp() + 1).sum(0)", scope)
    np.testing.assert_allclose(mtlib.fuse(scope[name])(ONES).item(), 3 * (np.e + 1))


def test_names_that_are_none():
    names = ["a b", "1", "for", "ſ", "s", "__debug__", "part", "", *keyword.kwlist]
    values = {name: mtlib.full((3,), float(i)) for i, name in enumerate(names)}
    total = mtlib.fuse(lambda x, **named: sum(named.values(), start=x).exp().sum())
    expected = (sum(values.values(), start=ONES).exp().sum()).item()
    np.testing.assert_allclose(total(ONES, **values).item(), expected)


@pytest.mark.parametrize("name", ["<lambda>", "class", "a b", "", None, "ſ"])
def test_a_function_whose_name_is_none(name):
    def program(x):
        return x.exp()

    program.__name__ = name or ""
    np.testing.assert_allclose(mtlib.fuse(program)(ONES), np.e)


# --- Arrays of integers and bools -----------------------------------------------------------------

LOSSES = [mtlib.naive.cross_entropy, mtlib.fused.cross_entropy]


@st.composite
def cases(draw):
    """(the shape of logits, labels for them twice)"""
    classes, rest = draw(st.integers(1, 5)), tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from((np.int64, np.uint8, ">i4")))
    return (*rest[:1], classes, *rest[1:]), rng.integers(0, classes, (2, *rest)).astype(dtype)


@pytest.mark.parametrize("loss", LOSSES, ids=["naive", "fused"])
@given(case=cases(), reduction=st.sampled_from(("mean", "sum", "none")), turned=st.booleans())
@settings(max_examples=30)
def test_labels(loss, case, reduction, turned):
    """Others of the same shape give what is right for them, and nothing is read again."""
    shape, both = case
    graphs = set()
    fused = mtlib.fuse(lambda x, labels: loss(x * 2, labels, reduction))
    for labels in both:
        labels = np.array(labels, order="F" if turned else "C")
        found = []
        for fn in (fused, lambda x, labels: loss(x * 2, labels, reduction)):
            x = mtlib.rand(*shape, seed=1, requires_grad=True)
            y = fn(x, labels)
            y.backward(mtlib.rand(*y.shape, seed=2))
            found.append((y.numpy(), x.grad.numpy()))
        np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12, atol=1e-14)
        graphs.add(fused.graph)
    assert len(graphs) == 1


@pytest.mark.parametrize("loss", LOSSES, ids=["naive", "fused"])
def test_labels_that_are_no_class(loss):
    """The same error as without fuse, at each call and before anything runs."""
    fused = mtlib.fuse(lambda x, labels: loss(x.exp(), labels))
    x = mtlib.rand(2, 3, seed=0)
    fused(x, np.array([0, 2]))
    for labels in ([0, 3], [-1, 0], [0, 2**40]):
        labels = np.array(labels)
        with pytest.raises(ValueError, match=r"^cross_entropy: label") as expected:
            loss(x, labels)
        with (
            mtlib.trace() as t,
            pytest.raises(ValueError, match=r"^cross_entropy: label") as caught,
        ):
            fused(x, labels)
        assert str(caught.value) == str(expected.value)
        assert t.events == []
    assert fused(x, np.array([1, 1])).item() == pytest.approx(loss(x.exp(), [1, 1]).item())


def test_labels_of_a_wrong_shape():
    fused = mtlib.fuse(mtlib.fused.cross_entropy)
    says = r"^cross_entropy: logits of shape \(2, 3\) need labels of shape \(2,\), got \(3,\)$"
    with pytest.raises(ValueError, match=says):
        fused(mtlib.ones(2, 3), np.array([0, 1, 2]))


def test_labels_that_are_looked_at_otherwise():
    """As in a model of language, where every place of every row has one."""

    def loss(x, labels):
        return mtlib.fused.cross_entropy(x.reshape(-1, x.shape[-1]), labels.reshape(-1))

    fused = mtlib.fuse(loss)
    x, rng = mtlib.rand(2, 3, 4, seed=0), np.random.default_rng(0)
    for _ in range(2):
        labels = rng.integers(0, 4, (2, 3))
        assert fused(x, labels).item() == pytest.approx(loss(x, labels).item())
    labels[1, 1] = 4
    with pytest.raises(ValueError, match=r"^cross_entropy: label 4 at \(4,\) is no class"):
        fused(x, labels)
    shifted = mtlib.fuse(lambda x, labels: mtlib.fused.cross_entropy(x, labels + 1))
    with pytest.raises(
        TypeError, match=r"^cross_entropy: labels must be integers, .* got a tensor"
    ):
        shifted(x[0], labels[0])


def test_labels_that_change_before_backward():
    x, labels = mtlib.rand(2, 3, seed=0, requires_grad=True), np.array([0, 1])
    y = mtlib.fuse(mtlib.fused.cross_entropy)(x, labels)
    labels[:] = 2
    y.backward()
    found, x.grad = x.grad, None
    mtlib.fused.cross_entropy(x, np.array([0, 1])).backward()
    np.testing.assert_allclose(found, x.grad, rtol=1e-12)


def test_minibatches_train_on_their_own_labels():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, (20, 8))
    inputs = rng.normal(size=(20, 8, 3)) + 3 * np.eye(3)[classes]
    w = {}
    for how in ("plain", "fused"):

        def loss(w, x, labels):
            return mtlib.fused.cross_entropy(x @ w, labels)

        run = mtlib.fuse(loss) if how == "fused" else loss
        w[how] = mtlib.zeros(3, 3)
        for x, labels in zip(inputs, classes, strict=True):
            leaf = mtlib.tensor(w[how], requires_grad=True)
            run(leaf, mtlib.from_numpy(x), labels).backward()
            w[how] = leaf.detach() - leaf.grad
    np.testing.assert_allclose(w["fused"], w["plain"], rtol=1e-9)


def test_integers_in_arithmetic():
    """An array of integers is float64 beside a tensor, as without fuse."""
    fused = mtlib.fuse(lambda x, n: (x * n + (n == 2)) / n)
    for dtype in ("float32", "float64"):
        x = mtlib.ones(3, dtype=dtype)
        for n in (np.array([1, 2, 3]), np.array([[4], [2]], np.uint8)):
            result, expected = fused(x, n), (x * n + (mtlib.tensor(n) == 2)) / n
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(result, expected)


@pytest.mark.parametrize(
    "fn", [lambda n: n + n, lambda n: n * 2, lambda n: 3 - n[::-1], lambda n: -n, lambda n: n**2]
)
def test_integers_that_leave_their_range(fn):
    """NumPy computes with them in their own few bits."""
    fused, tensors = mtlib.fuse(lambda x, n: x * fn(n)), mtlib.fuse(lambda x, n: x * fn(n + x * 0))
    with pytest.raises(TypeError, match=r"^fuse: \w+ of an array of uint8 with no tensor beside"):
        fused(ONES, np.array([1, 100, 200], np.uint8))
    for n in (np.array([1, 100, 200]), np.array([1, 2, -200])):
        np.testing.assert_array_equal(fused(ONES, n), fn(n))
        np.testing.assert_array_equal(tensors(ONES, n), fn(n))


OF_ARRAYS = {
    "a masked mean": lambda x, m: (x * m).sum() / m.sum(),
    "counts and means": lambda x, m: x * (m.mean() + m.max()) + m.sum(0) * x,
    "an element": lambda x, m: x * m[0, 1] - m[1, 0] * 2,
    "of a comparison": lambda x, m: x * (m > 0).sum() / (~(m == 1)).mean(),
    "transposed": lambda x, m: x * m.transpose(0, 1) - x * m.transpose(1, 0) + x * m.transpose(),
    "chosen": lambda x, m: x * mtlib.where(m[0, 1] > 0, 1, 2) * mtlib.maximum(m[0, 0], 0.5),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OF_ARRAYS)
def test_what_numpy_makes_of_an_array(name, dtype):
    """A single element and a total are numbers, which bring no dtype."""
    x = mtlib.tensor([[1, 2], [3, 4]], dtype=dtype)
    for array in (np.array([[True, False], [True, True]]), np.array([[3, 1], [1, 2]])):
        result, expected = mtlib.fuse(OF_ARRAYS[name])(x, array), OF_ARRAYS[name](x, array)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_a_tensor_of_bools_is_no_array():
    """The two are different programs."""
    fused, x = mtlib.fuse(lambda x, m: x * m.sum()), mtlib.ones(2, dtype="float32")
    m = np.array([True, False])
    assert [fused(x, m).dtype, fused(x, mtlib.tensor(m)).dtype] == ["float32", "float64"]


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (lambda x, m: x * m.var(), r"^fuse: var of an array divides by the number of elements"),
        (lambda x, m: x * (m > 0).var(0), r"^fuse: var of an array divides by the number of"),
        (lambda x, m: x * (m @ m.T), r"^fuse: a product of two arrays is NumPy's own"),
    ],
)
def test_what_numpy_means_otherwise(fn, says):
    with pytest.raises(TypeError, match=says):
        mtlib.fuse(fn)(mtlib.ones(2, 2), np.eye(2, dtype=bool))
    mtlib.fuse(fn)(mtlib.ones(2, 2), mtlib.tensor(np.eye(2)))


def test_arrays_of_bools(read):
    """As conditions and masks, whose values change from call to call."""
    chosen = mtlib.fuse(lambda x, m: mtlib.where(m, x, 0))
    attended = mtlib.fuse(lambda x, m: mtlib.fused.attention(x, x, x, m))
    x, rng = mtlib.rand(4, 4, seed=0), np.random.default_rng(0)
    for _ in range(3):
        m = rng.random((4, 4)) < 0.5
        np.testing.assert_array_equal(chosen(x, m), np.where(m, x, 0))
        np.testing.assert_allclose(attended(x, m), mtlib.fused.attention(x, x, x, m), rtol=1e-12)
    assert len(read) == 2


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "what"),
    [
        (lambda x: (x * x).sum().backward() or x, r"calls backward\(\)"),
        (lambda x: x if x.grad is None else x.grad, r"asks for \.grad"),
        (lambda x: setattr(x, "grad", None) or x, r"sets \.grad"),
        (lambda x: setattr(x, "grad", x * 2) or x, r"sets \.grad"),
        (lambda x: setattr(x, "requires_grad", False) or x, r"sets \.requires_grad"),
    ],
)
def test_gradients_inside(fn, what):
    x = mtlib.ones(3, requires_grad=True)
    for call in (mtlib.fuse(fn), mtlib.fuse(lambda x: fn(x * 1) * 2)):
        with pytest.raises(TypeError, match=rf"^fuse: the program {what} while it is read"):
            call(x)
    assert x.grad is None
    mtlib.fuse(lambda x: x * 2)(x).backward(ONES)
    assert x.grad.tolist() == [2] * 3

"""image_graph, from stand-ins for nodes and from mtlib; image_tiling."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import image_graph, image_tiling

from .svg_reading import Svg


def leaf(*shape):
    return SimpleNamespace(shape=shape)


class Context:
    def __init__(self, saved, freed=False):
        self.saved, self.freed = saved, freed

    @property
    def saved_tensors(self):
        if self.freed:
            raise RuntimeError("what exp had saved was freed by an earlier backward")
        if self.saved is None:
            raise RuntimeError("exp saved nothing")
        return self.saved


def node(name, *inputs, saved=None, shape=(2, 3), freed=False):
    return SimpleNamespace(name=name, shape=shape, inputs=inputs, context=Context(saved, freed))


def result(last):
    return SimpleNamespace(shape=last.shape, grad_fn=last)


def test_nodes_leaves_and_what_they_save():
    x, w = leaf(2, 3), leaf(3)
    kept = np.zeros((2, 3))
    first = node("mul", x, w, saved=(kept, np.zeros(3)))
    last = node("sum", node("exp", first, saved=(kept,)), None, shape=())
    svg = Svg(image_graph(result(last)).svg)
    svg.assert_inside()
    svg.assert_plain()
    words = svg.words()
    assert {"mul", "exp", "sum", "leaf 1", "leaf 2"} <= set(words)
    assert {"(2, 3) 48 B", "(3,) 24 B", "(2, 3) held already"} <= set(words)
    assert "3 operations, 2 leaves: 72 bytes saved for backward" in words
    assert "mul (2, 3) from leaf 1 (2, 3), leaf 2 (3,), saves (2, 3), (3,)." in svg.desc


def test_it_runs_from_left_to_right():
    x = leaf(2)
    a = node("a", x)
    svg = Svg(image_graph(result(node("c", node("b", a), a))).svg)
    at = {text.text: text.x for text in svg.texts}
    assert at["leaf 1"] < at["a"] < at["b"] < at["c"]


def test_a_line_that_passes_a_layer_keeps_clear_of_its_boxes():
    x = leaf(2)
    exp = node("exp", x)
    svg = Svg(image_graph(result(node("mul", exp, x))).svg)
    (box,) = [c for c in svg.cells if c.fill == "#fff" and len(c.points) == 4][:1]
    xs, ys = zip(*box.points, strict=True)
    (way,) = [p for p in svg.subpaths if not p.closed and len(p.points) == 4]
    inside = [(x, y) for x, y in way.points[1:3] if min(xs) < x < max(xs) and min(ys) < y < max(ys)]
    assert inside == []


def test_long_and_wide_graphs_are_elided_with_their_true_counts():
    y = node("op", leaf(3))
    for _ in range(3000):  # deeper than Python recurses
        y = node("op", y)
    figure = image_graph(result(y))
    svg = Svg(figure.svg)
    assert "3001 operations, 1 leaf: nothing is saved for backward" in svg.words()
    assert "2995 more" in svg.words()
    assert svg.words().count("op") == 3001 - 2995
    assert svg.desc.count("op (2, 3) from") == 12
    assert "2,989 more. op (2, 3) from op (2, 3)." in svg.desc
    assert len(figure.svg) < 40_000
    svg = Svg(image_graph(result(node("cat", *(leaf(2) for _ in range(40))))).svg)
    assert "36 more" in svg.words()
    svg.assert_inside()


def test_what_backward_has_freed_is_said():
    svg = Svg(image_graph(result(node("exp", leaf(2), freed=True))).svg)
    assert "1 operation, 1 leaf: what was saved has been freed" in svg.words()


@pytest.mark.parametrize("thing", [leaf(2), SimpleNamespace(shape=(2,), grad_fn=None), 3.5])
def test_what_has_no_graph_is_refused(thing):
    with pytest.raises(TypeError, match=r"image_graph: .* has no grad_fn that can be followed"):
        image_graph(thing)


def test_bytes_agree_with_the_ledger():
    mtlib = pytest.importorskip("mtlib")
    a = mtlib.rand(3, 4, seed=0, requires_grad=True)
    b = mtlib.rand(4, 5, seed=1, requires_grad=True)
    with mtlib.trace() as trace:
        loss = mtlib.naive.matmul(a, b).exp().sum()
    assert f"{trace.saved_bytes:,} bytes" in Svg(image_graph(loss).svg).desc


size = st.integers(1, 40) | st.sampled_from([1000, 4096])


@settings(max_examples=20)
@given(size, size, size, st.integers(1, 16), st.integers(1, 20))
def test_any_tiling_counts_its_pieces(m, k, n, tall, broad):
    block = (256, 1024)
    figure = image_tiling(m, k, n, tile=(tall, broad), block=block)
    svg = Svg(figure.svg)
    svg.assert_inside()
    svg.assert_plain()
    assert len(figure.svg) < 40_000
    words = svg.words()
    depth = min(k, 256)
    blocks, strips = -(-k // depth), -(-m // tall)
    last = f", the last {k % depth}" if k % depth and blocks > 1 else ""
    assert f"{blocks:,} block{'s' * (blocks > 1)} of M, {m} × {depth}{last}" in words
    last = f", the last {m % tall}" if m % tall and strips > 1 else ""
    rows = f"{min(tall, m)} rows{last}"
    assert f"{strips:,} strip{'s' * (strips > 1)} of M, {rows}" in words
    assert f"M {(m, k)}" in words
    assert f"multiplies and adds {tall * broad}" in words


def test_the_blocks_are_those_of_the_kernel():
    packed = pytest.importorskip("mtlib.kernels.products.packed")
    default = inspect.signature(image_tiling).parameters["block"].default
    assert default == (packed.DEPTH, packed.BLOCK_COLUMNS)


def test_a_tiling_without_size_is_refused():
    with pytest.raises(ValueError, match="image_tiling: k is 0, must be at least 1"):
        image_tiling(2, 0, 3)
    with pytest.raises(ValueError, match=r"tile \(0, 8\)"):
        image_tiling(2, 2, 3, tile=(0, 8))

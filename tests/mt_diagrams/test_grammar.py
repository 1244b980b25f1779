"""One grammar: what a colour means is read back out of the figures, and is the same in all."""

import numpy as np
import pytest
from mt_diagrams import (
    image_broadcast,
    image_graph,
    image_loop_nest,
    image_map,
    image_matmul_backward,
    image_matmul_full,
    image_matmul_simple,
    image_reduce,
    image_rows_meet_columns,
    image_storage,
    image_tiling,
    image_zip,
    step_matmul,
    step_online_softmax,
    step_zip_reduce,
)
from mt_diagrams.cli.main import build
from mt_diagrams.cli.registry import FIGURES
from mt_diagrams.pieces.legend import HIGH, WIDE
from mt_diagrams.svg.roles import OPERANDS, ROLES, SAVED
from mt_diagrams.svg.theme import SCALE

from .svg_reading import Svg

# In these a colour stands for a place in memory or for a value of k, which is written in the cell.
OF_IDENTITY = {"storage", "storage-transposed", "storage-stretched", "rows-meet-columns"}
PLAIN = {"matrix", "tensor"}
BY_ROLE = [name for name in FIGURES if name not in OF_IDENTITY | PLAIN]


def legend_of(svg):
    """What each colour is said to mean, as a reader sees it: a sample, and words to its right."""
    meant = {}
    for text in svg.texts:
        if text.text not in {*(role.words for role in ROLES), SAVED}:
            continue
        for path in svg.cells:
            xs, ys = zip(*path.points, strict=True)
            sample = (max(xs) - min(xs), max(ys) - min(ys)) == pytest.approx(
                (WIDE * SCALE, HIGH * SCALE), abs=0.1
            )
            left = text.x - text.half - max(xs)
            if sample and 0 < left < SCALE and min(ys) < text.y < max(ys):
                meant[text.text] = path.fill
    return meant


def figures():
    for name in BY_ROLE:
        yield build(FIGURES[name], [])
    for stepper in (step_matmul(), step_zip_reduce(), step_online_softmax([1, 3, 2])):
        yield from stepper.figures


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_role_has_one_colour_in_every_figure_and_a_colour_one_role(dark):
    meant = {}
    for figure in figures():
        found = legend_of(Svg(figure.drawn(dark=dark)))
        assert found, f"{figure}: no legend"
        for words, fill in found.items():
            assert meant.setdefault(words, fill) == fill, (figure, words)
    assert set(meant) == {role.words for role in ROLES} | {SAVED}
    assert len(set(meant.values())) == len(meant)


def test_a_figure_uses_the_colours_of_its_legend_and_no_others():
    strong = {role.fill.hex: role.words for role in ROLES}
    for figure in figures():
        svg = Svg(figure.svg)
        used = {strong[path.fill] for path in svg.cells if path.fill in strong}
        said = set(legend_of(svg))
        if OPERANDS.words in svg.words():  # both, as two halves
            said |= {"first operand", "second operand"}
        assert used <= said, figure


def test_an_operand_has_one_colour_forward_and_backward():
    forward, backward = (
        legend_of(Svg(f().svg)) for f in (image_matmul_full, image_matmul_backward)
    )
    for words in ("first operand", "second operand"):
        assert forward[words] == backward[words]
    assert backward["gradient"] not in forward.values()


@pytest.mark.parametrize("name", sorted(OF_IDENTITY))
def test_where_colour_is_identity_it_is_written_too(name):
    svg = Svg(build(FIGURES[name], []).svg)
    written = {}
    for path in svg.cells:
        xs, ys = zip(*path.points, strict=True)
        inside = [t.text for t in svg.texts if min(xs) < t.x < max(xs) and min(ys) < t.y < max(ys)]
        assert len(inside) == 1, (name, inside)
        written.setdefault(path.fill, set()).update(inside)
    assert all(len(texts) == 1 for texts in written.values())
    assert not legend_of(svg)


WIDEST = [(6, 6, 6), (12, 12, 12), (40, 30, 50), (4096, 4096, 4096), (1, 8, 1)]


def wide_figures():
    for m, k, n in WIDEST:
        for draw in (
            image_loop_nest,
            image_matmul_backward,
            image_matmul_full,
            image_matmul_simple,
        ):
            yield draw((m, k), (k, n))
            yield draw((5, m, k), (5, k, n))
        yield image_tiling(m, k, n)
        yield image_map((m, k, n))
        yield image_reduce((m, k, n), 1)
        yield image_broadcast((m, 1, n), (k, n))
        yield image_zip((m, k, n), (k, n))
        yield image_storage((m, k))
    yield from (build(entry, []) for entry in FIGURES.values())
    yield from figures()


def test_no_label_is_shown_smaller_than_ten_pixels():
    for figure in wide_figures():
        svg = Svg(figure.svg)
        shrunk = float(svg.root.get("width")) / svg.width
        smallest = min((text.size for text in svg.texts), default=10)
        assert smallest * shrunk >= 9.99, (figure, smallest * shrunk)


def test_nothing_strikes_through_a_number():
    """No line runs over a cell in which a number is written, and no such cell is split."""
    a, b = np.arange(8.0).reshape(2, 4), np.ones((4, 3))
    for figure in (
        image_matmul_simple(a, b, values=True),
        image_zip(a, a, values=True),
        image_map(a, np.negative, values=True),
        image_storage(np.broadcast_to(np.zeros((2, 1)), (2, 4))),
    ):
        svg = Svg(figure.svg)
        assert not [cell for cell in svg.cells if len(cell.points) == 3]
        for path in (p for p in svg.subpaths if not p.closed):
            for x, y in path.points:
                hit = [t for t in svg.texts if abs(x - t.x) < t.half and abs(y - t.y + 4) < 4]
                assert not hit, (figure, hit)


def test_the_followed_element_can_be_chosen_everywhere():
    shape = (2, 4), (4, 3)
    pairs = [
        (image_matmul_simple(*shape), image_matmul_simple(*shape, cell=(1, 2))),
        (image_matmul_full(*shape), image_matmul_full(*shape, cell=(1, 2))),
        (image_loop_nest(*shape), image_loop_nest(*shape, cell=(1, 2))),
        (image_matmul_backward(*shape), image_matmul_backward(*shape, at=(1, 0, 2))),
        (image_map((2, 3)), image_map((2, 3), at=(1, 2))),
        (image_zip((2, 3), (3,)), image_zip((2, 3), (3,), at=(1, 2))),
        (image_reduce((2, 3), 1), image_reduce((2, 3), 1, at=(1, 2))),
        (image_broadcast((2, 1), (3,)), image_broadcast((2, 1), (3,), at=(1, 2))),
        (image_storage((2, 300)), image_storage((2, 300), at=(1, 250))),
        (image_rows_meet_columns(*shape), image_rows_meet_columns(*shape, cell=(1, 2))),
    ]
    for first, other in pairs:
        assert first.svg != other.svg
    assert "[1, 2] reads a[1, 0]" in Svg(image_broadcast((2, 1), (3,), at=(1, 2)).svg).words()
    assert "[1, 250] reads cell 550." in image_storage((2, 300), at=(1, 250)).desc
    for draw, index in (
        (lambda at: image_broadcast((2, 1), (3,), at=at), (2, 0)),
        (lambda at: image_storage((2, 3), at=at), (0, 3)),
        (lambda at: image_rows_meet_columns(*shape, cell=at), (0, 3)),
    ):
        with pytest.raises(IndexError, match=r"cell .* is outside"):
            draw(index)
    steps = step_zip_reduce(*shape), step_zip_reduce(*shape, cell=(1, 2))
    assert steps[0].figures[-1].svg != steps[1].figures[-1].svg


def test_what_is_saved_is_hatched_and_keeps_the_colour_of_what_it_is():
    mtlib = pytest.importorskip("mtlib")
    a, b = (mtlib.rand(*s, seed=n, requires_grad=True) for n, s in enumerate([(2, 4), (4, 3)]))
    found = legend_of(Svg(image_graph(mtlib.naive.matmul(a, b)).svg))
    assert set(found) == {"first operand", "second operand", "intermediate", "result", SAVED}

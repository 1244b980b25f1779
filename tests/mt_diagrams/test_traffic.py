"""traffic_bar, and what it is drawn from: the bytes that each operation moves."""

import pytest
from mt_diagrams import traffic_bar
from mt_diagrams.pieces.ledger import Ledger
from mt_diagrams.svg.roles import GRADIENT, INTERMEDIATE, OPERANDS, RESULT
from mt_diagrams.svg.theme import MIST

from .made_up import blocks, example
from .svg_reading import Svg


def test_what_moves_is_each_distinct_element_once_by_what_it_is():
    """(2, 4) and (4, 3): stride 0 brings nothing twice; the products go out and come in."""
    ledger = Ledger(example())
    m, k, n = 2, 4, 3
    assert ledger.by_role() == {
        OPERANDS: 8 * (m * k + k * n) + 8 * k * n,  # and N again going backward
        INTERMEDIATE: 8 * 2 * m * k * n,
        RESULT: 8 * m * n,
        GRADIENT: 8 * (m * n + m * k * n),
    }
    assert ledger.saved(INTERMEDIATE) == 192
    assert [sum(move.nbytes for move in moves) for moves in ledger.moves] == [352, 240, 0, 336]


def test_bars_are_as_long_as_their_bytes_and_stand_before_their_prediction():
    small = example()
    small.events, small.buffers = small.events[:1], small.buffers[:1]
    svg = Svg(traffic_bar(example(), small, names=["naive", "fused"], predicted=[928, 116]).svg)
    svg.assert_inside()
    svg.assert_plain()

    def length(path):
        return max(x for x, _ in path.points) - min(x for x, _ in path.points)

    products, *_ = blocks(svg, INTERMEDIATE)
    (gradient, _) = blocks(svg, GRADIENT)
    assert length(gradient) / length(products) == pytest.approx((48 + 192) / 384, abs=0.01)
    ghosts = [p for p in svg.cells if p.fill == MIST.hex]
    assert [length(g) / length(ghosts[0]) for g in ghosts] == pytest.approx([1, 1 / 8], abs=0.01)
    words = svg.words()
    assert {"928 bytes moved", "predicted 928 bytes", "predicted 116 bytes"} <= set(words)
    assert "352 bytes moved: 2.6 × less than naive" in words
    assert "352 bytes moved, of them 160 B operands, 192 B result" in svg.desc


def test_a_bar_too_short_to_be_seen_into_is_drawn_again_enlarged():
    small = example()
    small.events = small.events[1:2]
    big = example()
    big.events = big.events * 30
    svg = Svg(traffic_bar(big, small, names=["naive", "fused"]).svg)
    (note,) = [word for word in svg.words() if word.startswith("the same bar, ")]
    assert 50 <= int(note.split()[3]) <= 928 * 30 / 240


def test_the_bytes_of_a_product_are_those_of_its_formula():
    """Measured by mtlib, naive and fused: also where all three sizes are the same."""
    mtlib = pytest.importorskip("mtlib")
    for m, k, n in [(5, 7, 3), (6, 6, 6)]:
        d = mtlib.rand(m, n, seed=2)
        matrices, products = 8 * (m * k + k * n + m * n), 8 * m * k * n
        for kind, forward, both in (
            (mtlib.naive, matrices + 2 * products, 3 * matrices + 6 * products),
            (mtlib.fused, matrices, 3 * matrices),
        ):
            x, y = (mtlib.rand(*s, seed=1, requires_grad=True) for s in ((m, k), (k, n)))
            with mtlib.trace() as t:
                result = kind.matmul(x, y)
            assert Ledger(t).total == forward
            assert set(map(Ledger(t).role, t.buffers)) <= {INTERMEDIATE, RESULT}
            del result
            with mtlib.trace() as t:
                kind.matmul(x, y).backward(d)
            sums = Ledger(t).by_role()
            assert sum(sums.values()) == both
            assert sums[OPERANDS] == 8 * 2 * (m * k + k * n)
            assert sums[RESULT] == 8 * m * n


def test_each_trace_has_one_prediction():
    with pytest.raises(ValueError, match="traffic_bar: 1 traces but 2 predictions"):
        traffic_bar(example(), predicted=[1, 2])

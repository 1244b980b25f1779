"""The figures as a browser draws them: no text on another, none outside, white page or dark."""

import html
import json
import re

import numpy as np
import pytest
from mt_diagrams import (
    image_broadcast,
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
from mt_diagrams.svg.browser import page_after_scripts

from .browsing import needs_browser


@pytest.fixture(autouse=True)
def browser():
    needs_browser()


LOOK = """
const found = [];
for (const svg of document.querySelectorAll('svg')) {
  const name = svg.dataset.name, [, , w, h] = svg.getAttribute('viewBox').split(' ').map(Number);
  const boxes = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
    const b = t.getBBox();  // its height is that of a line: take what letters fill of it
    return {text: t.textContent, l: b.x, r: b.x + b.width, t: b.y + 0.14 * b.height,
            b: b.y + 0.9 * b.height};
  });
  boxes.forEach((a, n) => {
    if (a.l < 0 || a.t < 0 || a.r > w || a.b > h) found.push([name, 'outside', a.text]);
    for (const b of boxes.slice(n + 1)) {
      const x = Math.min(a.r, b.r) - Math.max(a.l, b.l);
      const y = Math.min(a.b, b.b) - Math.max(a.t, b.t);
      if (x > 1 && y > 1) found.push([name, 'overlap', a.text, b.text]);
    }
  });
  for (const p of svg.querySelectorAll('path')) {
    const b = p.getBBox();
    if (b.x < 0 || b.y < 0 || b.x + b.width > w || b.y + b.height > h) {
      found.push([name, 'path outside']);
    }
  }
}
const out = document.createElement('pre');
out.id = 'found';
out.textContent = JSON.stringify([document.querySelectorAll('svg').length, found]);
document.body.replaceChildren(out);
"""

SIZES = [(1, 1, 1), (2, 4, 3), (3, 1, 5), (1, 6, 1), (7, 2, 9), (40, 30, 50), (4096, 4096, 4096)]


def more_figures():
    """Other shapes than those of the gallery: small, tall, wide, large, stacked."""
    for m, k, n in SIZES:
        a, b = (m, k), (k, n)
        for draw in (
            image_matmul_simple,
            image_matmul_full,
            image_matmul_backward,
            image_loop_nest,
            image_rows_meet_columns,
        ):
            yield draw(a, b)
            yield draw((300, *a), (300, *b))
        yield image_zip((m, 1), (1, n))
        yield image_broadcast((m, 1, n), (k, n))
        yield image_map((m, k, n), name="sigmoid")
        yield image_tiling(m, k, n, tile=(6, 8))
        for dim in range(3):
            yield image_reduce((m, k, n), dim)
        yield image_storage((m, k))
        yield image_storage(np.broadcast_to(np.float32(1), (m, n)))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 6)) * 1e4, rng.normal(size=(6, 3))
    yield image_matmul_simple(a, b, values=True)
    yield image_zip(a, a[0], values=True)
    yield image_storage(np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1))
    yield image_storage(np.arange(24.0).reshape(4, 6)[::-2, ::-1])
    for stepper in (step_matmul(), step_zip_reduce(), step_online_softmax([1, 3, -2.5, 3.5, 9])):
        yield from stepper.figures


def look_at(figures, folder):
    """What a browser finds wrong with figures: how many it saw, and a line for each fault."""
    parts = []
    for color, dark in (("#fff", False), ("#111", True)):
        for n, figure in enumerate(figures):
            name = html.escape(f"{n}: {figure.title} on {color}", quote=True)
            svg = figure.drawn(dark=dark).replace("<svg ", f'<svg data-name="{name}" ', 1)
            parts.append(f'<div style="background:{color}">{svg}</div>')
    page = folder / "page.html"
    head = '<!doctype html><meta charset="utf-8"><body>'
    page.write_text(f"{head}{''.join(parts)}<script>{LOOK}</script>", encoding="utf-8")
    text = re.search(r'<pre id="found">(.*?)</pre>', page_after_scripts(page), re.DOTALL)[1]
    return json.loads(html.unescape(text))


def test_the_gallery(tmp_path):
    figures = [build(entry, []) for entry in FIGURES.values()]
    seen, found = look_at(figures, tmp_path)
    assert seen == 2 * len(figures)
    assert found == []


def test_other_shapes(tmp_path):
    figures = list(more_figures())
    seen, found = look_at(figures, tmp_path)
    assert seen == 2 * len(figures)
    assert found == []


def test_the_look_itself_sees_faults(tmp_path):
    from chalk import concat
    from mt_diagrams import Figure
    from mt_diagrams.svg.lettering import label

    both = concat([label("one"), label("two").translate(0.2, 0)])
    _, found = look_at([Figure(both, "a", "b")], tmp_path)
    assert [fault[1:] for fault in found] == [["overlap", "one", "two"]] * 2

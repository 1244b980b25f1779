"""Steppers: what their HTML holds, and that it is left whole where styles are stripped."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from mt_diagrams import (
    Figure,
    Stepper,
    matrix,
    step_matmul,
    step_online_softmax,
    step_zip_reduce,
)
from mt_diagrams.svg.browser import page_after_scripts

from .browsing import needs_browser
from .svg_reading import Svg, pictures


def frames(stepper):
    """The SVG of each step, as it is in the page."""
    return [Svg(svg) for svg in pictures(stepper._repr_html_())]


class Page(HTMLParser):
    """The tags of a page, in order, with their attributes."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(source)
        assert self.open == [], "a tag was not closed"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("input", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


ALL = {
    "matmul": step_matmul(),
    "zip-reduce": step_zip_reduce(),
    "softmax": step_online_softmax([1.0, 3.0, -2.5, 3.5]),
    "values": step_matmul(np.arange(6.0).reshape(2, 3), np.ones((3, 2)), id="v", values=True),
    "stack": step_matmul((5, 2, 4), (4, 3), id="stack"),
}


@pytest.mark.parametrize("stepper", ALL.values(), ids=ALL)
def test_every_step_is_sound_and_of_one_size(stepper):
    shown = frames(stepper)
    assert len(shown) == len(stepper)
    for svg, figure in zip(shown, stepper.figures, strict=True):
        svg.assert_inside()
        svg.assert_plain()
        assert (svg.title, svg.desc) == (figure.title, figure.desc)
    assert len({(svg.width, svg.height) for svg in shown}) == 1
    assert len({figure.title for figure in stepper.figures}) == len(stepper)


@pytest.mark.parametrize("stepper", ALL.values(), ids=ALL)
def test_a_radio_button_for_each_step_and_words_for_each_picture(stepper):
    page = Page(stepper._repr_html_())
    radios, images = page.all("input"), page.all("img")
    assert len(radios) == len(images) == len(stepper)
    assert {radio["type"] for radio in radios} == {"radio"}
    assert len({radio["name"] for radio in radios}) == 1
    assert [("checked" in radio) for radio in radios] == [True] + [False] * (len(stepper) - 1)
    assert all(radio["aria-label"].startswith("step ") for radio in radios)
    assert [image["alt"] for image in images] == [f.desc for f in stepper.figures]
    assert all(int(image["width"]) <= 840 for image in images)


def test_without_its_style_only_the_first_step_is_left():
    page = Page(re.sub(r"<style>.*</style>", "", ALL["matmul"]._repr_html_(), flags=re.DOTALL))
    hidden = [("hidden" in attributes) for attributes in page.all("div")]
    assert hidden == [False, *[True] * (len(ALL["matmul"]) - 1)]
    assert all(radio["hidden"] == "hidden" for radio in page.all("input"))


def test_its_style_reaches_nothing_else():
    css = re.search(r"<style>(.*)</style>", ALL["matmul"]._repr_html_(), re.DOTALL)[1]
    for rule in re.findall(r"([^{}]+)\{", css):
        assert rule.strip().startswith(".mt-steps"), rule


def test_nothing_in_it_goes_by_an_id():
    """So that it can stand on a page as often as one likes."""
    for stepper in ALL.values():
        ids = [
            attributes["id"]
            for _, attributes in Page(stepper._repr_html_()).tags
            if "id" in attributes
        ]
        assert ids == ([] if stepper.id is None else [stepper.id])
    names = [Page(stepper._repr_html_()).all("input")[0]["name"] for stepper in ALL.values()]
    assert len(set(names)) == len(ALL)  # also where a page drops the forms


CLICK = """
const forms = [...document.querySelectorAll('form')];
const shown = () => forms.map(form => [...form.querySelectorAll('div')]
  .flatMap((frame, n) => getComputedStyle(frame).display === 'none' ? [] : [n + 1]));
const seen = [shown()];
for (const [stepper, step] of [[1, 3], [0, 2], [2, 4], [1, 1]]) {
  forms[stepper].querySelectorAll('input')[step - 1].click();
  seen.push(shown());
}
document.body.innerHTML = '<pre id="seen">' + JSON.stringify(seen) + '</pre>';
"""


def test_each_of_several_on_a_page_goes_its_own_way(tmp_path):
    """Two that are the same to the byte, and one that is another."""
    needs_browser()
    twice, other = ALL["zip-reduce"]._repr_html_(), ALL["softmax"]._repr_html_()
    page = tmp_path / "page.html"
    head = '<!doctype html><meta charset="utf-8"><body>'
    page.write_text(f"{head}{twice}{twice}{other}<script>{CLICK}</script>", encoding="utf-8")
    seen = re.search(r'<pre id="seen">(.*?)</pre>', page_after_scripts(page))[1]
    assert json.loads(seen) == [
        [[1], [1], [1]],
        [[1], [3], [1]],
        [[2], [3], [1]],
        [[2], [3], [4]],
        [[2], [1], [4]],
    ]


def test_jupyterlab_leaves_the_arrow_keys_to_the_buttons():
    assert all(
        "data-lm-suppress-shortcuts" in r for r in Page(ALL["matmul"]._repr_html_()).all("input")
    )


def test_one_step_for_each_cell_of_the_result():
    assert [f.title for f in step_matmul((1, 2), (2, 2)).figures] == [
        "row 0 of M meets column 0 of N in cell (0, 0)",
        "row 0 of M meets column 1 of N in cell (0, 1)",
    ]
    assert len(step_matmul((100, 3), (3, 100))) < 10  # the middle of the walk is left out
    titles = [figure.title for figure in step_matmul((100, 3), (3, 100)).figures]
    assert "cell (99, 99)" in titles[-1]
    assert titles[-2].startswith("9,994 cells later, row 99")


def test_values_appear_as_they_are_reached():
    first, *_, last = frames(ALL["values"])
    result = ["3", "12"]  # the sums of the two rows of M, each twice
    assert [first.words().count(v) for v in result] == [1 + 1, 0]  # M holds a 3 of its own
    assert [last.words().count(v) for v in result] == [2 + 1, 2]


def test_zip_and_reduce_come_one_after_the_other():
    words = [svg.words() for svg in frames(ALL["zip-reduce"])]
    for n, word in enumerate(("broadcast", "zip", "reduce"), start=1):
        assert [word in step for step in words] == [k >= n for k in range(5)]
    assert ["(2, 3)" in step for step in words] == [False] * 4 + [True]


def test_online_softmax_ends_at_softmax():
    x = np.array([0.5, -1.0, 4.0, 4.0, 2.0])
    stepper = step_online_softmax(x)
    shares = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    *steps, last = stepper.figures
    words = Svg(last.svg).words()
    assert {f"{share:.2f}" for share in shares} <= set(words)
    for n, figure in enumerate(steps, start=1):
        so_far = x[:n]
        total = np.exp(so_far - so_far.max()).sum()
        assert f"the sum of e^(x − m) is {total:.2f}" in figure.desc
    shrinks = ["shrinks" in figure.title for figure in steps]
    assert shrinks == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"shape \(0,\): needs one row of 1 to 12 values"),
        (np.zeros(13), r"shape \(13,\): needs one row"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        ([1.0, np.nan], "value 1 is nan, must be finite"),
        ([-np.inf], "value 0 is -inf"),
    ],
)
def test_values_that_cannot_be_stepped_through(values, message):
    with pytest.raises(ValueError, match=rf"step_online_softmax: .*{message}|{message}"):
        step_online_softmax(values)


def test_complex_values_are_refused():
    with pytest.raises(TypeError, match="step_online_softmax: complex128 values are complex"):
        step_online_softmax([1j, 2.0])
    with pytest.raises(TypeError, match="step_matmul: complex128 values are complex"):
        step_matmul(np.eye(2) * 1j, np.eye(2), values=True)


def test_bad_ids_and_empty_sequences_are_refused():
    figure = Figure(matrix(1, 1), "a", "b")
    for bad in ("", "1st", "a b", 'x"><script>', "ä"):
        with pytest.raises(ValueError, match=r"Stepper: id .* must be letters"):
            Stepper([figure], id=bad)
    with pytest.raises(ValueError, match="needs at least one figure"):
        Stepper([], id="a")
    with pytest.raises(ValueError, match=r"step_matmul: \(2, 0\) @ \(0, 3\): nothing to step"):
        step_matmul((2, 0), (0, 3))
    with pytest.raises(ValueError, match=r"step_zip_reduce: \(2, 4\) @ \(3, 5\): inner"):
        step_zip_reduce((2, 4), (3, 5))


def test_titles_are_escaped():
    bad = '<script>alert("1")</script>'
    html = Stepper([Figure(matrix(1, 1), bad, bad)], id="a", title=bad)._repr_html_()
    assert "<script" not in html
    Page(html)


def test_a_notebook_stores_a_short_text_and_the_same_bytes():
    assert repr(ALL["zip-reduce"]) == "<Stepper: (2, 4) @ (4, 3) by zip and reduce, 5 steps>"
    code = "from mt_diagrams import *; print(step_online_softmax([1, 3, 2])._repr_html_(), end='')"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
    )
    assert run.stdout.decode("utf-8") == step_online_softmax([1, 3, 2])._repr_html_()

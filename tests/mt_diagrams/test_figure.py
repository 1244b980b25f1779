"""Figure: what it promises of its SVG, and how it is saved."""

import hashlib
import math
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_diagrams import Figure, matrix
from mt_diagrams.cli.registry import FIGURES
from mt_diagrams.svg import browser, figure, theme, writing
from mt_diagrams.svg.lettering import label
from PIL import Image

from .browsing import needs_browser
from .svg_reading import Svg

SAME = """
import hashlib
from mt_diagrams import *
from mt_diagrams.svg.display import svg_of
figures = [
    image_rows_meet_columns(), image_matmul_simple(), image_matmul_full(),
    image_matmul_backward((30, 4), (4, 9), at=(20, 1, 2)), image_loop_nest((3, 2), (2, 4)),
    image_storage((4, 900)), image_broadcast((2, 1, 3), (4, 1)), image_map((2, 3)),
    image_zip((2, 1), (3,)), image_reduce((2, 3, 4), 0), image_tiling(100, 200, 300),
    image_matmul_full((5, 2, 4), (4, 3)), *step_online_softmax([1, 3, 2]).figures,
]
whole = "".join(f.svg + f.html for f in figures) + svg_of(matrix(40, 3))
print(hashlib.sha256(whole.encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", ["1", "4711"])
def test_the_same_bytes_in_another_process(seed, capsys):
    exec(SAME, {})
    here = capsys.readouterr().out
    run = subprocess.run(
        [sys.executable, "-c", SAME],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == here
    assert len(here.strip()) == len(hashlib.sha256().hexdigest())


awkward = st.text(min_size=1, max_size=30) | st.sampled_from(
    ["<script>alert(1)</script>", "\"a\" & 'b'", "行列 Σ ∂ᵀ", "]]>", "&lt;", "a\nb\x00c\ud800"]
)


def readable(text):
    """What XML can carry of a text: no control characters, no lone surrogates."""
    kept = (c if c >= " " and c not in "\ufffe\uffff" else " " for c in text)
    return "".join(c for c in kept if not "\ud800" <= c <= "\udfff")


@settings(max_examples=60)
@given(awkward)
def test_any_label_is_escaped_and_fits(text):
    made = Figure(label(text), text, text)
    svg = Svg(made.svg)
    assert (svg.title or "") == readable(text)
    assert (svg.desc or "") == readable(text)
    assert (svg.words()[0] or "") == readable(text)
    svg.assert_plain()
    assert made.svg.encode("utf-8")


def test_the_card_lies_under_everything():
    svg = Svg(Figure(matrix(2, 2), "a", "b").svg)
    kinds = [element.tag.split("}")[1] for element in svg.root]
    assert kinds[:3] == ["title", "desc", "rect"]
    card = svg.root[2]
    assert card.get("fill") == theme.PAPER.hex
    assert float(card.get("width")) == pytest.approx(svg.width - 1)


def test_save_writes_the_whole_figure(tmp_path):
    made = Figure(matrix(2, 2), "a", "b")
    path = tmp_path / "a.svg"
    path.write_text("before")
    made.save(path)
    assert path.read_text(encoding="utf-8") == made.svg
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]
    made.save(str(path))
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


@pytest.mark.parametrize("name", ["a.jpg", "a.gif", "a.svg.gz", "a.v2"])
def test_save_refuses_what_no_figure_is_written_as(tmp_path, name):
    says = rf"{name}: no figure is written as \.\w+, only \.svg, \.png and \.pdf$"
    with pytest.raises(ValueError, match=says):
        Figure(matrix(2, 2), "a", "b").save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_save_writes_what_the_name_ends_in(tmp_path, monkeypatch):
    made = Figure(matrix(2, 2), "a", "b")
    made.save(tmp_path / "a.SVG")
    assert (tmp_path / "a.SVG").read_text(encoding="utf-8") == made.svg
    monkeypatch.setattr(browser.shutil, "which", lambda _: None)
    for name in ("a.png", "a.PDF"):
        with pytest.raises(browser.NoBrowser, match="none is on the PATH; install one, or"):
            made.save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["a.SVG"]


def pixels(content):
    return Image.open(BytesIO(content)).convert("RGBA")


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (6, 2), (40, 30)])
@pytest.mark.parametrize("dark", [False, True])
def test_a_png_has_all_of_the_figure(tmp_path, shape, dark):
    """The card goes to the last row and column of pixels, and the last row of cells is on it."""
    needs_browser()
    made = Figure(matrix(*shape), "a", "b")
    made.save(tmp_path / "a.png", dark=dark)
    picture = pixels((tmp_path / "a.png").read_bytes())
    width, height = (2 * math.ceil(side) for side in (Svg(made.svg).width, Svg(made.svg).height))
    assert picture.size == (width, height)
    left, top, right, bottom = picture.getchannel("A").getbbox()
    assert (left, top) == (0, 0)
    assert right >= width - 2
    assert bottom >= height - 2
    row = picture.crop((0, height - 2 * figure.MARGIN - 20, width, height - 2 * figure.MARGIN))
    assert len(row.getcolors(maxcolors=1 << 16)) > 2  # more than the card and its edge


def test_a_pdf_is_one_page_as_large_as_the_figure(tmp_path):
    needs_browser()
    made = Figure(matrix(1, 1), "a", "b")
    made.save(tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert re.findall(rb"/Count (\d+)", content) == [b"1"]
    (box,) = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    sizes = [math.ceil(side) for side in (Svg(made.svg).width, Svg(made.svg).height)]
    assert [float(side) * 96 / 72 for side in box] == pytest.approx(sizes, abs=0.5)


class TestWhereItIsWritten:
    """A file is replaced whole; what is no file is written to, and stays what it is."""

    made = Figure(matrix(2, 2), "a", "b")

    def test_a_link_is_followed(self, tmp_path):
        (tmp_path / "below").mkdir()
        link, file = tmp_path / "a.svg", tmp_path / "below" / "b.svg"
        link.symlink_to(file)
        for _ in "ab":  # first it leads nowhere
            self.made.save(link)
            assert link.is_symlink()
            assert file.read_text(encoding="utf-8") == self.made.svg
            file.write_text("before")
        assert [p.name for p in file.parent.iterdir()] == ["b.svg"]

    def test_a_link_into_no_directory_names_it(self, tmp_path):
        (tmp_path / "a.svg").symlink_to(tmp_path / "nowhere" / "b.svg")
        with pytest.raises(FileNotFoundError, match=r"a\.svg: there is no directory .*nowhere"):
            self.made.save(tmp_path / "a.svg")

    def test_who_may_read_a_file_stays(self, tmp_path):
        path = tmp_path / "a.svg"
        path.write_text("before")
        path.chmod(0o640)
        self.made.save(path)
        assert path.stat().st_mode & 0o777 == 0o640
        assert path.read_text(encoding="utf-8") == self.made.svg

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_a_named_pipe(self, tmp_path):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        with ThreadPoolExecutor() as pool:
            read = pool.submit(path.read_text, encoding="utf-8")
            self.made.save(path)
            assert read.result() == self.made.svg
        assert path.is_fifo()

    @pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no devices here")
    def test_a_device(self, tmp_path):
        link = tmp_path / "a.svg"
        link.symlink_to("/dev/null")
        self.made.save(link)
        assert link.is_symlink()
        assert Path("/dev/null").is_char_device()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_save_names_a_directory_that_is_not_there(tmp_path):
    made = Figure(matrix(2, 2), "a", "b")
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*nowhere"):
        made.save(tmp_path / "nowhere" / "a.svg")
    with pytest.raises(IsADirectoryError, match="is a directory"):
        made.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["replace", "chmod"])
def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch, step):
    path = tmp_path / "a.svg"
    path.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, step, full)
    with pytest.raises(OSError, match=r"a\.svg: cannot be written: No space left on device"):
        Figure(matrix(2, 2), "a", "b").save(path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]


def test_a_directory_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def denied(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(writing.tempfile, "mkstemp", denied)
    with pytest.raises(PermissionError, match=r"a\.svg: cannot be written: Permission denied$"):
        Figure(matrix(2, 2), "a", "b").save(tmp_path / "a.svg")


def test_a_figure_that_cannot_be_drawn_overwrites_nothing(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text("before")

    class Broken:
        def accept(self, *_):
            raise RuntimeError("cannot draw")

    with pytest.raises(RuntimeError, match="cannot draw"):
        Figure(Broken(), "a", "b").save(path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]


def test_every_figure_of_the_registry_says_what_it_is():
    for entry in FIGURES.values():
        assert entry.summary
        assert entry.arguments.count("--shape") == len(entry.example)


def test_a_dark_figure_is_the_same_drawing_in_other_colours(tmp_path):
    made = FIGURES["matmul-simple"].build((2, 4), (4, 3))
    light, dark = Svg(made.svg), Svg(made.drawn(dark=True))
    assert dark.words() == light.words()
    assert [p.points for p in dark.subpaths] == [p.points for p in light.subpaths]
    assert dark.root[2].get("fill") != light.root[2].get("fill")
    made.save(tmp_path / "dark.svg", dark=True)
    assert (tmp_path / "dark.svg").read_text(encoding="utf-8") == made.drawn(dark=True)


def test_a_card_can_have_room_for_more():
    made = Figure(matrix(1, 1), "a", "b")
    assert Svg(made.drawn(room=(-100, -50, 100, 50))).width == 200 + 2 * figure.MARGIN


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_in_its_time(name):
    entry = FIGURES[name]
    entry.build(*entry.example)  # compiles what it runs
    start = time.perf_counter()
    size = len(entry.build(*entry.example).svg)
    assert time.perf_counter() - start < 2  # generous: other things run on a test machine
    assert size < 40_000

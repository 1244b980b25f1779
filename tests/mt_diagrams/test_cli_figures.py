"""The command line: what it writes, and how it refuses."""

import os
import subprocess
import sys

import pytest
from mt_diagrams import image_matmul_full, image_matmul_simple
from mt_diagrams.cli import main as cli
from mt_diagrams.cli.registry import FIGURES
from mt_diagrams.svg import browser
from PIL import Image

from .browsing import needs_browser


def run(capsys, *argv):
    """Exit code, stdout and stderr."""
    try:
        code = cli.main(list(argv))
    except SystemExit as leaving:
        code = leaving.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_names_every_figure(capsys):
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == list(FIGURES)
    for line, entry in zip(lines, FIGURES.values(), strict=True):
        assert entry.summary in line
        assert f"[{entry.arguments}]" in line


def test_render_writes_what_the_function_draws(capsys, tmp_path):
    path = tmp_path / "f.svg"
    argv = ["render", "matmul-full", "--shape", "3x2", "--shape", "2x5", "-o", str(path)]
    assert run(capsys, *argv) == (0, "", "")
    assert path.read_text(encoding="utf-8") == image_matmul_full((3, 2), (2, 5)).svg


def test_render_draws_the_example_without_shapes(capsys, tmp_path):
    path = tmp_path / "f.svg"
    assert run(capsys, "render", "matmul-full", "-o", str(path)) == (0, "", "")
    assert path.read_text(encoding="utf-8") == image_matmul_full().svg


def test_memory_figures_run_live(capsys, tmp_path):
    path = tmp_path / "f.svg"
    argv = ["render", "memory-timeline", "--shape", "2x4", "--shape", "4x3", "-o", str(path)]
    assert run(capsys, *argv) == (0, "", "")
    text = path.read_text(encoding="utf-8")
    assert "mul (2, 4, 3)" in text
    assert "naive" in text
    assert "fused" in text


BAD = [
    (["render", "matmul-ful", "-o", "{out}"], "no figure is named 'matmul-ful'; did you mean"),
    (["render", "xyzzy", "-o", "{out}"], "no figure is named 'xyzzy'; `list` names them all"),
    (["render", "matrix", "--shape", "2x", "-o", "{out}"], "--shape 2x: not a shape, such as 2x4"),
    (["render", "matrix", "--shape", "x2", "-o", "{out}"], "--shape x2: not a shape"),
    (["render", "matrix", "--shape", "0x3", "-o", "{out}"], "--shape 0x3: a size is 0"),
    (["render", "matrix", "--shape", "-2x3", "-o", "{out}"], "--shape"),
    (["render", "matrix", "--shape", "2.5x3", "-o", "{out}"], "--shape 2.5x3: not a shape"),
    (["render", "matrix", "--values", "-o", "{out}"], "matrix: shows no --values; map, zip,"),
    (["render", "matrix", "--format", "gif", "-o", "{out}"], "invalid choice: 'gif'"),
    (
        ["render", "matrix", "--trace", "a.py:f", "-o", "{out}"],
        "matrix: is not drawn from a --trace",
    ),
    (["render", "--trace", "a.py", "-o", "{out}"], "--trace a.py: not a function, such as"),
    (["render", "--trace", "nowhere.py:f", "-o", "{out}"], "there is no file nowhere.py"),
    (
        ["render", "--trace", "a.py:f", "--values", "-o", "{out}"],
        "--trace takes neither a --shape nor --values",
    ),
    (["render", "--all", "--values", "-o", "{dir}"], "--all takes neither a name nor a --shape"),
    (["render", "map", "--shape", "1x1x1x1", "-o", "{out}"], "at most 3 can be drawn"),
    (["render", "matrix", "--shape", "2x3x4", "-o", "{out}"], "matrix: (2, 3, 4) has 3 dimensions"),
    (
        ["render", "matmul-simple", "--shape", "2x4", "--shape", "3x5", "-o", "{out}"],
        "image_matmul_simple: (2, 4) @ (3, 5): inner dimensions 4 and 3 differ",
    ),
    (
        ["render", "memory-timeline", "--shape", "2x4", "--shape", "3x5", "-o", "{out}"],
        "memory-timeline: (2, 4) @ (3, 5): inner dimensions 4 and 3 differ",
    ),
    (
        ["render", "matmul-simple", "--shape", "2x4", "-o", "{out}"],
        "matmul-simple: takes 2 --shape (--shape MxK --shape KxN), got 1",
    ),
    (["render", "matrix", "-o", "{dir}/nowhere/f.svg"], "nowhere/f.svg: there is no directory"),
    (["render", "matrix", "-o", "{dir}"], "is a directory, not a file"),
    (["render", "matrix", "-o", "{dir}/a.jpg"], "a.jpg: no figure is written as .jpg, only .svg"),
    (["render", "matrix", "-o", "{dir}/a.Tiff"], "a.Tiff: no figure is written as .Tiff, only"),
    (["render", "--all", "-o", "{dir}/nowhere"], "nowhere: is not a directory"),
    (["render", "--all", "matrix", "-o", "{dir}"], "--all takes neither a name nor a --shape"),
    (["render", "-o", "{out}"], "render: needs the name of a figure, or --all"),
    (["render", "matrix"], "required: -o"),
    (["paint"], "invalid choice: 'paint'"),
    ([], "required: list | render"),
]


@pytest.mark.parametrize(("argv", "message"), BAD, ids=[" ".join(argv) or "-" for argv, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(capsys, tmp_path, argv, message):
    out = tmp_path / "f.svg"
    filled = [word.format(out=out, dir=tmp_path) for word in argv]
    code, stdout, stderr = run(capsys, *filled)
    assert code == 2
    assert stdout == ""
    assert stderr.count("\n") == 1
    assert stderr.startswith("mt-diagrams: ")
    assert message in stderr
    assert list(tmp_path.iterdir()) == []


def test_nearest_names_are_suggested(capsys, tmp_path):
    _, _, err = run(capsys, "render", "matmul-backwards", "-o", str(tmp_path / "f.svg"))
    assert "did you mean matmul-backward" in err


def test_a_gallery_in_which_one_figure_fails_is_not_begun(capsys, tmp_path, monkeypatch):
    def fails(*_):
        raise ValueError("no such luck")

    broken = cli.Entry("zz-broken", "fails", "--shape R", ((1,),), fails)
    some = {"matrix": FIGURES["matrix"], "zz-broken": broken}
    monkeypatch.setattr(cli, "FIGURES", some)
    assert run(capsys, "render", "--all", "-o", str(tmp_path))[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_product_too_large_for_memory_is_refused(capsys, tmp_path):
    shapes = ["--shape", "100000x8", "--shape", "8x100000"]  # small operands, a vast product
    out = str(tmp_path / "f.svg")
    code, _, err = run(capsys, "render", "traffic-bar", *shapes, "-o", out)
    assert code == 2
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_it_runs_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mt_diagrams", "render", "nope", "-o", str(tmp_path / "f.svg")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("mt-diagrams: no figure is named 'nope'")


def test_values_and_dark(capsys, tmp_path):
    path = tmp_path / "f.svg"
    argv = ["render", "matmul-simple", "--shape", "2x3", "--shape", "3x2", "-o", str(path)]
    plain = run(capsys, *argv), path.read_text(encoding="utf-8")
    assert run(capsys, *argv, "--values") == (0, "", "")
    valued = path.read_text(encoding="utf-8")
    numbers = 2 * 3 + 3 * 2 + 2 * 2  # and no words over threads, which would cross them
    assert valued.count("<text") == plain[1].count("<text") + numbers - 1
    run(capsys, *argv, "--values")
    assert path.read_text(encoding="utf-8") == valued  # the same numbers every time
    assert run(capsys, *argv, "--dark") == (0, "", "")
    assert path.read_text(encoding="utf-8") == image_matmul_simple((2, 3), (3, 2)).drawn(dark=True)


SCRIPT = """
import sys
import mtlib
from neighbour import SIZE

def step():
    a = mtlib.rand(SIZE, 4, seed=0, requires_grad=True)
    (a * 2).sum().backward()

def fails():
    raise RuntimeError("no such luck\\nat all")

def leaves():
    sys.exit(3)

def other():
    mtlib.rand(SIZE, 4, seed=0).exp()

def nothing():
    pass

number = 3
"""


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "neighbour.py").write_text("SIZE = 8")
    (folder / "work.py").write_text(SCRIPT)
    (folder / "broken.py").write_text("1 +")
    return folder / "work.py"


def test_what_the_users_own_function_ran_is_drawn(capsys, tmp_path, script):
    path = tmp_path / "f.svg"
    before = list(sys.path)
    assert run(capsys, "render", "--trace", f"{script}:step", "-o", str(path)) == (0, "", "")
    text = path.read_text(encoding="utf-8")
    assert "memory of step" in text
    assert "mul" in text
    argv = ["render", "traffic-bar", "--trace", f"{script}:step", "-o", str(path)]
    assert run(capsys, *argv) == (0, "", "")
    assert "bytes moved by step" in path.read_text(encoding="utf-8")
    assert sys.path == before


def test_two_traces_are_drawn_beside_each_other(capsys, tmp_path, script):
    path = tmp_path / "f.svg"
    both = ["--trace", f"{script}:step", "--trace", f"{script}:other"]
    for name, words in (("memory-timeline", "memory of"), ("traffic-bar", "bytes moved by")):
        assert run(capsys, "render", name, *both, "-o", str(path)) == (0, "", "")
        text = path.read_text(encoding="utf-8")
        assert f"<title>{words} step, other</title>" in text
    assert run(capsys, "render", *both[:2], *both[:2], "-o", str(path)) == (0, "", "")
    title = "<title>memory of work.py:step, work.py:step</title>"
    assert title in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("work.py:fails", "raised RuntimeError: no such luck at all"),
        ("work.py:leaves", "raised SystemExit: 3"),
        ("work.py:number", "work.py has no function number"),
        ("work.py:missing", "work.py has no function missing"),
        ("work.py:nothing", "work.py:nothing: there is nothing to draw: it ran nothing of mtlib"),
        ("broken.py:f", "raised SyntaxError"),
        ("neighbour.txt:f", "there is no file"),
    ],
)
def test_a_function_that_cannot_be_traced_is_named(capsys, tmp_path, script, target, message):
    out = tmp_path / "f.svg"
    argv = ["render", "--trace", str(script.parent / target), "-o", str(out)]
    if target.endswith("nothing"):  # beside one that ran something
        argv += ["--trace", f"{script}:step"]
    code, stdout, err = run(capsys, *argv)
    assert (code, stdout) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert not out.exists()


def test_without_a_browser_png_and_pdf_say_so(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda _: None)
    for argv in (["-o", str(tmp_path / "f.png")], ["--format", "pdf", "-o", str(tmp_path / "f")]):
        code, _, err = run(capsys, "render", "matrix", *argv)
        assert code == 2
        assert err.count("\n") == 1
        assert "none is on the PATH; install one, or write SVG" in err
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_fails_leaves_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(browser, "find_browser", lambda: sys.executable)  # it is no browser
    code, _, err = run(capsys, "render", "matrix", "-o", str(tmp_path / "f.png"))
    assert code == 2
    assert err.count("\n") == 1
    assert "failed with exit code" in err
    assert list(tmp_path.iterdir()) == []


def test_png_and_pdf_are_drawn_by_a_browser(capsys, tmp_path):
    needs_browser()
    path = tmp_path / "f.png"
    assert run(capsys, "render", "matrix", "--dark", "-o", str(path)) == (0, "", "")
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = (int.from_bytes(data[n : n + 4]) for n in (16, 20))
    assert (width, height) == (2 * 116, 2 * 132)  # the viewBox, rounded up, twice
    whole = Image.open(path).getchannel("A").getbbox()  # what is drawn on, of 232 × 264 pixels
    assert whole[:2] == (0, 0)
    assert min(whole[2] - 232, whole[3] - 264) >= -2
    assert run(capsys, "render", "matrix", "-o", str(tmp_path / "G.PNG")) == (0, "", "")
    assert (tmp_path / "G.PNG").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "G.PNG").unlink()
    assert run(capsys, "render", "matrix", "--format", "pdf", "-o", str(path)) == (0, "", "")
    assert path.read_bytes().startswith(b"%PDF")
    assert [p.name for p in tmp_path.iterdir()] == ["f.png"]


def test_standard_output(capfdbinary, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = image_matmul_full().svg.encode("utf-8")
    for out in ("-", "/dev/stdout"):
        assert cli.main(["render", "matmul-full", "-o", out]) == 0
        assert capfdbinary.readouterr() == (expected, b"")
    assert list(tmp_path.iterdir()) == []
    assert cli.main(["render", "matmul-full", "-o", "./-"]) == 0  # a file of that name
    assert (tmp_path / "-").read_bytes() == expected


RENDER = [sys.executable, "-m", "mt_diagrams", "render", "matmul-full", "-o"]


def test_what_was_written_before_it_stays(tmp_path):
    """Where standard output goes to a file, that file is written on, not replaced."""
    with open(tmp_path / "log", "wb") as log:
        log.write(b"before\n")
        log.flush()
        subprocess.run([*RENDER, "/dev/stdout"], stdout=log, check=True)
        log.seek(0, 2)
        log.write(b"after\n")
    content = (tmp_path / "log").read_text(encoding="utf-8")
    assert content == f"before\n{image_matmul_full().svg}after\n"


@pytest.mark.parametrize("argv", [[*RENDER, "-"], [*RENDER[:3], "list"]], ids=["render", "list"])
def test_a_reader_that_leaves_is_no_error(argv):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")

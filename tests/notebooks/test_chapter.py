"""Beginning a chapter: what is copied keeps every rule, and nothing is written over."""

import shutil
import subprocess
import sys

import nbformat
import pytest

import chapter
import notebooks

from ..test_readme import broken_links
from .test_notebooks import RULES

ROOT, NAME = notebooks.ROOT, "07_fuse_what_surrounds"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The README and the first chapter, and what `make chapter` made beside them."""
    root = tmp_path_factory.mktemp("root")
    (root / "notebooks").mkdir()
    for name in ("README.md", "pyproject.toml", "mtlib/README.md"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for path in notebooks.NOTEBOOKS.glob("00_*"):
        shutil.copy(path, root / "notebooks")
    assert chapter.begin(NAME, root) == root / "notebooks" / f"{NAME}.md"
    return root


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_rules_of_a_chapter(rule, root):
    ipynb = root / "notebooks" / f"{NAME}.ipynb"
    assert rule(nbformat.read(ipynb, as_version=4)) == []


def test_its_pair_is_in_step_and_its_links_lead_somewhere(root):
    md = root / "notebooks" / f"{NAME}.md"
    assert notebooks.problems(md) == []
    text = md.read_text(encoding="utf-8")
    assert text.count("\n# Fuse what surrounds\n") == 1
    assert broken_links(text, md.parent) == []


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff_has_nothing_to_say(command, root):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", f"notebooks/{NAME}.ipynb"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_what_it_teaches_to_write(root):
    """One of each: a prediction, a figure, a check, and an exercise, its stub not attempted."""
    nb = nbformat.read(root / "notebooks" / f"{NAME}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in nb.cells)
    parts = ("**Predict.**", 'guess("', 'reveal("', "memory_timeline(", "assert ", "hint(")
    assert [text.count(part) for part in parts] == [1, 1, 1, 1, 1, 1]
    said = {
        tag: output.data["text/plain"]
        for cell in nb.cells
        for tag in cell.metadata.get("tags", [])
        for output in cell.outputs
    }
    assert said == {
        "exercise": "bytes_kept: not yet; hint('bytes_kept') gives a nudge",
        "solution": "bytes_kept: correct",
    }


def test_it_is_listed_in_order(root):
    def rows(path):
        return [x for x in path.read_text(encoding="utf-8").splitlines() if x.startswith("| 0")]

    row = f"| 07 | [Fuse what surrounds](notebooks/{NAME}.ipynb) | |"
    assert rows(root / "README.md") == sorted([*rows(ROOT / "README.md"), row])
    text = f"# A\n\n{chapter.HEADING}| 01 | x |\n| 09 | y |\n\n## B\n"
    assert chapter.listed(text, NAME, "Fuse what surrounds") == text.replace("| 09", f"{row}\n| 09")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "'' is no name for a chapter"),
        ("fuse", "'fuse' is no name"),
        ("7_fuse", "'7_fuse' is no name"),
        ("07", "'07' is no name"),
        ("07_Fuse it", "'07_Fuse it' is no name"),
        ("../07_fuse", "'../07_fuse' is no name"),
        (NAME, f"07 is taken: there is {NAME}.md; nothing was written"),
        ("00_other", "00 is taken: there is 00_fusing_operations.md; nothing was written"),
    ],
)
def test_names_that_are_refused(name, says, root, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    monkeypatch.setattr(chapter.begin, "__defaults__", (root,))
    assert chapter.main([name]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"chapter: {says}")
    assert printed.err.count("\n") == 1
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before


def test_a_template_that_does_not_run_leaves_nothing(root, tmp_path, monkeypatch):
    broken = tmp_path / "chapter.md"
    text = chapter.TEMPLATE.read_text(encoding="utf-8")
    broken.write_text(text.replace("import mtlib\n", "import mtlib\n\n1 / 0\n", 1))
    monkeypatch.setattr(chapter, "TEMPLATE", broken)
    with pytest.raises(Exception, match="ZeroDivisionError"):
        chapter.begin("08_other", root)
    assert not list((root / "notebooks").glob("08_*"))
    assert "08_other" not in (root / "README.md").read_text(encoding="utf-8")

"""The pages that people read: links lead somewhere, and commands exist."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OTHERS = ["CONTRIBUTING.md", "benchmarks/README.md", "diagrams/gallery/README.md"]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.md"))
PAGES = [ROOT / "README.md", *(ROOT / name for name in OTHERS), *CHAPTERS]
README = PAGES[0].read_text(encoding="utf-8")

TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def without_code(text):
    """Brackets and parentheses in code are not links."""
    return re.sub(r"^(`{3,}).*?^\1|`[^`\n]*`(?!\])", "", text, flags=re.MULTILINE | re.DOTALL)


def broken_links(text, folder):
    """Targets of links and images that are neither on the web nor in the repository."""
    text = without_code(text)
    targets = re.findall(r"\]\(([^)\s]+)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    return [
        target
        for target in targets
        if not re.match(r"https?:|mailto:|data:|#", target)
        and not (folder / target.split("#")[0]).exists()
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    assert broken_links(page.read_text(encoding="utf-8"), page.parent) == []


def test_broken_links_are_noticed(tmp_path):
    text = (
        "[a](here.md#part) ![b](there.svg) [`c`](gone) [d](https://e.org) [f](#g)\n"
        '<img src="lost.svg">\n`cells[0](x)`\n```\ncells[1](y)\n```\n'
    )
    (tmp_path / "here.md").touch()
    assert broken_links(text, tmp_path) == ["there.svg", "gone", "lost.svg"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page):
    named = re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= TARGETS


def test_every_chapter_is_in_the_readme():
    chapters = [path.name for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert [name for name in chapters if f"(notebooks/{name})" not in README] == []


def test_figure_commands_run(tmp_path):
    commands = re.findall(r"^\.venv/bin/mt-diagrams (.+)$", README, re.MULTILINE)
    assert commands
    (script,) = re.findall(r"^```python\n(.+?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    for command in commands:
        run = [sys.executable, "-m", "mt_diagrams", *shlex.split(command)]
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    for name in ("matmul.svg", "step.svg"):
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(("<svg", "<?xml"))


def test_examples_give_what_they_show():
    examples = re.findall(r"^```pycon\n(.+?)^```$", README, re.MULTILINE | re.DOTALL)
    assert examples
    for number, text in enumerate(examples):
        test = doctest.DocTestParser().get_doctest(text, {}, f"README {number}", "README.md", 0)
        said = []
        doctest.DocTestRunner().run(test, out=said.append)
        assert not said, "".join(said)


def test_make_help_lists_every_target():
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert set(re.findall(r"^  make ([a-z]+) ", help_text, re.MULTILINE)) == TARGETS

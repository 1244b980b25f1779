"""Building a pair, noticing when it is out of step, and what nbval notices, on a tiny chapter."""

import shutil
import subprocess
import sys

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class

import notebooks

TINY = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Multiply a little

```{code-cell} ipython3
import time
import ipywidgets as widgets
from IPython.display import SVG

6 * 7
```

```{code-cell} ipython3
SVG('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>')
```

```{code-cell} ipython3
slider, view = widgets.IntSlider(value=3), widgets.HTML()
slider.observe(lambda change: setattr(view, "value", f"<b>{change.new}</b>"), names="value")
widgets.VBox([slider, view])
```

```{code-cell} ipython3
slider.value = 5
print(view.value)
```

```{code-cell} ipython3
:tags: [nbval-ignore-output]

time.time()
```
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    md = tmp_path_factory.mktemp("built") / "00_tiny.md"
    md.write_text(TINY, encoding="utf-8")
    notebooks.build(md)
    return md


@pytest.fixture
def pair(built, tmp_path):
    """A copy of the built pair, to spoil."""
    for path in (built, built.with_suffix(".ipynb")):
        shutil.copy(path, tmp_path)
    return tmp_path / built.name


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def nbval(md):
    """Run the pair as `make test` does: the exit status and what was printed."""
    (md.parent / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"]
    command += ["--nbval", "--nbval-current-env", md.with_suffix(".ipynb").name]
    run = subprocess.run(command, cwd=md.parent, capture_output=True, text=True, timeout=300)
    return run.returncode, run.stdout + run.stderr


# Building


def test_building_again_changes_only_the_ignored_output(pair):
    before = pair.with_suffix(".ipynb").read_text(encoding="utf-8").splitlines()
    notebooks.build(pair)
    after = pair.with_suffix(".ipynb").read_text(encoding="utf-8").splitlines()
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 1


def test_editing_one_cell_keeps_the_other_ids(pair):
    replace(pair, "6 * 7", "6 * 8")
    before = nbformat.read(pair.with_suffix(".ipynb"), as_version=4)
    notebooks.build(pair)
    after = nbformat.read(pair.with_suffix(".ipynb"), as_version=4)
    kept = [a.id == b.id for a, b in zip(before.cells, after.cells, strict=True)]
    assert kept == [True, False, True, True, True, True]


def test_a_byte_order_mark_and_windows_line_ends_go(pair):
    written = pair.read_bytes()
    pair.write_bytes(b"\xef\xbb\xbf" + written.replace(b"\n", b"\r\n"))
    assert ".md not as jupytext writes it" in "\n".join(notebooks.problems(pair))
    notebooks.build(pair)
    assert pair.read_bytes() == written
    assert notebooks.problems(pair) == []


def test_equal_cells_get_different_ids():
    seen = {}
    cell = nbformat.v4.new_code_cell("x")
    assert notebooks.cell_id(cell, seen) != notebooks.cell_id(cell, seen)


def test_widget_models_are_not_stored(built):
    assert "model_id" not in built.with_suffix(".ipynb").read_text(encoding="utf-8")


def test_a_failing_cell_leaves_the_old_notebook(pair, capsys):
    before = pair.with_suffix(".ipynb").read_bytes()
    replace(pair, "6 * 7", "6 / 0")
    assert notebooks.main(["build", str(pair)]) == 1
    printed = capsys.readouterr().out
    assert "6 / 0" in printed
    assert "ZeroDivisionError" in printed
    assert pair.with_suffix(".ipynb").read_bytes() == before
    assert sorted(p.name for p in pair.parent.iterdir()) == ["00_tiny.ipynb", "00_tiny.md"]


# Checking


def test_a_built_pair_is_in_step(pair):
    assert notebooks.problems(pair) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        (".md", "6 * 7", "7 * 6", "source differs"),
        (".md", "# Multiply", "# Divide", "source differs"),
        (".md", ":tags: [nbval-ignore-output]\n\n", "", "metadata differs"),
        (".md", "slider.value = 5\n", "slider.value = 5\n```\n\n```{code-cell}\n", "cells in .md"),
        (".ipynb", '"execution_count": 2,\n   "id"', '"execution_count": 9,\n   "id"', "count 9"),
        (".ipynb", '"execution_count": 2,\n   "id"', '"execution_count": null,\n   "id"', "None"),
        (".ipynb", '"nbformat": 4', '"nbformat":  4', ".ipynb not in normal form"),
        (".md", "# Multiply", "\n# Multiply", ".md not as jupytext writes it"),
    ],
)
def test_a_pair_out_of_step_is_noticed(pair, file, old, new, complaint):
    replace(pair.with_suffix(file), old, new)
    assert complaint in "\n".join(notebooks.problems(pair))


@pytest.mark.parametrize("what", ["build", "check", "pull"])
def test_a_file_that_cannot_be_read_is_named(pair, capsys, what):
    """And the other pairs are looked at all the same."""
    latin, broken = pair.with_name("01_latin.md"), pair.with_name("02_broken.md")
    for md in (latin, broken):
        shutil.copy(pair, md)
        shutil.copy(pair.with_suffix(".ipynb"), md.with_suffix(".ipynb"))
    latin.write_bytes(latin.read_bytes().replace(b"a little", "légèrement".encode("latin-1")))
    replace(broken.with_suffix(".ipynb"), '"nbformat": 4,', "<<<<<<< HEAD")
    before = [path.read_bytes() for path in (latin, broken.with_suffix(".ipynb"))]
    assert notebooks.main([what, str(latin), str(broken)]) == 1
    printed = capsys.readouterr().out
    line = latin.read_bytes().split(b"\n").index("# Multiply légèrement".encode("latin-1")) + 1
    assert f"01_latin.md is not UTF-8 (line {line}): save it as UTF-8" in printed
    assert "02_broken.ipynb is not a notebook: it does not hold JSON" in printed
    assert [path.read_bytes() for path in (latin, broken.with_suffix(".ipynb"))] == before


def test_a_file_of_another_kind_is_refused(pair, capsys):
    other = pair.with_suffix(".txt")
    other.touch()
    with pytest.raises(SystemExit):
        notebooks.main(["check", str(other)])
    assert "00_tiny.txt is not a file of a notebook pair" in capsys.readouterr().err


def test_having_been_opened_in_jupyterlab_is_no_problem(pair):
    lexer = '"pygments_lexer": "ipython3"'
    replace(pair.with_suffix(".ipynb"), lexer, f'{lexer},\n   "version": "3.11.7"')
    assert notebooks.problems(pair) == []


def test_a_missing_half_is_noticed(pair):
    pair.with_suffix(".ipynb").unlink()
    assert "missing" in notebooks.problems(pair)[0]


# Edits are never lost


def edit_ipynb(md, change):
    """Change the .ipynb as an editor does that knows nothing of pairs."""
    nb = nbformat.read(md.with_suffix(".ipynb"), as_version=4)
    change(nb)
    nbformat.write(nb, md.with_suffix(".ipynb"))


def multiply_more(nb):
    nb.cells[1].source = nb.cells[1].source.replace("6 * 7", "6 * 9")


def add_cells(nb):
    nb.cells.insert(2, nbformat.v4.new_markdown_cell("Let us **add**."))
    nb.cells.insert(3, nbformat.v4.new_code_cell("1 + 1", metadata={"vscode": {"id": 3}}))
    nb.cells.append(nbformat.v4.new_markdown_cell(""))  # left by editors; no .md can hold it


def drop_a_cell(nb):
    del nb.cells[2]


def move_a_cell(nb):
    nb.cells.insert(1, nb.cells.pop())


def tag_a_cell(nb):
    nb.cells[1].metadata.tags = ["hide-input"]


EDITS = [multiply_more, add_cells, drop_a_cell, move_a_cell, tag_a_cell]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_build_refuses_to_run_over_cells_edited_in_the_ipynb(pair, capsys, edit):
    edit_ipynb(pair, edit)
    before = [pair.read_bytes(), pair.with_suffix(".ipynb").read_bytes()]
    problems = "\n".join(notebooks.problems(pair))
    assert "run `make pull`" in problems
    assert notebooks.main(["build", str(pair)]) == 1
    assert "edited in the .ipynb and not in the .md" in capsys.readouterr().out
    assert [pair.read_bytes(), pair.with_suffix(".ipynb").read_bytes()] == before


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_pull_brings_the_cells_over(pair, edit):
    edit_ipynb(pair, edit)
    edited = nbformat.read(pair.with_suffix(".ipynb"), as_version=4)
    header = pair.read_text(encoding="utf-8").split("# Multiply")[0]
    assert notebooks.main(["pull", str(pair.with_suffix(".ipynb"))]) == 0
    assert pair.read_text(encoding="utf-8").startswith(header)
    text, stored = notebooks.read_md(pair), notebooks.read_ipynb(pair)
    written = [cell.source for cell in edited.cells if cell.source]
    assert [cell.source for cell in text.cells] == written
    assert [cell.get("outputs") for cell in stored.cells] == [
        cell.get("outputs") for cell in edited.cells if cell.source
    ]
    assert "vscode" not in pair.read_text(encoding="utf-8")
    assert notebooks.edited(text, stored) == []


def test_what_was_pulled_can_be_edited_and_built(pair):
    edit_ipynb(pair, multiply_more)
    assert notebooks.pull(pair)
    replace(pair, "# Multiply a little", "# Multiply more")
    notebooks.build(pair)
    assert notebooks.problems(pair) == []
    stored = notebooks.read_ipynb(pair)
    assert stored.cells[0].source == "# Multiply more"
    assert stored.cells[1].outputs[0].data["text/plain"] == "54"


def test_pull_makes_the_md_of_a_new_notebook(pair):
    written = pair.read_bytes()
    pair.unlink()
    assert notebooks.main(["pull", str(pair.with_suffix(".ipynb"))]) == 0
    assert pair.read_bytes() == written


def test_pull_leaves_an_edited_md_alone(pair, capsys):
    replace(pair, "6 * 7", "6 * 8")
    before = [pair.read_bytes(), pair.with_suffix(".ipynb").read_bytes()]
    assert notebooks.main(["pull", str(pair)]) == 0
    assert "nothing to bring over" in capsys.readouterr().out
    assert [pair.read_bytes(), pair.with_suffix(".ipynb").read_bytes()] == before


@pytest.mark.parametrize("what", ["build", "pull", "check"])
def test_edits_in_both_files_are_a_conflict_that_names_the_cells(pair, capsys, what):
    edit_ipynb(pair, multiply_more)
    replace(pair, "slider.value = 5", "slider.value = 4")
    before = [pair.read_bytes(), pair.with_suffix(".ipynb").read_bytes()]
    assert notebooks.main([what, str(pair)]) == 1
    printed = capsys.readouterr().out
    assert (
        "00_tiny.md: edited in both files: cell 1 of the .md ('import time'), "
        "1 of the .ipynb ('import time'), 4 of the .md ('slider.value = 4'), "
        "4 of the .ipynb ('slider.value = 5'). Nothing was changed." in printed
    )
    assert [pair.read_bytes(), pair.with_suffix(".ipynb").read_bytes()] == before


def test_a_notebook_that_lost_its_digest_is_not_written_over(pair):
    edit_ipynb(pair, lambda nb: nb.metadata.pop(notebooks.IN_COMMON))
    assert "not in normal form" in "\n".join(notebooks.problems(pair))
    replace(pair, "6 * 7", "6 * 8")
    with pytest.raises(notebooks.PairError, match="edited in both files"):
        notebooks.build(pair)


def test_pull_refuses_a_picture_that_is_attached(pair):
    """The .md would name it and not hold it, and the next build throw it away."""
    path = pair.with_suffix(".ipynb")
    nb = nbformat.read(path, 4)
    cell = nbformat.v4.new_markdown_cell("![plot](attachment:plot.png)")
    cell.attachments = {"plot.png": {"image/png": "iVBORw0KGgo="}}
    nb.cells.append(cell)
    nbformat.write(nb, path)
    before = pair.read_bytes(), path.read_bytes()
    with pytest.raises(notebooks.PairError, match=r"^cell \d+ has plot\.png attached, "):
        notebooks.pull(pair)
    assert (pair.read_bytes(), path.read_bytes()) == before


def test_pull_refuses_what_a_md_cannot_hold(pair):
    written = pair.read_bytes()
    edit_ipynb(pair, lambda nb: nb.cells[0].update(source="```{code-cell}\n1\n```"))
    with pytest.raises(notebooks.PairError, match=r"would not give these cells again: cell 0"):
        notebooks.pull(pair)
    assert pair.read_bytes() == written


@pytest.fixture
def jupyterlab(pair):
    """JupyterLab's way to a pair's files: what it opens is a model, which it saves again."""
    kind = build_sync_jupytext_contents_manager_class(LargeFileManager)
    return kind(root_dir=str(pair.parent))


def test_what_jupyterlab_saves_in_both_files_is_no_conflict(pair, jupyterlab):
    model = jupyterlab.get("00_tiny.ipynb", type="notebook", content=True)
    multiply_more(model["content"])
    model["content"].cells[0].metadata["jp-MarkdownHeadingCollapsed"] = True
    model["content"].cells[1].metadata["heading_collapsed"] = True
    jupyterlab.save(model, "00_tiny.ipynb")
    written = pair.read_text(encoding="utf-8")
    assert "6 * 9" in written
    assert "ollapsed" not in written
    assert "Collapsed" in pair.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert notebooks.edited(notebooks.read_md(pair), notebooks.read_ipynb(pair)) == []
    assert "not in normal form" in "\n".join(notebooks.problems(pair))
    assert not notebooks.pull(pair)  # and notes that the .md has these cells: now it may be edited
    replace(pair, "6 * 9", "6 * 10")
    notebooks.build(pair)
    assert notebooks.problems(pair) == []
    for path in (pair, pair.with_suffix(".ipynb")):
        assert "ollapsed" not in path.read_text(encoding="utf-8")


# What nbval sees. These guard the guard: a change of nbval or of its options that let a wrong
# number through would otherwise go unnoticed.


def test_nbval_passes_what_was_built(pair):
    status, printed = nbval(pair)
    assert status == 0, printed
    assert "5 passed" in printed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"42"', '"43"'),
        ('<circle r=\\"4\\"/></svg>"', '<circle r=\\"3\\"/></svg>"'),
        ("<b>5</b>", "<b>6</b>"),
    ],
    ids=["number", "svg", "widget"],
)
def test_nbval_fails_on_a_changed_output(pair, old, new):
    replace(pair.with_suffix(".ipynb"), old, new)
    status, printed = nbval(pair)
    assert status == 1, printed
    assert "1 failed, 4 passed" in printed

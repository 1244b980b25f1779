"""Building a pair, noticing when it is out of step, and what nbval notices, on a tiny chapter."""

import shutil
import subprocess
import sys

import nbformat
import pytest

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


def test_having_been_opened_in_jupyterlab_is_no_problem(pair):
    lexer = '"pygments_lexer": "ipython3"'
    replace(pair.with_suffix(".ipynb"), lexer, f'{lexer},\n   "version": "3.11.7"')
    assert notebooks.problems(pair) == []


def test_a_missing_half_is_noticed(pair):
    pair.with_suffix(".ipynb").unlink()
    assert "missing" in notebooks.problems(pair)[0]


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

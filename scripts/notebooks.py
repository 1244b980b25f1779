"""Build and check the notebook pairs.

A chapter is two files: NN_name.md (MyST, the text people edit) and NN_name.ipynb (the same cells,
executed, outputs committed).

    python scripts/notebooks.py build [FILE.md ...]   run the .md, write the .ipynb
    python scripts/notebooks.py check [FILE.md ...]   say what is out of step; exit 1 if anything is

Without files, both take every notebooks/*.md. `make notebooks` is build; the tests use check.
"""

import argparse
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"

# What differs from run to run and says nothing: a widget's model id points into a kernel that is
# gone by the time the file is read, and JupyterLab shows "model not found" for it.
TRANSIENT_MIMETYPES = ("application/vnd.jupyter.widget-view+json",)

COLOURS = re.compile(r"\x1b\[[0-9;]*m")

HOW_TO_FIX = "run `make notebooks`"


def read_pair(md):
    """The two notebooks of a pair: (as written in the .md, as stored in the .ipynb)."""
    ipynb = md.with_suffix(".ipynb")
    if not ipynb.exists():
        raise FileNotFoundError(f"{ipynb.name} is missing: {HOW_TO_FIX}")
    return jupytext.read(md), nbformat.read(ipynb, as_version=4)


def cell_id(cell, seen):
    """An id made from the cell's own text, so that editing one cell changes only that cell's id."""
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    seen[digest] = seen.get(digest, 0) + 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def normalise(nb):
    """Keep what a reader needs and a run repeats; drop all that changes from run to run."""
    nb = nbformat.from_dict(nb)
    nb.nbformat, nb.nbformat_minor = 4, 5
    nb.metadata = nbformat.from_dict(
        {
            # JupyterLab's jupytext extension reads this, and saves both files of the pair.
            "jupytext": {"formats": "ipynb,md:myst"},
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",  # what the kernel calls itself
                "language": "python",
                "name": "python3",
            },
            # The lexer is the word after `{code-cell}` in the .md.
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    seen = {}
    for cell in nb.cells:
        cell.id = cell_id(cell, seen)
        # What a front end leaves behind when it runs or shows a cell.
        for key in ("execution", "trusted", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            if "data" in output:
                for mimetype in TRANSIENT_MIMETYPES:
                    output.data.pop(mimetype, None)
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return nb


def as_ipynb(nb):
    return nbformat.writes(nb).rstrip("\n") + "\n"


def as_md(nb):
    """The .md as jupytext writes it. JupyterLab refuses to open a pair whose .md is not so."""
    return jupytext.writes(nb, fmt="md:myst")


def execute(nb, folder):
    """Run every cell in a fresh kernel of this very Python, the way the tests do."""
    client = NotebookClient(
        nb,
        kernel_name="python3",
        timeout=600,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # else it warns of plain TCP each time
        coalesce_streams=True,  # prints may arrive in one message or in three
        record_timing=False,
        store_widget_state=False,
    )
    client.execute()
    return nb


def write_atomically(path, text):
    """Write beside the target and rename, so that a stop half-way leaves the old file whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def build(md):
    """Run the .md and write the .ipynb; a cell that fails raises and leaves the old one.

    The .md keeps its cells and gets the header and spacing that jupytext gives it.
    """
    nb = jupytext.read(md)
    nbformat.validate(nb)
    nb = normalise(execute(nb, md.parent))
    write_atomically(md.with_suffix(".ipynb"), as_ipynb(nb))
    if md.read_text(encoding="utf-8") != as_md(nb):
        write_atomically(md, as_md(nb))


def problems(md):
    """All that is out of step in a pair, each as one sentence; an empty list when all is well."""
    try:
        text, stored = read_pair(md)
    except FileNotFoundError as missing:
        return [str(missing)]
    return [*sync_problems(text, stored), *run_problems(stored), *normal_problems(md, stored)]


def sync_problems(text, stored):
    """Cells, their order, their kinds, sources and metadata must be those of the .md."""
    if len(text.cells) != len(stored.cells):
        return [f"{len(text.cells)} cells in .md, {len(stored.cells)} in .ipynb: {HOW_TO_FIX}"]
    found = []
    for number, (a, b) in enumerate(zip(text.cells, stored.cells, strict=True)):
        for what in ("cell_type", "source", "metadata"):
            if a[what] != b[what]:
                found.append(f"cell {number}: {what} differs between .md and .ipynb: {HOW_TO_FIX}")
    return found


def run_problems(stored):
    """Every code cell was run once, from top to bottom, and none failed."""
    found = []
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    for expected, cell in enumerate(code, start=1):
        if cell.execution_count != expected:
            first_line = cell.source.split("\n")[0]
            found.append(
                f"code cell {expected} ({first_line!r}) has execution count "
                f"{cell.execution_count}, not {expected}: {HOW_TO_FIX}"
            )
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"code cell {expected} failed with {output.ename}: {output.evalue}")
    return found


def normal_problems(md, stored):
    """Both files are as `build` writes them, to the byte.

    But for the .ipynb's own metadata: JupyterLab adds the kernel's version to it, and saves that
    for a reader who has only opened the chapter.
    """
    found = []
    normal = normalise(stored)
    normal.metadata = stored.metadata
    if md.with_suffix(".ipynb").read_text(encoding="utf-8") != as_ipynb(normal):
        found.append(f".ipynb not in normal form (ids, metadata, widget models): {HOW_TO_FIX}")
    if md.read_text(encoding="utf-8") != as_md(stored):
        found.append(f".md not as jupytext writes it: {HOW_TO_FIX}")
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["build", "check"])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.md")
    options = parser.parse_args(arguments)
    files = options.files or sorted(NOTEBOOKS.glob("*.md"))
    if not files:
        parser.error(f"no .md file in {NOTEBOOKS}")
    for md in files:
        if md.suffix != ".md" or not md.is_file():
            parser.error(f"{md} is not a notebook's .md file")

    failed = False
    for md in files:
        if options.what == "build":
            print(f"{md.name}: running", flush=True)
            try:
                build(md)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                failed = True
                report = str(error) if sys.stdout.isatty() else COLOURS.sub("", str(error))
                print(f"{md.name}: a cell failed; {md.stem}.ipynb is left as it was\n{report}")
        else:
            for problem in problems(md):
                failed = True
                print(f"{md.name}: {problem}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Build and check the notebook pairs.

A chapter is two files: NN_name.md (MyST, the text people edit) and NN_name.ipynb (the same cells,
executed, outputs committed).

    python scripts/notebooks.py build [FILE ...]   run the .md, write the .ipynb
    python scripts/notebooks.py pull [FILE ...]    bring cells edited in the .ipynb over to the .md
    python scripts/notebooks.py check [FILE ...]   say what is out of step; exit 1 if anything is

FILE is either file of a pair; without one, each takes every pair in notebooks/. `make notebooks` is
build, `make pull` is pull, and the tests use check.

JupyterLab saves both files of a pair; most other editors of notebooks save the .ipynb alone. So it
carries a digest of the cells that the two files last had in common. By it each command knows which
file was edited since, and none writes over an edit that the other file has not seen.
"""

import argparse
import difflib
import hashlib
import json
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

# What of a cell's metadata an author writes. The rest is left behind by the program that showed the
# cell: folded headings, timings, an editor's own settings.
AUTHORED = ("jupyter", "mystnb", "slideshow", "tags")

IN_COMMON = "cells_in_common"  # the digest's name in the .ipynb's metadata

COLOURS = re.compile(r"\x1b\[[0-9;]*m")

HOW_TO_FIX = "run `make notebooks`"


class PairError(Exception):
    """A pair that cannot be read, or in which an edit would be lost: one sentence."""


def read_text(path):
    """The file as text, without the byte order mark that some editors put first."""
    if not path.exists():
        raise PairError(f"{path.name} is missing")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PairError(f"{path.name} is not UTF-8 (line {line}): save it as UTF-8") from None


def read_md(md):
    """The notebook that is written in the .md."""
    return without_empty_cells(jupytext.reads(read_text(md), fmt="md:myst"))


def read_ipynb(md):
    """The notebook that is stored in the .ipynb."""
    ipynb = md.with_suffix(".ipynb")
    try:
        return without_empty_cells(nbformat.reads(read_text(ipynb), as_version=4))
    except (nbformat.reader.NotJSONError, json.JSONDecodeError):
        raise PairError(
            f"{ipynb.name} is not a notebook: it does not hold JSON. "
            f"Repair it, or remove it and {HOW_TO_FIX}"
        ) from None


def without_empty_cells(nb):
    """Editors of notebooks leave them at the end; an empty Markdown cell has no form in MyST."""
    nb.cells = [cell for cell in nb.cells if cell.source.strip()]
    return nb


def authored(cell):
    """What people write of a cell: its kind, its text, and such metadata as is theirs.

    Space at the end of a cell is not: no .md holds it.
    """
    metadata = {key: cell.metadata[key] for key in AUTHORED if key in cell.metadata}
    return {
        "cell_type": cell.cell_type,
        "source": cell.source.rstrip().lstrip("\n"),
        "metadata": metadata,
    }


def cells_of(nb):
    """The cells, as strings to be compared."""
    return [json.dumps(authored(cell), sort_keys=True) for cell in nb.cells]


def digest(nb):
    return hashlib.sha256("\n".join(cells_of(nb)).encode()).hexdigest()[:16]


def edited(text, stored):
    """Which files of a pair have cells that the other has never had: a list of ".md", ".ipynb"."""
    if cells_of(text) == cells_of(stored):
        return []
    common = stored.metadata.get(IN_COMMON)
    if digest(stored) == common:
        return [".md"]
    return [".ipynb"] if digest(text) == common else [".md", ".ipynb"]


def differing_cells(text, stored):
    """The cells in which two notebooks differ, each by its number and first line."""
    matcher = difflib.SequenceMatcher(None, cells_of(text), cells_of(stored), autojunk=False)
    named = []
    for what, *ranges in matcher.get_opcodes():
        for nb, where, start, stop in (
            (text, ".md", *ranges[:2]),
            (stored, ".ipynb", *ranges[2:]),
        ):
            if what != "equal":
                lines = (cell.source.split("\n")[0] for cell in nb.cells[start:stop])
                named += [f"{n} of the {where} ({line!r})" for n, line in enumerate(lines, start)]
    return "cell " + ", ".join(named)


def conflict(md, text, stored):
    return (
        f"edited in both files: {differing_cells(text, stored)}. "
        f"Nothing was changed. Copy what you want to keep into {md.name}, remove "
        f"{md.stem}.ipynb, and {HOW_TO_FIX}"
    )


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
            IN_COMMON: digest(nb),
            # JupyterLab's jupytext extension reads this, and saves both files of the pair.
            "jupytext": {
                "cell_metadata_filter": ",".join([*AUTHORED, "-all"]),
                "formats": "ipynb,md:myst",
            },
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
        cell.metadata = nbformat.from_dict(authored(cell)["metadata"])
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

    The .md keeps its cells and gets the header and spacing that jupytext gives it. Cells of the
    .ipynb that the .md has never had are not written over: PairError.
    """
    nb = read_md(md)
    refuse_to_lose(md, nb, ".ipynb")
    nbformat.validate(nb)
    nb = normalise(execute(nb, md.parent))
    write_atomically(md.with_suffix(".ipynb"), as_ipynb(nb))
    if md.read_bytes() != as_md(nb).encode():
        write_atomically(md, as_md(nb))


def pull(md):
    """Bring the cells of the .ipynb over to the .md; whether there was anything to bring.

    Outputs stay as they are, for `build` to make again. Cells of the .md that the .ipynb has never
    had are not written over: PairError if both were edited, nothing to do if only the .md was.
    """
    stored = read_ipynb(md)
    nbformat.validate(stored)
    for i, cell in enumerate(stored.cells):
        if cell.get("attachments"):
            raise PairError(
                f"cell {i} has {', '.join(cell.attachments)} attached, which no .md can hold: save "
                "it as a file and link to that. Nothing was changed"
            )
    text = read_md(md) if md.exists() else None
    if text and edited(text, stored) == [".md"]:
        return False
    if text:
        refuse_to_lose(md, text, ".md")
    nb = normalise(stored)
    read_back = jupytext.reads(as_md(nb), fmt="md:myst")
    if cells_of(read_back) != cells_of(nb):
        # A Markdown cell may hold what MyST takes for the start of another cell.
        differing = differing_cells(read_back, nb)
        raise PairError(
            f"the .md would not give these cells again: {differing}. Nothing was changed"
        )
    anew = text is None or cells_of(text) != cells_of(stored)
    if anew:
        write_atomically(md, as_md(nb))
    if stored.metadata.get(IN_COMMON) != digest(stored):
        stored.metadata[IN_COMMON] = digest(stored)
        write_atomically(md.with_suffix(".ipynb"), as_ipynb(stored))
    return anew


def refuse_to_lose(md, text, suffix):
    """Raise PairError if the file of this suffix has cells that the other has never had."""
    if not md.with_suffix(".ipynb").exists():
        return
    stored = read_ipynb(md)
    found = edited(text, stored)
    if len(found) == 2:
        raise PairError(conflict(md, text, stored))
    if found == [suffix]:
        raise PairError(
            f"{differing_cells(text, stored)}: edited in the .ipynb and not in the .md. "
            "Nothing was changed. Run `make pull` to bring the edits over"
        )


def problems(md):
    """All that is out of step in a pair, each as one sentence; an empty list when all is well."""
    if not md.with_suffix(".ipynb").exists():
        return [f"{md.stem}.ipynb is missing: {HOW_TO_FIX}"]
    try:
        text, stored = read_md(md), read_ipynb(md)
    except PairError as error:
        return [str(error)]
    return [*sync_problems(md, text, stored), *run_problems(stored), *normal_problems(md, stored)]


def sync_problems(md, text, stored):
    """Cells, their order, their kinds, sources and metadata must be those of the .md."""
    found = edited(text, stored)
    if len(found) == 2:
        return [conflict(md, text, stored)]
    how_to_fix = "run `make pull`" if found == [".ipynb"] else HOW_TO_FIX
    if len(text.cells) != len(stored.cells):
        return [f"{len(text.cells)} cells in .md, {len(stored.cells)} in .ipynb: {how_to_fix}"]
    found = []
    for number, (a, b) in enumerate(zip(text.cells, stored.cells, strict=True)):
        for what in ("cell_type", "source", "metadata"):
            if authored(a)[what] != authored(b)[what]:
                found.append(f"cell {number}: {what} differs between .md and .ipynb: {how_to_fix}")
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
    normal.metadata = {**stored.metadata, IN_COMMON: digest(stored)}
    if md.with_suffix(".ipynb").read_bytes() != as_ipynb(normal).encode():
        found.append(f".ipynb not in normal form (ids, metadata, widget models): {HOW_TO_FIX}")
    if md.read_bytes() != as_md(normal).encode():
        found.append(f".md not as jupytext writes it: {HOW_TO_FIX}")
    return found


def pairs(files):
    """The .md of each pair that is named by either file, or of all in notebooks/."""
    files = files or [*NOTEBOOKS.glob("*.md"), *NOTEBOOKS.glob("*.ipynb")]
    for file in files:
        if file.suffix not in (".md", ".ipynb") or not file.is_file():
            raise PairError(f"{file} is not a file of a notebook pair")
    return sorted({file.with_suffix(".md") for file in files})


def run(what, md):
    """Do ``what`` to one pair; what to say about it, and whether all is well."""
    if what == "check":
        found = problems(md)
        return "\n".join(f"{md.name}: {problem}" for problem in found), not found
    try:
        if what == "pull":
            done = "cells brought over from the .ipynb" if pull(md) else "nothing to bring over"
            return f"{md.name}: {done}", True
        print(f"{md.name}: running", flush=True)
        build(md)
        return "", True
    except PairError as error:
        return f"{md.name}: {error}", False
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        report = str(error) if sys.stdout.isatty() else COLOURS.sub("", str(error))
        return f"{md.name}: a cell failed; {md.stem}.ipynb is left as it was\n{report}", False


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["build", "pull", "check"])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        chapters = pairs(options.files)
    except PairError as error:
        parser.error(str(error))
    failed = False
    for md in chapters:
        said, well = run(options.what, md)
        failed |= not well
        if said:
            print(said)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""What a chapter must hold to, beyond giving its stored outputs again (which nbval checks).

Each rule is a function from a notebook to a list of complaints, so that each is tried twice: on
the real chapters, where it must find nothing, and on a notebook made to break it.
"""

import ast
import json
import re
import statistics

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebooks

CHAPTERS = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))

MAX_LINES, MEDIAN_LINES = 15, 4
NETWORK_MODULES = {"urllib", "urllib3", "requests", "httpx", "http", "ftplib", "socket"}
KNOWN_TAGS = {"nbval-ignore-output", "exercise", "solution", "hide-input", "hide-output"}
ALLOWED_MAGICS = {"time", "timeit"}
# nbval does not implement Output widgets, and interact is made of one.
FORBIDDEN_WIDGETS = {"Output", "interact", "interactive", "interact_manual", "interactive_output"}


def code_cells(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def code_lines(source):
    lines = (line.strip() for line in source.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def python_of(source):
    """The cell as plain Python: magics and `!` become calls on get_ipython()."""
    if source.startswith("%%"):
        magic, _, body = source.partition("\n")
        if magic[2:].split()[0] in ALLOWED_MAGICS:
            source = body
    return TransformerManager().transform_cell(source)


def nodes(nb, *kinds):
    for cell in code_cells(nb):
        for node in ast.walk(ast.parse(python_of(cell.source))):
            if isinstance(node, kinds):
                yield node


def long_cells(nb):
    lengths = [len(code_lines(cell.source)) for cell in code_cells(nb)]
    found = [
        f"code cell {n} has {length} lines"
        for n, length in enumerate(lengths, start=1)
        if length > MAX_LINES
    ]
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        found.append(f"the median code cell has {statistics.median(lengths)} lines")
    return found


def star_imports(nb):
    return [
        f"from {node.module} import *"
        for node in nodes(nb, ast.ImportFrom)
        if any(alias.name == "*" for alias in node.names)
    ]


def downloads(nb):
    found = []
    for node in nodes(nb, ast.Import, ast.ImportFrom):
        modules = (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
        found += [f"imports {m}" for m in modules if m.split(".")[0] in NETWORK_MODULES]
    return found


def magics_and_shell(nb):
    found = []
    for node in nodes(nb, ast.Call):
        call = ast.unparse(node.func)
        if call in ("get_ipython().system", "get_ipython().getoutput"):
            found.append(f"runs a shell: {ast.unparse(node)}")
        elif call.startswith("get_ipython().run_"):
            magic = ast.literal_eval(node.args[0])
            found += [f"uses a magic: {magic}"] if magic not in ALLOWED_MAGICS else []
    return found


def output_widgets(nb):
    named = [
        node.attr
        for node in nodes(nb, ast.Attribute)
        if ast.unparse(node.value) in ("widgets", "ipywidgets")
    ]
    named += [
        alias.name
        for node in nodes(nb, ast.ImportFrom)
        if node.module == "ipywidgets"
        for alias in node.names
    ]
    return [f"uses ipywidgets.{name}" for name in named if name in FORBIDDEN_WIDGETS]


def unknown_tags(nb):
    found = [
        f"unknown tag {tag!r}"
        for cell in nb.cells
        for tag in cell.metadata.get("tags", [])
        if tag not in KNOWN_TAGS
    ]
    found += [
        f"a comment steers nbval, use a tag: {marker}"
        for cell in code_cells(nb)
        for marker in re.findall(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE_\w+)", cell.source)
    ]
    return found


def machine_traces(nb):
    """Memory addresses and paths of the machine that ran it: they differ on every other."""
    pattern = re.compile(
        r"\b0x[0-9a-f]{6,}|/(?:home|root|Users)/\S*|[A-Z]:\\+Users\S*|"
        + re.escape(str(notebooks.ROOT)),
        re.IGNORECASE,
    )
    return [
        f"code cell {n} shows {match!r}"
        for n, cell in enumerate(code_cells(nb), start=1)
        for output in cell.outputs
        for match in pattern.findall(json.dumps(output, ensure_ascii=False))
    ]


RULES = [
    notebooks.run_problems,
    long_cells,
    star_imports,
    downloads,
    magics_and_shell,
    output_widgets,
    unknown_tags,
    machine_traces,
]


def test_there_are_chapters():
    assert CHAPTERS
    assert [p.with_suffix(".md") for p in CHAPTERS] == sorted(notebooks.NOTEBOOKS.glob("*.md"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_pair_is_in_step(path):
    assert notebooks.problems(path.with_suffix(".md")) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps(rule, path):
    assert rule(nbformat.read(path, as_version=4)) == []


# The rules themselves, on notebooks made to keep or to break them.


def notebook(*sources, outputs=(), tags=()):
    """Code cells, as if run in order; outputs and tags go to the first."""
    cells = [new_code_cell(s, execution_count=n) for n, s in enumerate(sources, start=1)]
    cells[0].outputs = list(outputs)
    cells[0].metadata.tags = list(tags)
    return new_notebook(cells=[new_markdown_cell("# A title"), *cells])


def shows(text):
    return [new_output("display_data", {"text/plain": text})]


def unrun():
    nb = notebook("1", "2")
    nb.cells[2].execution_count = None
    return nb


def run_out_of_order():
    nb = notebook("1", "2")
    nb.cells[1].execution_count, nb.cells[2].execution_count = 2, 1
    return nb


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules_accept_a_good_notebook(rule):
    good = notebook(
        "import math\nfrom math import pi", "%timeit -n1 -r1 pi", "%%time\n# NBVAL is a tool\npi",
        "\n".join("#" * 30), "widgets.HTML()", outputs=shows("0x10 bytes <Tensor (2, 3)>"),
        tags=["nbval-ignore-output", "exercise"],
    )  # fmt: skip
    assert rule(good) == []


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (notebooks.run_problems, unrun()),
        (notebooks.run_problems, run_out_of_order()),
        (
            notebooks.run_problems,
            notebook("1/0", outputs=[new_output("error", ename="E", evalue="", traceback=[])]),
        ),
        (long_cells, notebook("x = 1\n" * 16, "x", "x")),
        (long_cells, notebook("x = 1\n" * 5, "x = 1\n" * 5, "x")),
        (star_imports, notebook("from math import *")),
        (star_imports, notebook("x = 1", "%%time\nfrom math import *")),
        (downloads, notebook("import urllib.request")),
        (downloads, notebook("from requests import get")),
        (magics_and_shell, notebook("!pip install numpy")),
        (magics_and_shell, notebook("files = !ls")),
        (magics_and_shell, notebook("%matplotlib inline")),
        (magics_and_shell, notebook("%pip install numpy")),
        (magics_and_shell, notebook("%%bash\nls -l")),
        (output_widgets, notebook("widgets.interact(print, x=3)")),
        (output_widgets, notebook("from ipywidgets import Output")),
        (unknown_tags, notebook("x", tags=["nbval-skip"])),
        (unknown_tags, notebook("x", tags=["nbval-ingore-output"])),
        (unknown_tags, notebook("# NBVAL_SKIP\nx")),
        (machine_traces, notebook("x", outputs=shows("<object at 0x7f3c2a10>"))),
        (machine_traces, notebook("x", outputs=shows("/home/ada/notebooks"))),
        (machine_traces, notebook("x", outputs=[new_output("stream", text="C:\\Users\\ada")])),
        (machine_traces, notebook("x", outputs=shows(f"{notebooks.ROOT}/mtlib"))),
    ],
)
def test_rules_reject_a_bad_notebook(rule, bad):
    assert rule(bad)

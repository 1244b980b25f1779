"""The spine of mtlib: what there is to read in one sitting, as ``mtlib/README.md`` says."""

import ast
import io
import re
import tokenize
from pathlib import Path

MTLIB = Path(__file__).parents[1] / "mtlib"
README = (MTLIB / "README.md").read_text(encoding="utf-8")

SPINE = [
    *("layout.py", "kernels/plain.py", "kernels/functions/scalars.py", "autograd.py", "tensor.py"),
    *("ops/views.py", "ops/operands.py", "ops/elementwise.py", "ops/zips.py", "ops/maps.py"),
    *("ops/reductions.py", "naive.py", "fused/matmul.py"),
]
MOST_LINES = 1600
DOORS = [
    *("runtime/mode.py", "runtime/ledger.py", "runtime/memory.py", "runtime/versions.py"),
    *("kernels/jit.py", "kernels/functions/transcendental.py", "kernels/functions/powers.py"),
    *("kernels/strided/elementwise.py", "kernels/strided/reduce.py", "kernels/plans/kept.py"),
    *("kernels/products/matmul.py", "checks.py", "ops/aliases.py", "make.py"),
]


def lines_of_code(text: str) -> int:
    """Lines that hold code: no blank ones, no comments, no docstrings."""
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in nothing and token.string:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def section(title: str) -> str:
    """The part of the README below ``## title``."""
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def test_lines_of_code_are_counted():
    text = '"""One\n\ntwo."""\n\n# three\nx = (\n    1\n)  # four\n\n\ndef f():\n    """Five."""\n'
    assert lines_of_code(text) == 4


def test_it_can_be_read_in_one_sitting():
    counts = {name: lines_of_code((MTLIB / name).read_text(encoding="utf-8")) for name in SPINE}
    assert sum(counts.values()) <= MOST_LINES, counts


def test_it_is_what_the_readme_says_and_in_that_order():
    assert re.findall(r"\]\(([\w/]+\.py)\)", section("The spine, in order")) == SPINE


def test_its_doors_are_those_of_the_readme():
    named = re.findall(r"^\| \[`[^`]+`\]\(([^)]+)\)", section("Doors into the wings"), re.MULTILINE)
    assert [door.rstrip("/") for door in named] == [door.rstrip("/") for door in DOORS]


def test_it_imports_the_spine_and_its_doors_only():
    allowed = [name.removesuffix(".py").rstrip("/").replace("/", ".") for name in (*SPINE, *DOORS)]
    used = set()
    for name in SPINE:
        for node in ast.walk(ast.parse((MTLIB / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "mtlib":
                for imported in node.names:
                    full = f"{node.module}.{imported.name}".removeprefix("mtlib.")
                    found = [a for a in allowed if full == a or full.startswith(a + ".")]
                    assert found, f"{name} imports {full}, which is neither spine nor door"
                    used |= set(found)
    assert used >= {name.removesuffix(".py").rstrip("/").replace("/", ".") for name in DOORS}


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (MTLIB / target).exists(), target

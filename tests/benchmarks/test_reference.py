"""What the pages say of the reference machine is what was measured there."""

import json
import re
from pathlib import Path

from benchmarks.report import markdown

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
REFERENCE = json.loads((ROOT / "benchmarks" / "results" / "reference.json").read_text("utf-8"))


def ratio(group: str, name: str, threads: int) -> float:
    """The median ratio of this case."""
    wanted = group, name, threads
    (case,) = (c for c in REFERENCE["cases"] if (c["group"], c["name"], c["threads"]) == wanted)
    return next(iter(case["ratios"].values()))["median"]


def test_the_page_ends_with_the_report():
    """After a new reference run: ``python -m benchmarks report`` prints what belongs there."""
    assert PAGE.endswith(markdown(REFERENCE))


def test_the_table_of_the_readme():
    heading, *rows = re.findall(r"^\| (NumPy's time.+|float\d\d, .+) \|$", README, re.MULTILINE)
    sizes = heading.split("n = | ")[1].split(" | ")
    assert [row.split(" | ")[0] for row in rows] == [
        f"{dtype}, {n} thread" + "s" * (n > 1) for dtype in ("float32", "float64") for n in (1, 2)
    ]
    for row in rows:
        (dtype, threads), *found = row.split(" | ")[0].split(", "), *row.split(" | ")[1:]
        threads = int(threads.split()[0])
        expected = [f"{ratio('matmul', f'{n} {dtype}', threads):.2f}" for n in sizes]
        assert found == expected


def test_the_factors_of_the_readme():
    said = re.search(
        r"softmax` is (\S+) times as fast as NumPy's, causal attention over 1024 positions (\S+) "
        r"times, and what `fuse` makes of zip \+ reduce at n = 256 (\S+) times as fast as the two "
        r"steps",
        README,
    )
    measured = (
        ratio("composites", "softmax 4096×1024", 2),
        ratio("composites", "attention, long and causal 4×1024×64", 2),
        ratio("fuse", "zip + reduce 256", 2),
    )
    assert [float(word) for word in said.groups()] == [float(f"{x:.2g}") for x in measured]

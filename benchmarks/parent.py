"""Running the children, one for each number of threads, and gathering what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.cases import GROUPS, check_names
from benchmarks.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = 1


class Died(Exception):
    """A child ended before it was done."""


def measure(names: Sequence[str], quick: bool) -> dict:
    """Run the cases of the groups in ``names``, or all, with one thread and with all threads.

    Returns the results, as README.md describes them.  Raises ``ValueError`` for a group that there
    is not, and :class:`Died` if a child does not come to its end.
    """
    check_names(names)
    most = machine.cores()
    results = {
        "schema": SCHEMA,
        "quick": quick,
        "machine": {},
        "limits": [],
        "groups": [group.about() for group in GROUPS],
        "cases": [],
    }
    load = machine.load()
    for threads in sorted({1, most}):
        _child(threads, most, quick, names, results)
    results["machine"]["load"] = load
    return results


def _child(threads: int, most: int, quick: bool, names: Sequence[str], results: dict) -> None:
    how = "quick" if quick else "full"
    command = [sys.executable, "-m", "benchmarks.worker", str(threads), str(most), how, *names]
    environment = machine.environment(threads)
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    doing = "starting"
    with Progress(plural(threads, "thread")) as progress:
        try:
            for line in child.stdout:
                said = json.loads(line)
                if "machine" in said:
                    results["machine"] = said["machine"]
                    progress.total = said["count"]
                    progress.show("the machine's limits")
                elif "limits" in said:
                    results["limits"].append(said["limits"])
                elif "begin" in said:
                    doing = f"{said['group']}: {said['begin']}"
                    progress.step(said["group"], said["begin"])
                else:
                    results["cases"].append(said["case"])
            code = child.wait()
        finally:
            child.kill()
            child.wait()
    if code:
        raise Died(
            f"the run with {plural(threads, 'thread')} ended with exit code {code} at: {doing}"
        )


def plural(count: int, word: str) -> str:
    """
    >>> plural(1, "thread"), plural(2, "thread")
    ('1 thread', '2 threads')
    """
    return f"{count} {word}" + "s" * (count != 1)

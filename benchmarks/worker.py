"""The child that measures, with as many threads as its environment says.

It prints one JSON object a line: what it runs on, the machine's limits, and then for each case that
it begins and what came of it.  The parent reads them (:mod:`benchmarks.parent`).
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks import cases, machine, measure, peak

SLOW = 1.0  # seconds a call: what would take longer is left out
TRIAD = {False: 1 << 24, True: 1 << 23}  # elements, by whether it is quick


def say(**what) -> None:
    print(json.dumps(what), flush=True)


def run(threads: int, most: int, quick: bool, names: list[str]) -> None:
    """Measure with ``threads`` threads, which the environment has set, out of ``most``."""
    effort = measure.QUICK if quick else measure.FULL
    todo = cases.chosen(names, quick, threads, most)
    say(count=len(todo), machine=machine.describe())
    say(limits=peak.limits(threads, effort, TRIAD[quick]))
    settle = measure.SETTLE if threads > 1 else 0.0
    slowest: dict[str, tuple[float, int]] = {}  # by series: seconds a call, operations
    for group, case in todo:
        say(begin=case.name, group=group.name)
        series = getattr(case, "series", "")
        if series in slowest:
            taken, flops = slowest[series]
            if taken * case.flops / flops > SLOW:
                continue
        start = time.perf_counter()
        try:
            result = case.run(effort, settle)
        except Exception as error:  # one case that fails is told, and the others go on
            result = {"error": f"{type(error).__name__}: {error}"}
        result["took"] = round(time.perf_counter() - start, 3)
        if series and "seconds" in result:
            slowest[series] = result["seconds"][result["subject"]]["median"], case.flops
        say(case={"group": group.name, "name": case.name, "threads": threads, **result})


if __name__ == "__main__":
    count, of, how, *groups = sys.argv[1:]
    # The results have standard output to themselves; what a library prints goes to stderr.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = out
    run(int(count), int(of), how == "quick", groups)

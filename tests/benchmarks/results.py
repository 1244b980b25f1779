"""Small results to report, of the form that a run saves."""

import copy


def timed(group, name, threads, ratio, **more):
    """A comparison in which NumPy takes 1 ms and ``ratio`` times as long as mtlib."""
    spread = {"median": ratio, "low": 0.9 * ratio, "high": 1.1 * ratio}
    ours, theirs = ({"median": t, "low": t, "high": t} for t in (1e-3 / ratio, 1e-3))
    return {
        "group": group,
        "name": name,
        "threads": threads,
        "subject": "mtlib",
        "base": "NumPy",
        "seconds": {"mtlib": ours, "NumPy": theirs},
        "ratios": {"NumPy": spread},
        "rounds": 3,
        "left_out": {},
        **more,
    }


def rung(name, n, threads, ratio):
    more = {"flops": 2 * n**3, "series": name, "size": n}
    return timed("ladder", f"{name} {n}", threads, ratio, **more)


_RESULTS = {
    "schema": 1,
    "quick": True,
    "machine": {
        "processor": "A processor",
        "cores": 2,
        "system": "Linux x86_64",
        "blas": "a BLAS",
        "versions": {"Python": "3.11", "numpy": "2.4"},
        "load": 0.1,
    },
    "limits": [
        {"threads": 1, "float32": 200.0, "float64": 100.0, "gbytes": 20.0},
        {"threads": 2, "float32": 400.0, "float64": 200.0, "gbytes": 30.0},
    ],
    "groups": [
        {"name": "ladder", "title": "The ladder"},
        {"name": "matmul", "title": "Square", "mean": 0.9, "floor": 0.6},
        {"name": "memory", "title": "Memory"},
    ],
    "cases": [
        rung("ijk", 64, 1, 0.1),
        rung("ijk", 128, 1, 0.05),
        rung("threaded", 64, 2, 0.8),
        timed("matmul", "64 float32", 1, 2.0, flops=2 * 64**3),
        timed("matmul", "64 float32", 2, 0.5, flops=2 * 64**3),
        {
            "group": "memory",
            "name": "workspace",
            "threads": 2,
            "value": 4.0,
            "unit": "MB",
            "at_most": 8,
        },
    ],
}


def results():
    """A fresh copy, to change at will."""
    return copy.deepcopy(_RESULTS)

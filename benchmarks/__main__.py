"""``python -m benchmarks``, from the root of the repository; ``make bench`` calls it.

python -m benchmarks --quick --only matmul --only tiny
python -m benchmarks report benchmarks/results/latest.json
python -m benchmarks plot benchmarks/results/latest.json roofline.svg
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from mt_diagrams.figures.roofline import roofline
from mt_diagrams.svg.figure import write_whole

from benchmarks import report
from benchmarks.cases import NAMES
from benchmarks.parent import SCHEMA, Died, measure
from benchmarks.plot import roofline_of

RESULTS = Path(__file__).resolve().parent / "results"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=report.__doc__)
    parser.description = "Compare mtlib with NumPy and, where installed, PyTorch and numexpr."
    parser.set_defaults(do=_run)
    parser.add_argument("--quick", action="store_true", help="few repetitions of few cases")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GROUP",
        help=f"one group of cases; may be repeated: {', '.join(NAMES)}",
    )
    commands = parser.add_subparsers(metavar="report | plot")
    again = commands.add_parser("report", help="print the tables of stored results as Markdown")
    again.add_argument("file", type=Path, help="a JSON file that a run has saved")
    again.set_defaults(do=lambda given: print(report.markdown(load(given.file)), end=""))
    plot = commands.add_parser("plot", help="draw stored results")
    plot.add_argument("file", type=Path, help="a JSON file that a run has saved")
    plot.add_argument("out", type=Path, help="the SVG file to write")
    plot.set_defaults(do=lambda given: _plot(load(given.file), given.out))
    return parser


def _run(given: argparse.Namespace) -> None:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        raise ValueError("NUMBA_DISABLE_JIT is set: without compiled kernels there is no race")
    results = measure(given.only, given.quick)
    RESULTS.mkdir(exist_ok=True)
    write_whole(RESULTS / "latest.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(report.text(results))
    written = ["latest.json"]
    if any("series" in case for case in results["cases"]):
        _plot(results, RESULTS / "latest.svg")
        written.append("latest.svg")
    print(f"Saved in benchmarks/results: {', '.join(written)}")


def load(path: Path) -> dict:
    """Results that a run has saved; ValueError if the file holds something else."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path}: is not JSON") from None
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise ValueError(f"{path}: does not hold results of this version of the benchmarks")
    return results


def _plot(results: dict, out: Path) -> None:
    write_whole(out, roofline(roofline_of(results)).svg)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 after an error told in one line."""
    given = _parser().parse_args(argv)
    try:
        given.do(given)
    except (ValueError, OSError, Died) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The results as tables of words, which :mod:`benchmarks.report` sets as text or as Markdown."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.measure import geometric_mean
from benchmarks.verdicts import misses, verdicts
from benchmarks.words import amount, digits, duration

MISSED, REACHED = "✗", "✓"
STRIP = 17  # characters of a strip, which goes from 1/4 to 4


@dataclass(frozen=True)
class Table:
    """A heading, the columns' names, the rows, and notes beneath.

    The first ``left`` columns are set to the left.
    """

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    left: int = 1
    notes: tuple[str, ...] = ()


def tables(results: dict, strips: bool) -> list[Table]:
    """One table for each group that was run, the limits first and the verdicts last.

    ``strips`` adds a column that draws the ratio, for type of one width.
    """
    found = [_limits(results)]
    for group in results["groups"]:
        cases = [case for case in results["cases"] if case["group"] == group["name"]]
        timed = [case for case in cases if "seconds" in case]
        if timed and all("series" in case for case in timed):
            found.append(_ladder(group, timed))
        elif timed:
            found.append(_comparisons(group, timed, strips))
        if readings := [case for case in cases if "value" in case]:
            found.append(_readings(group, readings))
    rows = [
        (REACHED if verdict.reached else MISSED, verdict.title, verdict.measured, verdict.target)
        for verdict in verdicts(results)
    ]
    if rows:
        errors = tuple(
            f"{case['group']}: {case['name']}, {threads_of(case)}: {case['error']}"
            for case in results["cases"]
            if "error" in case
        )
        found.append(Table("Targets", ("", "what", "measured", "target"), rows, 2, errors))
    return found


def _limits(results: dict) -> Table:
    rows = [
        (
            threads_of(limit),
            f"{digits(limit['float32'])} GFLOP/s",
            f"{digits(limit['float64'])} GFLOP/s",
            f"{digits(limit['gbytes'])} GB/s",
        )
        for limit in results["limits"]
    ]
    header = ("", "registers, float32", "registers, float64", "memory")
    return Table("This machine's limits, measured", header, rows)


def _ladder(group: dict, cases: list[dict]) -> Table:
    """Rungs down, sizes across; NumPy beneath, as it ran beside the best rung."""
    sizes = sorted({case["size"] for case in cases})
    series = {case["series"]: case["threads"] for case in cases}
    rows = []
    for name, threads in series.items():
        rates = rate_by_size(cases, name, "subject")
        rows.append(_ladder_row(name, threads, rates, sizes))
    for name, threads in _best_series(series).items():
        rates = rate_by_size(cases, name, "base")
        rows.append(_ladder_row("NumPy", threads, rates, sizes))
    header = ("GFLOP/s, by n", "threads", *map(str, sizes))
    return Table(group["title"], header, rows)


def _ladder_row(name: str, threads: int, rates: dict[int, float], sizes: list[int]) -> tuple:
    return (name, str(threads), *(digits(rates[n]) if n in rates else "·" for n in sizes))


def _best_series(series: dict[str, int]) -> dict[str, int]:
    """The last series of each number of threads."""
    last = {threads: name for name, threads in series.items()}
    return {name: threads for threads, name in last.items()}


def rate_by_size(cases: list[dict], series: str, who: str) -> dict[int, float]:
    """GFLOP/s over size in one series, of its "subject" or the "base" beside it."""
    return {
        case["size"]: case["flops"] / case["seconds"][case[who]]["median"] / 1e9
        for case in cases
        if case.get("series") == series and "seconds" in case
    }


def _comparisons(group: dict, cases: list[dict], strips: bool) -> Table:
    subject, base = cases[0]["subject"], cases[0]["base"]
    others = sorted({name for case in cases for name in case["ratios"]} - {base})
    rated = any("flops" in case for case in cases)
    header = (
        "",
        "threads",
        base,
        subject,
        *(["GFLOP/s"] if rated else []),
        f"{base}/{subject}",
        "quartiles",
        *(["¼" + "1".center(STRIP - 2) + "4"] if strips else []),
        *(f"{name}/{subject}" for name in others),
    )
    rows = []
    for threads in sorted({case["threads"] for case in cases}):
        some = [case for case in cases if case["threads"] == threads]
        for case in some:
            took, spread = case["seconds"], case["ratios"][base]
            mark = f" {MISSED}" if misses(case, group) else ""
            rate = digits(case["flops"] / took[subject]["median"] / 1e9) if "flops" in case else ""
            peers = (case["ratios"].get(name) for name in others)
            rows.append(
                (
                    case["name"] + mark,
                    str(threads),
                    duration(took[base]["median"]),
                    duration(took[subject]["median"]),
                    *([rate] if rated else []),
                    digits(spread["median"]),
                    f"{digits(spread['low'])} … {digits(spread['high'])}",
                    *([strip(**spread)] if strips else []),
                    *(digits(peer["median"]) if peer else "" for peer in peers),
                )
            )
        if len(some) > 1:
            rows.append(_mean(some, base, others, threads, rated, strips))
    notes = tuple(
        f"{name} is left out of {case['name']}, {threads_of(case)}: {text}."
        for case in cases
        for name, text in case["left_out"].items()
    )
    return Table(group["title"], header, rows, notes=notes)


def _mean(some, base: str, others, threads: int, rated: bool, strips: bool) -> tuple[str, ...]:
    def mean(name: str) -> str:
        values = [case["ratios"][name]["median"] for case in some if name in case["ratios"]]
        return digits(geometric_mean(values)) if values else ""

    blank = ("",) * (2 + rated)
    gap = ("",) * (1 + strips)
    return ("geometric mean", str(threads), *blank, mean(base), *gap, *map(mean, others))


def _readings(group: dict, cases: list[dict]) -> Table:
    rows = [
        (
            case["name"] + (f" {MISSED}" if misses(case, group) else ""),
            str(case["threads"]),
            amount(case["value"], case["unit"]),
        )
        for case in cases
    ]
    return Table(group["title"], ("", "threads", ""), rows)


def strip(median: float, low: float, high: float) -> str:
    """A ratio on a scale of logarithms from 1/4 to 4: a dot, and a line from low to high.

    >>> strip(1.0, 0.5, 2.0)
    '    ────●────    '
    >>> strip(0.01, 0.01, 0.01)
    '◂       ┊        '
    """

    def place(value: float) -> int:
        return round((math.log(value, 4) + 1) / 2 * (STRIP - 1))

    marks = [" "] * STRIP
    marks[STRIP // 2] = "┊"
    for n in range(max(place(low), 0), min(place(high), STRIP - 1) + 1):
        marks[n] = "─"
    at = place(median)
    marks[min(max(at, 0), STRIP - 1)] = "◂" if at < 0 else "▸" if at >= STRIP else "●"
    return "".join(marks)


def threads_of(item: dict) -> str:
    return f"{item['threads']} thread" + "s" * (item["threads"] != 1)

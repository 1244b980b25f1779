"""What must be reached, and whether it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.measure import geometric_mean
from benchmarks.words import amount, digits, duration


@dataclass(frozen=True)
class Verdict:
    """One demand: what was measured, in words, what must be reached, and whether it was."""

    title: str
    measured: str
    target: str
    reached: bool


def ratio_of(case: dict) -> float | None:
    """How many times faster than what it is judged by; None for what is no comparison.

    To three digits, as it is shown: what shows as 1.00 is 1.
    """
    if "ratios" not in case:
        return None
    return float(f"{case['ratios'][case['base']]['median']:.3g}")


def misses(case: dict, group: dict) -> bool:
    """Whether this case, by itself, falls short."""
    if "error" in case:
        return True
    value = ratio_of(case)
    if value is not None and value < group.get("floor", 0):
        return True
    return not _bounds_kept(case)


def _bounds_kept(case: dict) -> bool:
    value = case["value"] if "value" in case else case["seconds"][case["subject"]]["median"]
    return case.get("at_least", value) <= value <= case.get("at_most", value)


def verdicts(results: dict) -> Iterator[Verdict]:
    """All of them, in the order of the groups, over any number of threads."""
    for group in results["groups"]:
        cases = [case for case in results["cases"] if case["group"] == group["name"]]
        ratios = [(value, case) for case in cases if (value := ratio_of(case)) is not None]
        if ratios and "mean" in group:
            mean = geometric_mean(value for value, _ in ratios)
            yield Verdict(
                f"{group['name']}: geometric mean of {len(ratios)}",
                digits(mean),
                f"at least {digits(group['mean'])}",
                mean >= group["mean"],
            )
        if ratios and "floor" in group:
            least, case = min(ratios, key=lambda pair: pair[0])
            below = sum(value < group["floor"] for value, _ in ratios)
            yield Verdict(
                f"{group['name']}: lowest, {case['name']}, {_threads(case)}"
                + (f" ({below} of {len(ratios)} fall short)" if below > 1 else ""),
                digits(least),
                f"at least {digits(group['floor'])}",
                below == 0,
            )
        for case in cases:
            if "error" in case:
                yield Verdict(
                    f"{group['name']}: {case['name']}, {_threads(case)}",
                    "fails",
                    "runs, and agrees",
                    False,
                )
            elif "at_least" in case or "at_most" in case:
                yield _bounded(group, case)


def _bounded(group: dict, case: dict) -> Verdict:
    if "value" in case:
        value, unit = case["value"], case["unit"]
        words = [(word, case.get(key)) for word, key in _BOUNDS]
        target = ", ".join(f"{word} {amount(x, unit)}" for word, x in words if x is not None)
        measured = amount(value, unit)
    else:
        measured = duration(case["seconds"][case["subject"]]["median"])
        target = f"at most {duration(case['at_most'])}"
    title = f"{group['name']}: {case['name']}, {_threads(case)}"
    return Verdict(title, measured, target, _bounds_kept(case))


_BOUNDS = (("at least", "at_least"), ("at most", "at_most"))


def _threads(case: dict) -> str:
    return f"{case['threads']} thread" + "s" * (case["threads"] != 1)

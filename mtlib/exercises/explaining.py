"""Why a number that somebody said is not the right one, worked out from the sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

Sizes = dict[str, int]
IN_ELEMENTS = "right in elements; in bytes each float64 counts 8"


def value_of(formula: str, sizes: Sizes) -> int | float | None:
    """A formula in Python's notation at these sizes; None if one is missing.

    >>> value_of("8 * (m*k + k*n)", {"m": 2, "k": 4, "n": 3})
    160
    """
    try:
        return eval(formula, {"__builtins__": {}, "min": min, "max": max}, dict(sizes))
    except NameError:
        return None


def in_print(formula: str) -> str:
    """As people write it.

    >>> in_print("8 * (m*k + k*n)")
    '8·(m·k + k·n)'
    """
    return formula.replace(" * ", "·").replace("*", "·")


def explain(said: float, right: float, sizes: Sizes, unit: str = "") -> str:
    """What kind of mistake leads from ``right`` to ``said``; nothing where none is known.

    >>> sizes = {"m": 5, "k": 6, "n": 7}
    >>> explain(5 * 7, 8 * 5 * 7, sizes, "bytes")
    'right in elements; in bytes each float64 counts 8'
    >>> explain(5 * 7, 5 * 6 * 7, sizes)
    'too small by a factor of 6, which is k'
    >>> explain(5 * 6, 5 * 6 + 6 * 7, sizes)
    'it lacks k·n = 42: is one operand forgotten?'
    >>> explain(5 + 6 + 7, 5 * 6 * 7, sizes)
    'the sizes are added there; each meets each, so multiply them'
    """
    for kind in (_unit, _sum_and_product, _factor, _term):
        told = kind(said, right, sizes, unit)
        if told:
            return told
    return ""


def _unit(said, right, sizes, unit) -> str:
    if said * 8 == right and unit == "bytes":
        return IN_ELEMENTS
    if said * 2 == right and unit == "bytes":
        too = f" (or {_named(2, sizes)} is missing)" if _named(2, sizes) else ""
        return f"too small by a factor of 2; a float64 has 8 bytes, a float32 has 4{too}"
    if said == right * 8 and unit == "bytes":
        return "too large by a factor of 8; the 8 bytes of a float64 count once"
    if said == right * 8 and unit == "elements":
        return "that is in bytes; elements were asked for, 8 bytes each"
    return ""


def _factor(said, right, sizes, unit) -> str:
    if not said or not right or said * right < 0:
        return ""
    small = abs(said) < abs(right)
    ratio = right / said if small else said / right
    word = "small" if small else "large"
    name = _named(ratio, sizes)
    if name:
        return f"too {word} by a factor of {ratio:,.0f}, which is {name}"
    if unit == "bytes" and small and (name := _named(ratio / 8, sizes)):
        return (
            f"too small by a factor of 8 bytes an element, and by {ratio / 8:,.0f}, which is {name}"
        )
    if ratio in range(2, 17):
        return f"too {word} by a factor of {int(ratio)}"
    return ""


def _term(said, right, sizes, unit) -> str:
    """One of the arrays is left out, or counted that should not be."""
    for item in (1, 8) if unit == "bytes" else (1,):
        name = _named(abs(right - said) / item, sizes, least=2)
        if name:
            amount = f"{name} = {abs(right - said) // item:,}" + (" elements" if item == 8 else "")
            if 0 < said < right:
                return f"it lacks {amount}: is one operand forgotten?"
            if said > right:
                return f"{amount} too many: what is counted there that should not be?"
    return ""


def _sum_and_product(said, right, sizes, unit) -> str:
    items = (1, 8) if unit == "bytes" else (1,)
    groups = [c for r in range(2, len(sizes) + 1) for c in itertools.combinations(sizes, r)]
    for item, group in itertools.product(items, groups):
        numbers = [sizes[name] for name in group]
        added, multiplied = item * sum(numbers), item * math.prod(numbers)
        if added == multiplied:
            continue
        if (said, right) == (added, multiplied):
            return "the sizes are added there; each meets each, so multiply them"
    arrays = [math.prod(sizes[name] for name in group) for group in groups]
    for item, (one, other) in itertools.product(items, itertools.combinations(arrays, 2)):
        if (said, right) == (item * one * other, item * (one + other)):
            return "two arrays are multiplied there; they lie side by side, so add their sizes"
    return ""


def _products(sizes: Sizes, least: int) -> Iterator[tuple[str, int]]:
    for count in range(least, len(sizes) + 1):
        for group in itertools.combinations(sizes, count):
            yield "·".join(group), math.prod(sizes[name] for name in group)


def _named(number: float, sizes: Sizes, least: int = 1) -> str:
    """The sizes, or products of sizes, that are this number: "m", "k or n", "m·k".

    Where all sizes are equal, which of them cannot be said, but how many.
    """
    if number < 2:
        return ""
    names = [name for name, value in _products(sizes, least) if value == number]
    fewest = min((name.count("·") for name in names), default=0)
    names = [name for name in names if name.count("·") == fewest]
    if len(names) > 1 and len(set(sizes.values())) == 1:
        of = f"of {', '.join(sizes)}"
        return f"{fewest + 1} {of} multiplied" if fewest else f"one {of}"
    return " or ".join(names)

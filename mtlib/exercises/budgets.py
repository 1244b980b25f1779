"""What an answer may take: loads, stores and bytes, and nothing of NumPy's that does its work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtlib.exercises.counting import Counting, Log, Whole
from mtlib.exercises.differences import numbers_of
from mtlib.exercises.explaining import Sizes, in_print, value_of
from mtlib.exercises.lines import in_line
from mtlib.exercises.verdicts import Wrong

VALUES_RIGHT = "The values are right."
_AT_ONCE = f"add up each product as soon as it is made. {VALUES_RIGHT}"


def check_wholes(log: Log, allowed: tuple[str, ...] = ()) -> None:
    """Raise Wrong where whole arrays were given to NumPy, or anything to mtlib."""
    for whole in log.wholes:
        if whole.name in allowed:
            continue
        if _is_elementwise(whole):
            raise intermediate(f"of shape {whole.shape}", in_line(whole.line))
        raise Wrong(
            f"{whole.name} is called{in_line(whole.line)}: it does the loops for you; write them "
            "out"
        )


def intermediate(what: str, where: str) -> Wrong:
    return Wrong(f"an intermediate {what} is made{where}: {_AT_ONCE}")


def _is_elementwise(whole: Whole) -> bool:
    ufunc = getattr(np, whole.name, None)
    return isinstance(ufunc, np.ufunc) and ufunc.signature is None and whole.shape != ()


def check_all_loaded(operands: dict) -> None:
    """Raise Wrong for an operand that went past the counting."""
    for name, operand in operands.items():
        if not operand.loads.all():
            raise Wrong(
                f"{name} was not read element by element; was it given as a whole to np.asarray, "
                f"or to a kernel that is not yours? {VALUES_RIGHT}"
            )


def check_made(log: Log, result, workspace: int) -> None:
    """Raise Wrong where arrays were made, beside the result, that take more than ``workspace``."""
    beside = [
        (array, line)
        for array, line in log.made
        if array.size > 1
        and not (isinstance(result, np.ndarray) and np.shares_memory(array, result))
    ]
    if sum(array.nbytes for array, _ in beside) > workspace:
        array, line = max(beside, key=lambda made: made[0].nbytes)
        raise intermediate(f"of shape {array.shape}, {array.nbytes:,} bytes,", in_line(line))


# Memory is weighed with a short and a long summed index, so that what any run takes falls away.  No
# longer one: small integers Python has ready, and np.ndindex may keep one for each index.
_SHORT, _LONG = 10, 250
_A_LIST = 20  # bytes for each further index; a list of floats takes 40, one of pointers 8


def check_growth(name: str, peak: Callable) -> None:
    """Raise Wrong where what Python holds, lists too, grows with the summed index ``name``.

    ``peak(size)`` is the most that is held at that size, and the line where.
    """
    # Twice each: other threads may take some.
    (short, _), (long, line) = (
        min((peak(size) for _ in range(2)), key=lambda run: run[0]) for size in (_SHORT, _LONG)
    )
    if long - short > _A_LIST * (_LONG - _SHORT):
        raise intermediate(f"of {long - short:,} bytes (for {name} = {_LONG})", in_line(line))


def check_counts(
    arrays: dict[str, list[Counting]], loads: str, stores: str, sizes: Sizes, outputs: int, case
) -> tuple[int, int]:
    """What was loaded and stored; Wrong if it is more than these formulas allow.

    ``arrays`` are all that were counted, by the name to tell; ``outputs`` is how many elements the
    result has.
    """
    stored, allowed = _total(arrays, "stores"), value_of(stores, sizes)
    if stored > allowed:
        again = ""
        if allowed == outputs > 0:
            again = (
                f" (each element of the result {stored / allowed:g} times): keep the total in a "
                "variable, and store it when it is done"
            )
        raise _too_many("stores", arrays, stored, stores, allowed, "", again, case)
    loaded, allowed = _total(arrays, "loads"), value_of(loads, sizes)
    if loaded > allowed:
        shares = {name: _total({name: x}, "loads") for name, x in arrays.items()}
        told = ", ".join(f"{count} of {name}" for name, count in shares.items() if count)
        raise _too_many("loads", arrays, loaded, loads, allowed, f" ({told})", "", case)
    return loaded, stored


def _too_many(what, arrays, count, formula, allowed, shares, again, case) -> Wrong:
    counts = [(name, getattr(x, what)) for name, several in arrays.items() for x in several]
    name, most = max(counts, key=lambda found: found[1].sum())
    figure = numbers_of(most)
    return Wrong(
        f"it {what} {count} numbers{shares} where {in_print(formula)} = {allowed} are enough"
        f"{again}. {VALUES_RIGHT} (For {case}.)",
        f"{what} of each element of {name}:\n{figure}" if figure else "",
    )


def _total(arrays: dict, what: str) -> int:
    return sum(int(getattr(x, what).sum()) for several in arrays.values() for x in several)

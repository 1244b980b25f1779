"""Where a result differs from what it should be, in numbers and as a small figure."""

from __future__ import annotations

import numpy as np

MOST = 12  # rows and columns of a figure


def first_wrong(got: np.ndarray, wanted: np.ndarray) -> str:
    """The first place that is wrong, what is there, what should be, and how many are.

    >>> first_wrong(np.array([1.0, 5.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    'at [1] it is 5 and should be 2; 1 of 3 is wrong'
    """
    off = wrong_places(got, wanted)
    at = tuple(int(i) for i in np.argwhere(off)[0])
    place = f"at {list(at)} it is" if at else "it is"
    count = int(off.sum())
    return (
        f"{place} {_short(got[at])} and should be {_short(wanted[at])}; "
        f"{count} of {off.size} {'is' if count == 1 else 'are'} wrong"
    )


def usual_mistake(got: np.ndarray, wanted: np.ndarray) -> str:
    """What kind of mistake gives these numbers, of those that loops often have; or nothing.

    >>> usual_mistake(np.array([1.0, 3.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    'the total is not set back to 0 before the next element of the result'
    """
    if np.isnan(got).any():
        return (
            "there is nan in the result, as where nothing was ever stored, or where something was "
            "added to what np.empty gave"
        )
    if np.allclose(got.ravel(), np.cumsum(wanted)):
        return "the total is not set back to 0 before the next element of the result"
    if got.shape == wanted.T.shape and np.allclose(got, wanted.T):
        return "the result is transposed"
    if got.size > 1 and np.isclose(got.flat[0], wanted.flat[0]) and not got.flat[1:].any():
        return "after the first element all are 0; does it return from inside the loop?"
    return factor(got, wanted)


def factor(got: np.ndarray, wanted: np.ndarray) -> str:
    """The one number by which all are multiplied, if there is one.

    >>> factor(np.array([-1.0, -2.0]), np.array([1.0, 2.0]))
    'the sign is wrong'
    >>> factor(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
    'each value is 2 times what it should be'
    """
    if got.size < 2 or not (got.all() and wanted.all()):
        return ""
    ratios = got / wanted
    if not np.allclose(ratios, ratios.flat[0]):
        return ""
    if np.isclose(ratios.flat[0], -1):
        return "the sign is wrong"
    return f"each value is {ratios.flat[0]:.3g} times what it should be"


def wrong_places(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return ~np.isclose(got, wanted, equal_nan=True)


def map_of(off: np.ndarray) -> str:
    """A figure of the places that are wrong, in one or two dimensions, if some are right.

    >>> print(map_of(np.array([[True, False], [False, True]])))
    ✘ ·
    · ✘
    """
    rows = off[None] if off.ndim == 1 else off
    if rows.ndim != 2 or off.all() or max(rows.shape) > MOST:
        return ""
    return "\n".join(" ".join("✘" if x else "·" for x in row) for row in rows)


def numbers_of(counts: np.ndarray) -> str:
    """A figure of how often each element was loaded or stored.

    >>> print(numbers_of(np.array([[1, 2], [10, 2]])))
     1  2
    10  2
    """
    rows = counts[None] if counts.ndim == 1 else counts
    if rows.ndim != 2 or not rows.size or max(rows.shape) > MOST:
        return ""
    width = len(str(rows.max()))
    return "\n".join(" ".join(f"{x:{width}}" for x in row) for row in rows)


def _short(x) -> str:
    """A number in at most six digits, without the type that NumPy puts around it."""
    return f"{x:.6g}" if np.asarray(x).dtype.kind in "fc" else str(x)

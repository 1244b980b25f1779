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

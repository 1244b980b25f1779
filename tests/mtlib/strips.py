"""Strips of other sizes than usual, so that small tensors have many, and some that are not full."""

from contextlib import contextmanager

import pytest

from mtlib.kernels.rows import strips as rows

SMALL = {"LANES": 4, "MOST": 4, "FEWEST": 2, "CLOSE": 16}


@contextmanager
def small_strips(small: bool = True):
    """Rows are dealt out to 4 lanes, and at most 4 short ones taken at once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in SMALL.items() if small else ():
            patch.setattr(rows, name, size)
        rows.arrange.cache_clear()
        try:
            yield
        finally:
            rows.arrange.cache_clear()

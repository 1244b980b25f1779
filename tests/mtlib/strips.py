"""Strips of other sizes than usual, so that small tensors have many, and some that are not full."""

from contextlib import contextmanager

import pytest

from mtlib.kernels.plans import kept, rows
from mtlib.kernels.rows import strips


@contextmanager
def small_strips(small: bool = True):
    """Rows are dealt out to 4 lanes, and at most 4 short ones taken at once."""
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(strips, "LANES", 4)
            for name, size in {"MOST": 4, "FEWEST": 2, "CLOSE": 16}.items():
                patch.setattr(rows, name, size)
        kept.rows.cache_clear()
        try:
            yield
        finally:
            kept.rows.cache_clear()

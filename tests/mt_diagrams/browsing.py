"""Whether there is a browser to look with: a test that needs one says why it is skipped."""

from functools import cache

import pytest
from mt_diagrams.svg.browser import converted, find_browser


@cache
def fault() -> str | None:
    """Why no browser can draw here; None if one can."""
    try:
        find_browser()
        converted('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>', "png")
    except (ValueError, OSError) as error:
        return str(error)
    return None


def needs_browser() -> None:
    """Skip the test, with the reason, where no browser can draw."""
    if fault():
        pytest.skip(f"no browser to look with: {fault()}")

"""Settings for every test."""

import os

from hypothesis import settings

# Before pytest imports a file of mtlib that is named to it, for its doctests: it would set the file
# as an attribute of its package, and `mtlib.fused.softmax` would be a module and no function.
import mtlib  # noqa: F401

# The same examples on every machine, so that what fails in CI fails at home. No deadline: the
# first example of a kernel compiles it.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


def pytest_configure(config):
    """Of all the processes that are started from here, coverage measures pytest's workers only.

    A notebook's kernel would never end, and the others have nothing that is not measured here.
    """
    if not getattr(config.option, "numprocesses", None):  # a worker, or there are none
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

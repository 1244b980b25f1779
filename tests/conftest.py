"""Settings for every test."""

from hypothesis import settings

# The same examples on every machine, so that what fails in CI fails at home. No deadline: the
# first example of a kernel compiles it.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")

"""Settings for the tests of mtlib."""

import pytest

from mtlib.kernels import jit


@pytest.fixture
def eager_threads(monkeypatch):
    """What would be too little work for several threads is shared out among them too."""
    monkeypatch.setattr(jit, "SMALL", 1 << 6)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "nojit: small enough to run with the kernels as plain Python (test_nojit)"
    )

"""Settings for the tests of mtlib."""

import pytest

from mtlib.fusion import execute
from mtlib.kernels import jit

from .fused_programs import PlainKernel


@pytest.fixture
def eager_threads(monkeypatch):
    """What would be too little work for several threads is shared out among them too."""
    monkeypatch.setattr(jit, "SMALL", 1 << 6)


@pytest.fixture
def plain(monkeypatch):
    """Nothing that fuse writes is compiled; the kernels that ran are put in the list."""
    ran = []

    def kernel(name, text):
        ran.append(PlainKernel(name, text))
        return ran[-1]

    monkeypatch.setattr(execute, "_kernel", kernel)
    return ran


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "nojit: small enough to run with the kernels as plain Python (test_nojit)"
    )

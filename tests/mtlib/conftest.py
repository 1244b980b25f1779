"""Settings for the tests of mtlib."""

import pytest

from mtlib.fusion import execute, frontend
from mtlib.fusion.capture import capture
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

    monkeypatch.setattr(execute, "kernel", kernel)
    return ran


@pytest.fixture
def read(monkeypatch):
    """Of each program that fuse reads, the shapes of its inputs are put in the list."""
    shapes = []

    def counted(fn, arguments):
        shapes.append([x.shape for x in arguments.tensors.values()])
        return capture(fn, arguments)

    monkeypatch.setattr(frontend, "capture", counted)
    return shapes


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "nojit: small enough to run with the kernels as plain Python (test_nojit)"
    )

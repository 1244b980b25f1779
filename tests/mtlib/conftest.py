"""Settings for the tests of mtlib."""


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "nojit: small enough to run with the kernels as plain Python (test_nojit)"
    )

"""Numbers for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Three digits, and the unit that fits.

    >>> duration(3.21e-7), duration(0.0123), duration(12)
    ('321 ns', '12.3 ms', '12.0 s')
    """
    for scale, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= 0.9995 * scale:
            return f"{digits(seconds / scale)} {unit}"
    return f"{digits(seconds / 1e-9)} ns"


def digits(value: float) -> str:
    """Three significant digits, without an exponent.

    >>> digits(1234.5), digits(12.345), digits(0.012345)
    ('1,234', '12.3', '0.012')
    """
    if value >= 99.95:
        return f"{value:,.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def amount(value: float, unit: str) -> str:
    """
    >>> amount(12.5, "kB"), amount(257, "times")
    ('12.5 kB', '257 times')
    """
    return f"{digits(value)} {unit}"

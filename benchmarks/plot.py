"""The ladder as a picture: what of the results :mod:`mt_diagrams.figures.roofline` draws."""

from __future__ import annotations

from benchmarks.tables import rate_by_size

ITEMSIZE = 8  # the ladder is in float64
NAMES = {
    "zip_reduce": "0 zip, reduce",
    "ijk": "1 i-j-k",
    "ikj": "2 i-k-j",
    "tiled": "3 tiled",
    "register_tiled": "4 register tiles",
    "threaded": "5 threaded",
}


def roofline_of(results: dict) -> dict:
    """Curves and roofs, as :func:`mt_diagrams.figures.roofline.roofline` wants them.

    Raises ``ValueError`` if the ladder was not measured.
    """
    cases = [case for case in results["cases"] if "series" in case and "seconds" in case]
    if not cases:
        raise ValueError("these results hold no ladder to draw")
    series = {case["series"]: case["threads"] for case in cases}
    curves = [
        _curve(NAMES.get(name, name), threads, rate_by_size(cases, name, "subject"))
        for name, threads in series.items()
    ]
    last = {threads: name for name, threads in series.items()}
    curves += [
        _curve("NumPy", threads, rate_by_size(cases, name, "base"))
        for threads, name in last.items()
    ]
    roofs = [
        {"threads": limit["threads"], "gflops": limit["float64"], "gbytes": limit["gbytes"]}
        for limit in results["limits"]
    ]
    return {"itemsize": ITEMSIZE, "curves": curves, "roofs": roofs}


def _curve(name: str, threads: int, rates: dict[int, float]) -> dict:
    return {"name": name, "threads": threads, "points": sorted(rates.items())}

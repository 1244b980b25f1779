"""PNG and PDF by way of a browser that is installed: the one program that draws SVG as readers see
it.  Nothing is fetched; the page it opens is a file with the figure in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
ZOOM = 2  # pixels of a PNG to one of the figure
PATIENCE = 60  # seconds
SPARE = 200  # pixels: a browser's window cannot be as small as a small figure, nor all of it page
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
)


class NoBrowser(ValueError):
    """There is none to draw with."""


def find_browser() -> str:
    """The path of a browser of the Chromium family.

    Raises:
        NoBrowser: if none is on the path.
    """
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise NoBrowser(
        "PNG and PDF are drawn by Chromium or Chrome, and none is on the PATH; install one, or "
        "write SVG"
    )


def converted(svg: str, kind: str) -> bytes:
    """An SVG as the bytes of a PNG or a PDF, at its full size.

    Args:
        svg: a figure.
        kind: ``"png"`` (transparent around the card, two pixels to one) or ``"pdf"`` (vectors, a
            page just as large as the figure).

    Raises:
        NoBrowser: if there is none.
        OSError: if the browser fails.
    """
    browser = find_browser()
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    full = f' width="{width}" height="{height}"'
    sized = re.sub(r' width="[\d.]+" height="[\d.]+"', full, svg, count=1)
    wide, high = (int(float(n) + 0.999) for n in (width, height))
    style = f"@page{{size:{wide}px {high}px;margin:0}}body{{margin:0}}svg{{display:block}}"
    with tempfile.TemporaryDirectory(prefix="mt-diagrams-", ignore_cleanup_errors=True) as scratch:
        page, out = Path(scratch, "figure.html"), Path(scratch, f"out.{kind}")
        head = f'<!doctype html><meta charset="utf-8"><style>{style}</style>'
        page.write_text(head + sized, encoding="utf-8")
        how = {
            "png": (
                f"--screenshot={out}",
                f"--window-size={wide + SPARE},{high + SPARE}",
                f"--force-device-scale-factor={ZOOM}",
                "--default-background-color=00000000",
            ),
            "pdf": (f"--print-to-pdf={out}", "--no-pdf-header-footer"),
        }[kind]
        _run([browser, *_FLAGS, f"--user-data-dir={scratch}/profile", *how, page.as_uri()])
        if not out.exists():
            raise OSError(f"{Path(browser).name} wrote no {kind.upper()}")
        content = out.read_bytes()
    return content if kind == "pdf" else _cropped(content, ZOOM * wide, ZOOM * high)


def _cropped(png: bytes, width: int, height: int) -> bytes:
    """The upper left part of a picture."""
    cropped = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        if picture.width < width or picture.height < height:
            raise OSError(
                f"the browser drew {picture.width} × {picture.height} of {width} × {height}"
            )
        picture.crop((0, 0, width, height)).save(cropped, "png")
    return cropped.getvalue()


def page_after_scripts(path: Path) -> str:
    """A page as it stands once its scripts have run."""
    with tempfile.TemporaryDirectory(prefix="mt-diagrams-", ignore_cleanup_errors=True) as scratch:
        flags = [*_FLAGS, f"--user-data-dir={scratch}", "--dump-dom"]
        return _run([find_browser(), *flags, path.as_uri()])


def _run(command: list[str]) -> str:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # as root, a browser refuses to run in one
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise OSError(f"{name} took longer than {PATIENCE} seconds") from None
    if done.returncode:
        raise OSError(f"{name} failed with exit code {done.returncode}")
    return done.stdout.decode("utf-8", "replace")

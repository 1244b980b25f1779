"""Writing a figure to a file: which format, and all of it or nothing."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

FORMATS = ("svg", "png", "pdf")
STANDARD_OUTPUT = "-"  # as a path


def format_of(path: str | os.PathLike) -> str:
    """The format that the name of a file asks for.

    >>> format_of("a.svg"), format_of("A.PNG"), format_of("a")
    ('svg', 'png', 'svg')
    """
    suffix = Path(path).suffix
    kind = suffix[1:].lower() or "svg"
    if kind not in FORMATS:
        raise ValueError(f"{path}: no figure is written as {suffix}, only .svg, .png and .pdf")
    return kind


def check_target(path: str | os.PathLike) -> None:
    """Raise OSError if nothing can be written at ``path``: no such directory, or it is one."""
    if str(path) == STANDARD_OUTPUT:
        return
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a directory, not a file to write")
    folder = Path(os.path.realpath(path)).parent  # of what a link points to
    if not path.exists() and not folder.is_dir():
        raise FileNotFoundError(f"{path}: there is no directory {folder}")


def write_whole(path: str | os.PathLike, content: str | bytes) -> None:
    """Write ``content`` to ``path``, so that a file there has all of it or what it had before.

    A link is followed.  What is no file, such as a device or a pipe, and ``-``, which is standard
    output, is written to as it is.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    check_target(path)
    try:
        if _is_standard_output(path):
            if sys.stdout is not None:
                sys.stdout.flush()
            with open(1, "wb", closefd=False) as out:
                out.write(data)
        elif _is_a_file_or_none(path):
            _replace(os.path.realpath(path), data)
        else:
            with open(path, "wb") as out:
                out.write(data)
    except OSError as error:
        raise type(error)(f"{path}: cannot be written: {error.strerror}") from None


def _is_standard_output(path: str | os.PathLike) -> bool:
    """Whether this is where standard output goes, under whatever name."""
    try:
        return str(path) == STANDARD_OUTPUT or os.path.samestat(os.stat(path), os.fstat(1))
    except OSError:
        return False  # there is no such file, or no standard output


def _is_a_file_or_none(path: str | os.PathLike) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True


def _replace(path: str, data: bytes) -> None:
    """Write to a file beside ``path``, then move it into place in one step."""
    handle, scratch = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=_folder(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(scratch, _mode(path))  # mkstemp keeps its files to their owner
        os.replace(scratch, path)
    except BaseException:
        os.unlink(scratch)
        raise


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."


def _mode(path: str) -> int:
    """Who may read and write the file: as it is, or as it would be for a new one."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask

"""Run the tests on every supported Python that is found, each in a fresh copy with its own .venv.

    python scripts/pythons.py           all tests, on each
    python scripts/pythons.py --quick   a part of them, on each but the one that runs this

A Python is looked for on the path, as python3.12, and where pyenv keeps those that are not chosen.
The copies are of what git knows or would add, and stand in a folder that is removed at the end.
`make test-pythons` runs this; exit 1 if a test fails anywhere.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", ".hypothesis")


def supported(pyproject=ROOT / "pyproject.toml"):
    """The versions that the project says it runs on, such as ["3.11", "3.12"]."""
    with open(pyproject, "rb") as file:
        asked = tomllib.load(file)["project"]["requires-python"]
    first, end = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", asked).groups()
    return [f"3.{minor}" for minor in range(int(first), int(end))]


def candidates(version):
    """Where an interpreter of this version may be: one on the path may be a shim that fails."""
    on_path = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = (pyenv / "versions").glob(f"{version}.*/bin/python{version}")
    newest_first = sorted(kept, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])
    return [*([on_path] if on_path else []), *map(str, reversed(newest_first))]


def find(version):
    """An interpreter of this version that runs and can make a virtual environment, or None."""
    code = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    for python in candidates(version):
        with contextlib.suppress(OSError):
            run = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
            if run.stdout.strip() == version:
                return python
    return None


def copy(folder):
    """The project as a fresh clone would have it, with what is not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git, or no clone
        shutil.copytree(ROOT, folder, ignore=MADE)
        return
    for name in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        if (ROOT / name).is_file():  # removed, and not committed yet
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a part, on the other Pythons")
    quick = parser.parse_args(arguments).quick
    own = "{}.{}".format(*sys.version_info)
    wanted = [version for version in supported() if not (quick and version == own)]
    ended = {}
    for version in wanted:
        python = find(version)
        if python is None:
            ended[version] = "not found"
            continue
        print(f"Python {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            copy(Path(folder) / "copy")
            command = ["make", "test", f"PYTHON={python}", *(["QUICK=1"] if quick else [])]
            failed = subprocess.run(command, cwd=Path(folder) / "copy").returncode
        ended[version] = "failed" if failed else "passed"
    print("".join(f"Python {version}: {what}\n" for version, what in ended.items()), end="")
    return int("failed" in ended.values())


if __name__ == "__main__":
    sys.exit(main())

"""Running Python in a process of its own, with an environment of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mtlib

ROOT = Path(mtlib.__file__).parents[1]


def python(*arguments, stderr=subprocess.PIPE, **environment) -> subprocess.CompletedProcess:
    """Run the interpreter from the root; a variable that is None is not set."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "COV_"))}
    env["PYTHONSAFEPATH"] = "1"  # the folder that this runs in is not searched for modules
    env |= {k: str(v) for k, v in environment.items() if v is not None}
    for name in [k for k, v in environment.items() if v is None]:
        env.pop(name, None)
    files = {"stdout": subprocess.PIPE, "stderr": stderr}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, text=True, timeout=300, **files)


def run(script: str, **environment) -> str:
    """What ``script`` prints; it must end well."""
    done = python("-c", script, **environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def copy_of_mtlib(folder: Path) -> Path:
    """A copy without caches, to be put on PYTHONPATH by naming ``folder``."""
    skip = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(Path(mtlib.__file__).parent, folder / "mtlib", ignore=skip))

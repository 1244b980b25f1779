"""Make .venv: the packages of requirements.lock, this project, and nothing else.

`make setup` runs this with the Python that the suite is to run on. Where .venv is as it should be
there is nothing to do; after a move of the folder, or with another Python, it is made afresh.

How packages are reached (a mirror, a proxy, a certificate, a cache) is taken from pip's settings,
variables and files alike. No other setting of pip's has a say: user, target, prefix and the like
would put the packages somewhere else.
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
READY = VENV / "ready"

# In requirements.lock each package has its hash, so it does not matter where it comes from.
LOCK = ROOT / "requirements.lock"

WAYS_TO_PACKAGES = (
    *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "proxy"),
    *("cert", "client-cert", "keyring-provider", "no-input", "use-feature", "use-deprecated"),
    *("timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir"),
)


def place():
    """What a .venv is bound to: its scripts hold this path, its packages are for one Python."""
    return f"{ROOT}\nPython {sys.version_info.major}.{sys.version_info.minor}\n"


def contents():
    """What a .venv is to hold."""
    files = (LOCK, ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest() + "\n"


def works():
    """Whether .venv has a Python that runs: the one that it was made from may be gone."""
    try:
        return subprocess.run([PYTHON, "-I", "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def ways_to_packages(listed):
    """The settings that count, of those that `pip config list` lists, as variables for pip."""
    found = {}
    for section in ("global", "install", ":env:"):  # the later one wins, as in pip
        for key, value in re.findall(rf"^{section}\.([a-z-]+)=(['\"].*['\"])\s*$", listed, re.M):
            if key in WAYS_TO_PACKAGES:
                name = "PIP_" + key.upper().replace("-", "_")
                found[name] = " ".join(ast.literal_eval(value).split("\n"))
    return found


def environment_for_pip():
    # These would shorten the list, and a variable goes before a file: user is also an option of
    # `pip config`, and lists one file alone.
    whole = {f"PIP_{name}": "0" for name in ("USER", "GLOBAL", "SITE", "QUIET", "VERBOSE")}
    command = [PYTHON, "-I", "-m", "pip", "config", "list"]
    listed = subprocess.run(
        command, env={**os.environ, **whole}, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return bare | ways_to_packages(listed.stdout) | {"PIP_CONFIG_FILE": os.devnull}


def install(environment, *arguments):
    options = ["--quiet", "--disable-pip-version-check"]
    command = [PYTHON, "-I", "-m", "pip", "install", *options, *arguments]
    if subprocess.run(command, env=environment, cwd=ROOT).returncode:
        sys.exit("The packages could not be installed: pip's message is above.")


def main():
    same_place = READY.is_file() and READY.read_text("utf-8").startswith(place()) and works()
    if same_place and READY.read_text("utf-8") == place() + contents():
        return
    print(f"installing what {LOCK.name} names into .venv", flush=True)
    READY.unlink(missing_ok=True)
    if not same_place:  # also after a set-up that was interrupted
        try:
            venv.create(VENV, clear=True, symlinks=True, with_pip=True)
        except ValueError as error:  # a path that no venv can have
            sys.exit(str(error))
    environment = environment_for_pip()
    install(environment, "--require-hashes", "-r", LOCK.name)
    # A second step, since a hashed file cannot hold the project itself.
    install(environment, "--no-deps", "--no-build-isolation", "-e", ".")
    READY.write_text(place() + contents(), encoding="utf-8")


if __name__ == "__main__":
    main()

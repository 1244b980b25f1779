"""environment.yml, for conda and Binder, against requirements.lock, for pip."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", LOCK, re.MULTILINE))
CONDA, PIP = [], []
for entry in yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]:
    PIP.extend(entry["pip"]) if isinstance(entry, dict) else CONDA.append(entry)

NO_NETWORK = ("NameResolutionError", "Temporary failure in name", "Network is unreachable")


def pins():
    """Every pinned (name, version), but for Python and pip, which the lock does not hold."""
    for entry in [*CONDA, *PIP]:
        if entry not in ("python=3.11", "pip", "-e ."):
            yield re.fullmatch(r"([a-z0-9._-]+)==?([^=\s]+)", entry).groups()


def test_pins_are_those_of_the_lock():
    assert dict(pins()) == {name: LOCKED.get(name) for name, _ in pins()}


def test_everything_the_project_asks_for_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["notebooks"], *extras["dev"]]
    assert {re.match(r"[\w-]+", entry)[0] for entry in asked} <= dict(pins()).keys()


def test_the_unrelated_mt_diagrams_is_nowhere():
    assert not {"mt-diagrams", "mt_diagrams"} & {name.lower() for name in LOCKED | dict(pins())}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The pip part, as conda hands it to pip, in a fresh virtual environment (about 30 seconds).

    What conda itself would bring (numpy, numba) comes from pip here, held to the lock.
    """
    folder = tmp_path_factory.mktemp("environment")
    requirements, constraints = folder / "requirements.txt", folder / "constraints.txt"
    requirements.write_text("\n".join(PIP) + "\n", encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9._-]+==[^\\\n]+", LOCK, re.MULTILINE)
    constraints.write_text("\n".join(pinned) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "-r", requirements, "-c", constraints]
    install = subprocess.run(pip, cwd=ROOT, capture_output=True, text=True)
    if install.returncode and any(sign in install.stderr for sign in NO_NETWORK):
        pytest.skip("the packages of environment.yml cannot be fetched: no network")
    assert install.returncode == 0, install.stderr
    return python


def test_the_pip_part_imports(environment, tmp_path):
    code = "import mtlib, mt_diagrams, chalk, nbval; print(mtlib.__file__, mt_diagrams.__file__)"
    run = subprocess.run(
        [environment, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count(str(ROOT)) == 2


def test_the_pip_part_holds_to_the_lock(environment):
    freeze = [environment, "-m", "pip", "list", "--format=freeze", "--exclude-editable"]
    listed = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    installed = dict(line.lower().replace("_", "-").split("==") for line in listed.split())
    for name in ("pip", "setuptools"):  # venv's own
        installed.pop(name, None)
    assert installed == {name: LOCKED.get(name) for name in installed}


def test_binder_can_run_post_build(environment, tmp_path):
    assert os.access(ROOT / "postBuild", os.X_OK)
    path = f"{environment.parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "postBuild"],
        cwd=ROOT,
        env={"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr

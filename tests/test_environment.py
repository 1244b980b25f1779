"""One lock for every supported Python; environment.yml, for conda and Binder, follows it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import pythons

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", LOCK, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA, PIP = [], []
for entry in yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]:
    PIP.extend(entry["pip"]) if isinstance(entry, dict) else CONDA.append(entry)

NO_NETWORK = ("NameResolutionError", "Temporary failure in name", "Network is unreachable")


def pins():
    """Every pinned (name, version), but for Python and pip, which the lock does not hold."""
    for entry in [*CONDA, *PIP]:
        if entry not in (f"python{PROJECT['requires-python']}", "pip", "-e ."):
            yield re.fullmatch(r"([a-z0-9._-]+)==?([^=\s]+)", entry).groups()


def test_pins_are_those_of_the_lock():
    assert dict(pins()) == {name: LOCKED.get(name) for name, _ in pins()}


def test_everything_the_project_asks_for_is_there():
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["notebooks"], *extras["dev"]]
    assert {re.match(r"[\w-]+", entry)[0] for entry in asked} <= dict(pins()).keys()


def locked_for(version):
    """What pip takes from the lock on Linux with this Python, as {name: version}."""
    where = {"python_version": version, "python_full_version": f"{version}.9"}
    where |= {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"}
    taken = {}
    for line in re.findall(r"^[a-z0-9._-]+==[^\\\n]+", LOCK, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(where):
            assert requirement.name not in taken, f"{requirement.name} twice for {version}"
            taken[requirement.name] = str(requirement.specifier).removeprefix("==")
    return taken


@pytest.mark.parametrize("version", pythons.supported())
def test_the_lock_holds_all_for_every_python(version):
    locked = locked_for(version)
    extras = PROJECT["optional-dependencies"].values()
    for entry in [*PROJECT["dependencies"], *(entry for extra in extras for entry in extra)]:
        asked = Requirement(entry)
        assert asked.specifier.contains(locked[canonicalize_name(asked.name)])


def test_the_lock_names_no_host_and_hashes_all():
    assert "://" not in LOCK
    entries = re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_place_names_the_same_pythons():
    """And a version is added in all of them at once."""
    versions = pythons.supported()
    assert f"{versions[0]}.0" in SpecifierSet(PROJECT["requires-python"])
    said = f"{', '.join(versions[:-1])} or {versions[-1]}"
    for name in ("Makefile", "README.md"):
        assert f"Python {said}" in (ROOT / name).read_text(encoding="utf-8")
    classifiers = [f"Programming Language :: Python :: {version}" for version in versions]
    assert [c for c in PROJECT["classifiers"] if re.search(r":: 3\.", c)] == classifiers
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tools["ruff"]["target-version"] == f"py{versions[0].replace('.', '')}"


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

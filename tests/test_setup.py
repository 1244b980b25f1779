"""`make setup` and what stands on it: the Python that it takes, and that no shell gets in."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import environment

from .stubs import FAILS, stub

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

AWKWARD = "it's a folder, é #5 %d"


RECORDS = f"""exec '{sys.executable}' -I -c '
import json, os, sys
with open(os.environ["RECORD"], "a") as file:
    print(json.dumps([sys.argv[1:], dict(os.environ)]), file=file)' "$0" "$@" """


@pytest.fixture
def make(tmp_path):
    """Run make in a folder that holds the Makefile and a .venv whose Python only records."""
    folder, path, record = tmp_path / AWKWARD, tmp_path / "bin", tmp_path / "record"
    stub(folder / ".venv" / "bin" / "python", RECORDS)
    shutil.copy(ROOT / "Makefile", folder)
    path.mkdir()

    def run(*arguments, **variables):
        """How it ended, and each call of a Python as (arguments, environment)."""
        record.write_text("")
        kept = {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
        ended = subprocess.run(
            ["make", "-C", folder, *arguments],
            env=kept | {"RECORD": str(record)} | variables,
            capture_output=True,
            text=True,
        )
        return ended, [json.loads(line) for line in record.read_text().splitlines()]

    run.folder, run.path = folder, path
    return run


# The Python that it takes


def taken(calls):
    """The interpreter that was handed the set-up, by its name."""
    (python,) = {Path(said[0]).name for said, _ in calls if said[-1] == "scripts/environment.py"}
    return python


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        ([], "python3.13"),
        (["python3.13"], "python3.12"),
        (["python3.13", "python3.12"], "python3.11"),
        (["python3.13", "python3.12", "python3.11"], "python3"),
    ],
)
def test_the_newest_python_that_runs_is_taken(make, fail, expected):
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        stub(make.path / name, FAILS if name in fail else RECORDS)
    ended, calls = make("setup")
    assert ended.returncode == 0, ended.stderr
    assert taken(calls) == expected
    assert "not found" not in ended.stderr


def test_the_python_of_venv_is_taken_again(make):
    """A newer one that was installed since does not start .venv afresh."""
    own = stub(make.path / "own python", RECORDS)
    stub(make.path / "python3.13", RECORDS)
    config = make.folder / ".venv" / "pyvenv.cfg"
    config.write_text(f"home = /\nexecutable = {own}\n")
    assert taken(make("setup")[1]) == "own python"
    stub(own, FAILS)  # gone or broken
    assert taken(make("setup")[1]) == "python3.13"


def test_a_python_that_is_named_is_taken(make):
    stub(make.path / "python3.13", RECORDS)
    named = stub(make.path / "my own", RECORDS)
    assert taken(make("setup", f"PYTHON={named}")[1]) == "my own"
    assert taken(make("setup", PYTHON=str(named))[1]) == "my own"


@pytest.mark.parametrize("name", [None, "python3.6"])
def test_without_a_supported_python_it_says_which_there_are(make, name):
    for each in ("python3.13", "python3.12", "python3.11", "python3", "python3.6"):
        stub(make.path / each, FAILS)
    ended, calls = make("setup", *([f"PYTHON={name}"] if name else []))
    assert ended.returncode != 0
    assert calls == []
    assert (
        "Python 3.11, 3.12 or 3.13 with its venv module is needed, "
        f"and '{name or 'python3'}' is not it. "
        "Install one, or name it: make setup PYTHON=/path/to/python3.13" in ended.stderr
    )


def fits(version):
    """Whether the Makefile's own test lets a Python of this version through."""
    (test,) = re.findall(r"^FITS := (.+)$", MAKEFILE, re.MULTILINE)
    (supported,) = re.findall(r"^SUPPORTED := (.+)$", MAKEFILE, re.MULTILINE)
    test = test.replace("$(SUPPORTED)", supported)
    code = f"import sys; sys.version_info = {version}; {test}"
    return subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0


def test_a_python_is_judged_by_its_version():
    assert fits((3, 11, 0))
    assert fits((3, 13, 9))
    assert not fits((3, 10, 13))
    assert not fits((3, 14, 0))
    assert not fits((3, 1, 1))
    assert not fits((2, 7, 18))


# What a shell may hold for other work

LEAKS = {
    "PYTHONPATH": "/lib",
    "PYTHONHOME": "/nowhere",
    "PYTHONSTARTUP": "/start.py",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONNOUSERSITE": "1",
    "PYTEST_ADDOPTS": "--nonsense",
    "PYTEST_PLUGINS": "nothing",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "COVERAGE_FILE": "/elsewhere",
    "COVERAGE_RCFILE": "/elsewhere",
    "COVERAGE_PROCESS_START": "/elsewhere",
    "HYPOTHESIS_STORAGE_DIRECTORY": "/elsewhere",
    "RUFF_CONFIG": "/elsewhere",
    "HATCH_BUILD_HOOKS_ENABLE": "1",
    "NUMBA_OPT": "0",
    "NUMBA_BOUNDSCHECK": "1",
    "JUPYTER_PATH": "/kernels",
    "JUPYTER_CONFIG_PATH": "/elsewhere",
    "JUPYTER_PREFER_ENV_PATH": "0",
    "JUPYTERLAB_DIR": "/elsewhere",
    "IPYTHON_DIR": "/elsewhere",
    "VIRTUAL_ENV": "/venv",
    "CONDA_PREFIX": "/conda",
    "FORCE_COLOR": "1",
    "PY_COLORS": "1",
    "GIT_DIR": "/elsewhere",
    "QUICK": "1",
    "ONLY": "mtlib",
}


@pytest.mark.parametrize("target", ["setup", "lab", "test", "notebooks", "figures", "bench"])
def test_nothing_leaks_in_from_the_shell(make, target):
    for name in ("python3.13", "python3"):
        stub(make.path / name, RECORDS)
    plain, leaky = make(target), make(target, **LEAKS)
    for ended, calls in (plain, leaky):
        assert ended.returncode == 0, ended.stderr
        assert calls

    def environments(calls):
        # Make's own count of levels and the like are the same in both; make looks at these two.
        ours = {"QUICK", "ONLY"}
        return [{k: v for k, v in env.items() if k not in ours} for _, env in calls]

    searched = [said for said, _ in leaky[1] if said[1:3] == ["-I", "-c"]]
    done = [call for call in leaky[1] if call[0] not in searched]
    assert [said for said, _ in done] == [
        said for said, _ in plain[1] if said[1:3] != ["-I", "-c"]
    ]  # the same commands, with
    assert environments(done) == environments(
        [call for call in plain[1] if call[0][1:3] != ["-I", "-c"]]
    )  # the same variables


def test_a_part_of_the_tests(make):
    """What ``ONLY`` names, which is a part of the whole; anything else is refused at once."""
    stub(make.path / "python3.13", RECORDS)
    configured = re.search(r"^testpaths = (.*)$", (ROOT / "pyproject.toml").read_text(), re.M)[1]
    for name in ("mtlib", "figures", "notebooks"):
        ended, calls = make("test", f"ONLY={name}")
        assert ended.returncode == 0, ended.stderr
        paths = calls[-1][0][calls[-1][0].index("loadfile") + 1 :]
        assert paths
        for path in paths:
            assert (ROOT / path).is_dir()
            assert path.startswith("tests/") or f'"{path}"' in configured
    ended, calls = make("test", "ONLY=figure")
    assert ended.returncode != 0
    assert "ONLY=figure is none of mtlib, figures and notebooks" in ended.stderr
    assert not calls


def test_a_readers_own_settings_of_jupyterlab_are_kept(make):
    stub(make.path / "python3.13", RECORDS)
    settings = {
        "JUPYTER_CONFIG_DIR": "/mine",
        "JUPYTER_DATA_DIR": "/mine",
        "NUMBA_NUM_THREADS": "1",
    }
    _, calls = make("lab", **settings)
    assert settings.items() <= calls[-1][1].items()
    _, calls = make("test", **settings)
    assert calls[-1][1]["JUPYTER_CONFIG_DIR"] == f"{make.folder}/.venv/jupyter"
    assert calls[-1][1]["NUMBA_NUM_THREADS"] == "1"


def test_lab_serves_this_folder_whatever_its_name(make):
    stub(make.path / "python3.13", RECORDS)
    _, calls = make("lab")
    assert f"--ServerApp.root_dir={make.folder}" in calls[-1][0]


# pip's settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Write a pip.conf; the variables that pip is then run with."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(environment, "PYTHON", Path(sys.executable))

    def result(config):
        (tmp_path / "pip.conf").write_text(config)
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        found = environment.environment_for_pip()
        return {name: value for name, value in found.items() if name.startswith("PIP_")}

    return result


def test_the_way_to_packages_is_kept_and_nothing_else(settings, monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_QUIET", "3")
    monkeypatch.setenv("PIP_PROXY", "http://proxy.example:1")
    found = settings(
        "[global]\nindex_url = https://first.example/wheels\nquiet = 2\nno-binary = :all:\n"
        "find-links = /wheels\n  /more wheels\ntimeout = 99\n"
        "[install]\nindex-url = https://mirror.example/wheels\nuser = true\nprefix = /elsewhere\n"
        "[list]\nformat = json\n"
    )
    assert (
        found.items()
        >= {
            "PIP_INDEX_URL": "https://mirror.example/wheels",
            "PIP_PROXY": "http://proxy.example:1",
            "PIP_TIMEOUT": "99",
            "PIP_CONFIG_FILE": os.devnull,
        }.items()
    )
    assert found["PIP_FIND_LINKS"] == "/wheels /more wheels"
    unwanted = {"USER", "TARGET", "PREFIX", "NO_BINARY", "QUIET", "FORMAT"}
    assert not {f"PIP_{name}" for name in unwanted} & found.keys()


def test_a_variable_goes_before_the_file(settings, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/'quoted'")
    found = settings("[install]\nindex-url = https://file.example\n")
    assert found["PIP_INDEX_URL"] == "https://variable.example/'quoted'"


# A whole set-up, of a project small enough to need no network

BACKEND = """
import zipfile

def wheel(folder, name, module, content):
    file = f"{name}-1-py3-none-any.whl"
    info = f"{name}-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{file}", "w") as made:
        made.writestr(module, content)
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n")
        kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        made.writestr(f"{info}/WHEEL", kind)
        made.writestr(f"{info}/RECORD", "")
    return file

def build_editable(folder, settings=None, metadata=None):
    return wheel(folder, "project", "project.py", "")
"""


@pytest.fixture
def project(tmp_path):
    """The folder of a project with a locked dependency, and a pip.conf that leads to it only."""
    folder, wheels = tmp_path / AWKWARD, tmp_path / "wheels"
    (folder / "scripts").mkdir(parents=True)
    wheels.mkdir()
    shutil.copy(ROOT / "scripts" / "environment.py", folder / "scripts")
    (folder / "backend.py").write_text(BACKEND)
    names = {}
    exec(BACKEND, names)
    file = wheels / names["wheel"](wheels, "dependency", "dependency.py", "")
    hashed = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "hash", file], capture_output=True, text=True
    ).stdout.split()[-1]
    (folder / "requirements.lock").write_text(f"dependency==1 \\\n    {hashed}\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "project"\nversion = "1"\n'
    )
    (tmp_path / "pip.conf").write_text(
        f"[global]\nno-index = true\nfind-links = {wheels.as_uri()}\n"
        f"[install]\nuser = true\nno-binary = :all:\nconstraint = {tmp_path}/gone.txt\n"
    )
    return folder


def set_up(folder):
    leaks = {"PIP_PREFIX": folder.parent / "elsewhere", "PIP_TARGET": folder.parent / "elsewhere"}
    leaks |= {"PIP_CONFIG_FILE": folder.parent / "pip.conf", "PIP_REQUIRE_HASHES": "1"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-I", "scripts/environment.py"],
        cwd=folder,
        env=own | {name: str(value) for name, value in leaks.items()},
        capture_output=True,
        text=True,
    )


def test_a_set_up_from_first_to_last(project):
    lock, left_over = project / "requirements.lock", project / ".venv" / "left over"

    def imported_from():
        code = "import dependency, project; print(dependency.__file__)"
        command = [project / ".venv" / "bin" / "python", "-I", "-c", code]
        return subprocess.run(command, cwd="/", capture_output=True, text=True).stdout.strip()

    right = lock.read_text()
    lock.write_text(re.sub("sha256:....", "sha256:0000", right))
    ended = set_up(project)
    assert ended.returncode == 1
    assert ended.stderr.endswith("The packages could not be installed: pip's message is above.\n")
    left_over.touch()

    lock.write_text(right)
    ended = set_up(project)
    assert ended.returncode == 0, ended.stderr
    assert imported_from().startswith(str(project / ".venv"))
    assert not (project.parent / "elsewhere").exists()
    assert not left_over.exists()  # what did not come to its end is begun anew
    assert set_up(project).stdout == ""  # nothing to do

    left_over.touch()
    with open(project / "pyproject.toml", "a") as file:
        file.write("# changed\n")
    ended = set_up(project)
    assert ended.stdout
    assert ended.returncode == 0, ended.stderr
    assert left_over.exists()  # not anew: what is installed need not be fetched again

    project = project.rename(project.with_name("moved"))
    assert set_up(project).stdout
    assert imported_from().startswith(str(project / ".venv"))

"""The wheel that pip makes and installs: what is in it, that it works alone, and that it goes."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"mtlib": ROOT / "mtlib", "mt_diagrams": ROOT / "diagrams" / "mt_diagrams"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-I", "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    run = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (file,) = folder.iterdir()
    return file


def test_it_holds_the_two_packages_and_nothing_else(wheel):
    sources = {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    assert names == sources


@pytest.fixture
def installed(wheel, tmp_path):
    """The wheel in a virtual environment that borrows the packages it needs, and a home."""
    venv, home = tmp_path / "venv", tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    # The folder as such: the .pth in it that leads to this project's source is not read.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    environment = {"HOME": str(home), "PIP_CONFIG_FILE": "/dev/null"}

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def python(code):
        return run(venv / "bin" / "python", "-c", code)

    def pip(*arguments):
        status, said = run(sys.executable, "-I", "-m", "pip", "--python", venv, *arguments)
        assert status == 0, said

    pip("install", "--no-deps", "--no-index", wheel)
    python.pip, python.venv, python.site = pip, venv, site
    return python


def test_it_works_alone_and_goes_without_a_trace(installed):
    status, said = installed(
        "import mtlib, mt_diagrams\n"
        "print(mtlib.__file__, mt_diagrams.__file__)\n"
        "print((mtlib.ones(2, 3) @ mtlib.ones(3, 2)).tolist())\n"
        "print(mt_diagrams.image_matmul_simple((2, 3), (3, 2)))"
    )
    assert status == 0, said
    assert said.count(str(installed.venv)) == 2
    assert "[[3.0, 3.0], [3.0, 3.0]]" in said
    command = installed.venv / "bin" / "mt-diagrams"
    run = subprocess.run([command, "list"], capture_output=True, text=True)
    assert "matmul-full" in run.stdout

    installed.pip("uninstall", "--yes", "fusing-operations")
    assert not command.exists()
    for name in PACKAGES:
        status, said = installed(f"import {name}")
        assert f"No module named '{name}'" in said
        assert not (installed.site / name).exists()


def test_kernels_are_kept_with_what_is_the_users(installed):
    """A folder shared by many, or not to be written to, stays as it was installed."""
    use = "import mtlib; (mtlib.ones(2, 3) + 1).numpy()"
    assert installed(use) == (0, "")
    assert not list(installed.venv.rglob("*.nb[ic]"))
    assert list((installed.venv.parent / "home").rglob("*.nbc"))

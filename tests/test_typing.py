"""What type checkers and editors are told is true, and enough for those who use the suite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SETTINGS = """
[mypy]
strict = True
[mypy-chalk.*,numba.*,llvmlite.*,jupytext.*]
ignore_missing_imports = True
[mypy-mtlib.*,mt_diagrams.*]
ignore_errors = True
"""


@pytest.fixture
def check(tmp_path):
    """Run a module of mypy's where it leaves nothing behind; what it says if it finds fault."""
    settings = tmp_path / "mypy.ini"
    settings.write_text(SETTINGS)
    packages = os.pathsep.join([str(ROOT), str(ROOT / "diagrams")])

    def run(module: str, option: str, *arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", module, option, str(settings), *arguments],
            env=os.environ | dict.fromkeys(["MYPYPATH", "PYTHONPATH"], packages),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return "" if ended.returncode == 0 else ended.stdout + ended.stderr

    return run


def test_a_readers_program(check, tmp_path):
    """Its types are those it asserts; what it says must be noticed is (an ignore without need
    is an error), and would be if the program did not say so."""
    program = (ROOT / "tests" / "typing" / "reader.py").read_text(encoding="utf-8")
    (tmp_path / "reader.py").write_text(program, encoding="utf-8")
    assert check("mypy", "--config-file", "--explicit-package-bases", "reader.py") == ""
    (tmp_path / "wrong.py").write_text("import mtlib\n\nmtlib.ones(2).expp()\n")
    assert '"Tensor" has no attribute "expp"' in check(
        "mypy", "--config-file", "--explicit-package-bases", "wrong.py"
    )


def test_the_stub_of_tensor_is_true(check):
    """Names, signatures and defaults in ``mtlib/tensor.pyi`` are those of the class."""
    assert check("mypy.stubtest", "--mypy-config-file", "mtlib.tensor") == ""

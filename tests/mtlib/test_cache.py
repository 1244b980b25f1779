"""Compiled kernels are kept on disk where that is possible, and never past their time."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from .processes import copy_of_mtlib, python, run

SUM = """
import numpy as np
import mtlib
from mtlib.kernels import elementwise

t = mtlib.arange(4)
a = t[1:]
print((a + a).tolist(), sum(elementwise.add.serial.stats.cache_hits.values()))
print(mtlib.__file__)
"""


@pytest.fixture
def copied(tmp_path):
    """A copy of mtlib, and the arguments that make a process use it."""
    folder = copy_of_mtlib(tmp_path)
    environment = {"PYTHONPATH": tmp_path, "HOME": tmp_path / "home", "XDG_CACHE_HOME": None}

    def sums(**more) -> str:
        first, place = run(SUM, **(environment | more)).splitlines()
        assert place.startswith(str(tmp_path))
        return first

    return folder, sums


def edit(path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_second_process_need_not_compile(copied):
    folder, sums = copied
    assert sums() == "[2.0, 4.0, 6.0] 0"
    assert list((folder / "kernels" / "__pycache__").glob("*.nbc"))
    assert sums() == "[2.0, 4.0, 6.0] 1"


def test_an_edit_changes_the_result_of_the_next_process(copied):
    """Also of a function in another file than the kernel that calls it."""
    folder, sums = copied
    assert sums() == "[2.0, 4.0, 6.0] 0"
    add = "def add(x, y):\n    return x + y"
    edit(folder / "kernels" / "scalars.py", add, add + " + 10")
    assert sums() == "[12.0, 14.0, 16.0] 0"
    start = "at = table[operand, 0]"
    edit(folder / "kernels" / "walk.py", start, start + " * (operand != 2)")  # of the left operand
    assert sums() == "[11.0, 13.0, 15.0] 0"
    assert sums() == "[11.0, 13.0, 15.0] 1"


class TestNowhereToWrite:
    """A file stands where a folder would have to be made: that stops the superuser too."""

    def test_a_read_only_installation_uses_the_home(self, copied, tmp_path):
        folder, sums = copied
        (folder / "kernels" / "__pycache__").write_text("")
        assert sums() == "[2.0, 4.0, 6.0] 0"
        assert list((tmp_path / "home").rglob("*.nbc"))
        assert sums() == "[2.0, 4.0, 6.0] 1"

    def test_a_read_only_installation_without_a_home(self, copied, tmp_path):
        folder, sums = copied
        (folder / "kernels" / "__pycache__").write_text("")
        (tmp_path / "home").write_text("")
        for _ in "ab":  # compiled anew in each process
            assert sums() == "[2.0, 4.0, 6.0] 0"
        assert not list(tmp_path.rglob("*.nbc"))

    def test_no_home_at_all(self, copied):
        _, sums = copied
        assert sums(HOME=None) == "[2.0, 4.0, 6.0] 0"

    def test_a_cache_directory_that_cannot_be_made(self, copied, tmp_path):
        _, sums = copied
        (tmp_path / "file").write_text("")
        assert sums(NUMBA_CACHE_DIR=tmp_path / "file" / "below") == "[2.0, 4.0, 6.0] 0"


# A disk so slow that the steps of two processes are sure to fall between each other: each looks at
# the cache before the other has written there, and who is first to write is last to be done.
SLOW = """
import time
from numba.core.caching import IndexDataCacheFile
save_index, save_data = IndexDataCacheFile._save_index, IndexDataCacheFile._save_data
IndexDataCacheFile._save_index = lambda *a: (time.sleep({index}), save_index(*a))
IndexDataCacheFile._save_data = lambda *a: (time.sleep({data}), save_data(*a))
"""
TWO = """
import mtlib
a, b = mtlib.tensor([6.0]), mtlib.tensor([2.0])
calls = {"mul": lambda: a * b, "div": lambda: a / b}
"""


def test_processes_that_compile_at_once_do_not_get_each_others_kernels(tmp_path):
    environment = {"NUMBA_CACHE_DIR": tmp_path}
    scripts = [
        SLOW.format(index=1, data=2) + TWO + "calls['mul']()",
        SLOW.format(index=1.5, data=0) + TWO + "calls['div']()",
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda script: run(script, **environment), scripts))
    after = TWO + "print(calls['mul']().item(), calls['div']().item())"
    assert run(after, **environment) == "12.0 3.0\n"


class TestWhatItSays:
    """A line for who waits at a terminal while kernels are compiled; nothing anywhere else."""

    SCRIPT = "import mtlib; a = mtlib.ones(3); (a + a) * a; a.to('float32') + 1"

    def on_a_terminal(self, **environment) -> str:
        pty = pytest.importorskip("pty")
        ours, theirs = pty.openpty()
        with open(ours, "rb", buffering=0) as screen, open(theirs, "wb") as terminal:
            run(self.SCRIPT, stderr=terminal, **environment)
            terminal.write(b"end")
            terminal.flush()
            shown = b""
            while not shown.endswith(b"end"):
                shown += screen.read(1000)
        return shown.decode().removesuffix("end")

    def test_one_line_on_a_terminal_and_only_while_compiling(self, tmp_path):
        said = self.on_a_terminal(NUMBA_CACHE_DIR=tmp_path)
        assert said == "mtlib: compiling kernels, once per installation (seconds each) …\r\n"
        assert self.on_a_terminal(NUMBA_CACHE_DIR=tmp_path) == ""

    def test_nothing_where_output_is_kept(self, tmp_path):
        done = python("-c", self.SCRIPT, NUMBA_CACHE_DIR=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""Compiled kernels are kept on disk where that is possible, and never past their time."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtlib.kernels import jit

from .processes import copy_of_mtlib, python, run

SUM = """
import numpy as np
import mtlib
from mtlib.ops import zips

t = mtlib.arange(4)
a = t[1:]
print((a + a).tolist(), sum(zips.Add.kernel.serial.stats.cache_hits.values()))
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
    assert list((folder / "kernels").rglob("*.nbc"))
    assert sums() == "[2.0, 4.0, 6.0] 1"


def test_an_edit_changes_the_result_of_the_next_process(copied):
    """Also of a function in another file than the kernel that calls it."""
    folder, sums = copied
    assert sums() == "[2.0, 4.0, 6.0] 0"
    add = "def add(x, y):\n    return x + y"
    edit(folder / "kernels" / "functions" / "scalars.py", add, add + " + 10")
    assert sums() == "[12.0, 14.0, 16.0] 0"
    start = "at = table[operand, 0]"
    strided = folder / "kernels" / "plans" / "strided.py"
    edit(strided, start, start + " * (operand != 2)")  # of the left operand
    assert sums() == "[11.0, 13.0, 15.0] 0"
    assert sums() == "[11.0, 13.0, 15.0] 1"


class TestNowhereToWrite:
    """A file stands where a folder would have to be made: that stops the superuser too."""

    def test_a_read_only_installation_uses_the_home(self, copied, tmp_path):
        folder, sums = copied
        (folder / "kernels" / "strided" / "__pycache__").write_text("")
        assert sums() == "[2.0, 4.0, 6.0] 0"
        assert list((tmp_path / "home").rglob("*.nbc"))
        assert sums() == "[2.0, 4.0, 6.0] 1"

    def test_a_read_only_installation_without_a_home(self, copied, tmp_path):
        folder, sums = copied
        (folder / "kernels" / "strided" / "__pycache__").write_text("")
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

    def test_a_disk_that_fills(self, tmp_path):
        """A kernel of which not all can be written is that of this process, and leaves no file."""
        pytest.importorskip("resource")
        full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
        for _ in "ab":
            printed = run(full + SUM, NUMBA_CACHE_DIR=tmp_path)
            assert printed.startswith("[2.0, 4.0, 6.0] 0\n")
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


TWO = """
import mtlib
from mtlib.ops import zips
a, b = mtlib.tensor([6.0]), mtlib.tensor([2.0])
calls = {"mul": lambda: a * b, "div": lambda: a / b}
"""


class TestHarmedFiles:
    """Whatever befell the file of a kernel: it is compiled and written anew."""

    @pytest.mark.parametrize(
        "harm",
        [
            lambda content: b"",
            lambda content: content[:1],
            lambda content: content[: len(content) // 2],
            lambda content: content[:-1],
            lambda content: content[:60] + b"??" + content[62:],
            lambda content: bytes(len(content)),
            lambda content: b"garbage" * 100,
        ],
        ids=["emptied", "a byte", "half", "all but a byte", "two bytes wrong", "zeros", "garbage"],
    )
    def test_is_read_no_further(self, tmp_path, harm):
        file = jit._CacheFile(tmp_path, "kernel", "stamp")
        file.save("key", list(range(50)))
        (path,) = tmp_path.iterdir()
        path.write_bytes(harm(path.read_bytes()))
        assert file.load("key") is None
        file.save("key", list(range(50)))
        assert file.load("key") == list(range(50))
        assert file.load("another key") is None
        assert list(tmp_path.iterdir()) == [path]

    def test_is_compiled_again(self, tmp_path):
        for hits in (0, 1):
            printed = run(SUM, NUMBA_CACHE_DIR=tmp_path)
            assert printed.startswith(f"[2.0, 4.0, 6.0] {hits}\n")
        (path,) = tmp_path.rglob("*.nbc")
        path.write_bytes(path.read_bytes()[:5000])
        for hits in (0, 1):
            printed = run(SUM, NUMBA_CACHE_DIR=tmp_path)
            assert printed.startswith(f"[2.0, 4.0, 6.0] {hits}\n")

    def test_the_file_of_another_kernel_is_not_taken_for_it(self, tmp_path):
        """Though the two are of one signature, and it is whole."""
        for name in ("mul", "div"):
            run(TWO + f"calls['{name}']()", NUMBA_CACHE_DIR=tmp_path / name)
        (mul,), (div,) = ((tmp_path / name).rglob("*.nbc") for name in ("mul", "div"))
        mul.write_bytes(div.read_bytes())
        script = TWO + "print(calls['mul']().item())"
        assert run(script, NUMBA_CACHE_DIR=tmp_path / "mul") == "12.0\n"


# A disk so slow that the steps of two processes are sure to fall between each other: each looks at
# the cache before the other has written there.
SLOW = """
import time
from mtlib.kernels import jit
save = jit._CacheFile.save
jit._CacheFile.save = lambda *a: (time.sleep({}), save(*a), time.sleep({}))
"""


def test_processes_that_compile_at_once_do_not_get_each_others_kernels(tmp_path):
    environment = {"NUMBA_CACHE_DIR": tmp_path}
    scripts = [
        SLOW.format(1, 1) + TWO + "calls['mul']()",
        SLOW.format(2, 0) + TWO + "calls['div']()",
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda script: run(script, **environment), scripts))
    kernels = "[zips.Mul.kernel, zips.Div.kernel]"
    hits = f"[sum(kernel.serial.stats.cache_hits.values()) for kernel in {kernels}]"
    after = TWO + f"print(calls['mul']().item(), calls['div']().item(), {hits})"
    assert run(after, **environment) == "12.0 3.0 [1, 1]\n"


def test_an_archive_on_the_path(tmp_path):
    """Of a .zip what was compiled is kept in the home; of a wheel it is compiled anew."""
    root = copy_of_mtlib(tmp_path / "root").parent
    archive = shutil.make_archive(str(tmp_path / "mtlib"), "zip", root)
    wheel = shutil.copy(archive, tmp_path / "mtlib-0-py3-none-any.whl")
    script = SUM + "print(mtlib.fuse(lambda x: (x * x).sum())(t).item())"
    for path, hits in [(archive, [0, 1]), (wheel, [0])]:
        environment = {"PYTHONPATH": path, "HOME": tmp_path, "XDG_CACHE_HOME": None}
        for hit in hits:
            first, place, fused = run(script, **environment).splitlines()
            assert (first, fused) == (f"[2.0, 4.0, 6.0] {hit}", "14.0")
            assert place.startswith(str(path))


# Numba hands the machine code on in a function that C calls, and C swallows an interrupt there.
INTERRUPTED = """
import _thread, signal
from numba.core.codegen import JITCodeLibrary as Library

hook = Library._object_compiled_hook

def interrupted(*arguments):
    _thread.interrupt_main()
    for _ in range(1000):  # here the interpreter looks for signals
        pass
    hook(*arguments)

Library._object_compiled_hook = interrupted
import mtlib
a = mtlib.arange(4)
try:
    print((a + a).tolist())
except KeyboardInterrupt:
    print("interrupted")
signal.signal(signal.SIGINT, signal.SIG_IGN)
print((a + a).tolist())
"""


def test_an_interrupt_while_compiling_harms_no_later_call(tmp_path):
    printed = run(INTERRUPTED, NUMBA_CACHE_DIR=tmp_path)
    assert printed == "interrupted\n[0.0, 2.0, 4.0, 6.0]\n"


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

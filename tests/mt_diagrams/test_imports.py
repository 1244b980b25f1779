"""Who imports whom."""

import subprocess
import sys


def test_the_figure_modules_never_import_mtlib():
    code = "import sys, mt_diagrams.cli.registry; sys.exit('mtlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""``%load_ext mt_diagrams``."""

import subprocess
import sys

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from mt_diagrams.extension import picture
from traitlets.config import Config

from .svg_reading import Svg, pictures


@pytest.fixture
def shell():
    config = Config()
    config.HistoryManager.enabled = False  # nothing is written to anybody's home
    return InteractiveShell(config=config)


def test_small_tensors_show_their_values_once_it_is_loaded(shell):
    mtlib = pytest.importorskip("mtlib")
    small, large = mtlib.tensor([[1.0, 2.5]]), mtlib.zeros(64, 64)
    formats = shell.display_formatter.format
    assert set(formats(small)[0]) == {"text/plain"}
    shell.run_line_magic("load_ext", "mt_diagrams")
    data, _ = formats(small)
    assert set(data) == {"text/plain", "text/html"}
    assert {"1", "2.50", "(1, 2)", "float64"} <= set(Svg(pictures(data["text/html"])[0]).words())
    assert set(formats(large)[0]) == {"text/plain"}
    shell.run_line_magic("unload_ext", "mt_diagrams")
    assert set(formats(small)[0]) == {"text/plain"}
    shell.run_line_magic("unload_ext", "mt_diagrams")  # and a second time does no harm


def test_it_does_not_import_mtlib():
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S\n"
        "s = S(); s.run_line_magic('load_ext', 'mt_diagrams'); s.display_formatter.format(3)\n"
        "sys.exit('mtlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 2), (0, 3), (12, 12)])
def test_every_small_shape_has_a_picture(shape):
    svg = Svg(picture(np.full(shape, np.nan)).svg)
    svg.assert_inside()
    assert str(shape) in svg.words()
    assert ("nan" in svg.words()) == (0 not in shape)


def test_a_tensor_with_history_shows_too():
    mtlib = pytest.importorskip("mtlib")
    assert "2" in Svg(picture(mtlib.ones(2, requires_grad=True) * 2).svg).words()

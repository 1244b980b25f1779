"""One look for every figure: colours, type sizes and spacing, each said once.

Lengths are in cells (the side of a drawn tensor cell is 1); :data:`SCALE` turns them into pixels.
Every text colour here has a contrast of at least 4.5:1 on :data:`PAPER`, on white cells and on the
tints, so that a figure can be read on its own card whatever page it is pasted into.
"""

from __future__ import annotations

from colour import Color

SCALE = 26  # pixels to a cell
LINE = 1.1  # pixels: the outline of a cell

# Type sizes, in cells: 14, 12 and 10 pixels.
TEXT = 14 / SCALE
SMALL = 12 / SCALE
TINY = 10 / SCALE

INK = Color("#1f2a33")  # outlines and text
QUIET = Color("#55606a")  # secondary text
THREAD = Color("#8d949a")  # lines that stand back
FAINT = Color("#cfcabd")  # guide lines
PAPER = Color("#fcfbf7")  # the card a figure lies on
EDGE = Color("#dedacf")  # the card's outline
MIST = Color("#f3f0e8")  # where cells were left out
CELL = Color("#ffffff")

PAPAYA_INK = Color("#9a5200")  # papaya and aqua, dark enough to write with
AQUA_INK = Color("#1b6676")
PAPAYA_TINT = Color("#ffe3b8")  # and light enough to mean "only a copy"
AQUA_TINT = Color("#d9eef2")

# The other roles, see roles.py; each apart from all the rest for every kind of colour vision.
CORAL = Color("#f26b5e")
CORAL_TINT = Color("#fbdcd8")
LIME = Color("#bdf09c")
LIME_TINT = Color("#ebfae1")
LILAC = Color("#c47cf6")
LILAC_TINT = Color("#efe0fc")
STONE = Color("#a9a99b")

"""The grammar of colours: what a tensor is to the computation, and how that looks.

In every figure, stepper, timeline and graph a colour stands for one of these roles, and for nothing
else.  What is saved for backward keeps the colour of what it is, under a hatch.
"""

from __future__ import annotations

from dataclasses import dataclass

from colour import Color

from mt_diagrams.svg import theme
from mt_diagrams.svg.palette import aqua, papaya


@dataclass(frozen=True, eq=False)
class Role:
    """A role: what the legend calls it, and its colours.

    ``fill`` is for what is there; ``tint`` for what only repeats it, or what was reached before;
    ``ink`` for words and lines about it.
    """

    words: str
    fill: Color
    tint: Color
    ink: Color


FIRST = Role("first operand", papaya, theme.PAPAYA_TINT, theme.PAPAYA_INK)
SECOND = Role("second operand", aqua, theme.AQUA_TINT, theme.AQUA_INK)
INTERMEDIATE = Role("intermediate", theme.CORAL, theme.CORAL_TINT, theme.INK)
RESULT = Role("result", theme.LIME, theme.LIME_TINT, theme.INK)
GRADIENT = Role("gradient", theme.LILAC, theme.LILAC_TINT, theme.INK)
WORKSPACE = Role("workspace", theme.STONE, theme.MIST, theme.INK)

ROLES = (FIRST, SECOND, INTERMEDIATE, RESULT, GRADIENT, WORKSPACE)
SAVED = "saved for backward"  # the hatch, in words

# Where it is not told which operand something is: painted in the colours of both.
OPERANDS = Role("operands", papaya, theme.PAPAYA_TINT, theme.PAPAYA_INK)

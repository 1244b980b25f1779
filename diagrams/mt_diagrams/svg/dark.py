"""The dark palette: every colour of a light figure, and what it becomes on a dark card.

Figures are drawn once, in the light palette; a dark one is the same marks with other colours.  Ink
turns pale, so the grounds it is written on turn deep, each far enough for a contrast of 4.5:1.
"""

from __future__ import annotations

from colour import Color

from mt_diagrams.svg import theme
from mt_diagrams.svg.palette import aqua, grey, papaya

PALETTE = (
    (theme.INK, Color("#f3f1ea")),
    (theme.QUIET, Color("#b4bac0")),
    (theme.THREAD, Color("#838b92")),
    (theme.FAINT, Color("#444b52")),
    (theme.PAPER, Color("#16191d")),
    (theme.EDGE, Color("#3a4047")),
    (theme.MIST, Color("#20242a")),
    (theme.CELL, Color("#2a3037")),
    (theme.PAPAYA_INK, Color("#ffb454")),
    (theme.AQUA_INK, Color("#84d0df")),
    (theme.PAPAYA_TINT, Color("#47341a")),
    (theme.AQUA_TINT, Color("#0d3350")),
    (theme.CORAL, Color("#801a62")),
    (theme.CORAL_TINT, Color("#371a31")),
    (theme.LIME, Color("#0a4a1c")),
    (theme.LIME_TINT, Color("#12281a")),
    (theme.LILAC, Color("#7a22e8")),
    (theme.LILAC_TINT, Color("#2b1c4a")),
    (theme.STONE, Color("#6c6c66")),
    (papaya, Color("#b84c00")),
    (aqua, Color("#0b6cb0")),
    (grey, Color("#5a5f64")),
)
_TABLE = {light.hex_l: dark for light, dark in PALETTE}
GROUND = 0.15  # the luminance up to which pale ink has its contrast


def luminance(color: Color) -> float:
    """The relative luminance of a colour, as WCAG defines it.

    >>> luminance(Color("white")), luminance(Color("black"))
    (1.0, 0.0)
    """
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in color.rgb]
    return round(sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True)), 6)


def darkened(color: Color) -> Color:
    """What a colour of a light figure becomes on a dark card.

    Colours outside the palette, such as a reader's own, keep their hue and are made deep enough.

    >>> darkened(papaya).hex_l, darkened(Color("#00ff00")).hex_l != "#00ff00"
    ('#b84c00', True)
    """
    if color.hex_l in _TABLE:
        return _TABLE[color.hex_l]
    deep = Color(color.hex_l)
    while luminance(deep) > GROUND:
        deep.luminance = max(deep.luminance - 0.02, 0.0)
    return deep

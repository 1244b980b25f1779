"""The palette: text can be read, and colours that mean something can be told apart."""

from itertools import combinations, product

import pytest
from colour import Color
from mt_diagrams.figures.storage import _shades
from mt_diagrams.pieces.equation import color
from mt_diagrams.svg import theme
from mt_diagrams.svg.dark import PALETTE, darkened, luminance
from mt_diagrams.svg.roles import FIRST, ROLES, SECOND

INKS = (theme.INK, theme.QUIET, theme.PAPAYA_INK, theme.AQUA_INK)
PALE = (theme.PAPER, theme.CELL, theme.MIST, theme.PAPAYA_TINT, theme.AQUA_TINT)
STRONG = tuple(role.fill for role in ROLES)
TINTS = tuple(role.tint for role in ROLES)
SHADES = (*(color(1, 12)(0, n) for n in range(12)), *_shades(36))
WRITTEN = [*product(INKS, PALE), *product([theme.INK], (*STRONG, *TINTS, *SHADES))]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("change", [lambda c: c, darkened], ids=["light", "dark"])
def test_text_has_its_contrast_on_every_ground_it_stands_on(change):
    for ink, ground in WRITTEN:
        pair = change(ink), change(ground)
        assert contrast(*pair) >= 4.5, (ink, ground, pair)


@pytest.mark.parametrize("change", [lambda c: c, darkened], ids=["light", "dark"])
def test_outlines_can_be_seen(change):
    for ground in (*PALE, *STRONG):
        assert contrast(change(theme.INK), change(ground)) >= 3


def test_every_colour_of_the_theme_has_a_dark_one():
    named = {c.hex_l for c in vars(theme).values() if isinstance(c, Color)}
    assert named <= {light.hex_l for light, _ in PALETTE}


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency" (2009): severity 1, on linear RGB.
DEFICIENCIES = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
APART = 19  # CIE 1976 ΔE; about 2 is just noticeable side by side


def lab(color, matrix):
    """CIELAB (D65) of a colour as somebody with a deficiency sees it."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in color.rgb]
    seen = [min(max(sum(w * v for w, v in zip(row, linear, strict=True)), 0), 1) for row in matrix]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(w * v for w, v in zip(row, seen, strict=True)) for row in to_xyz]
    white = (0.95047, 1.0, 1.08883)
    x, y, z = (
        q ** (1 / 3) if q > 0.008856 else 7.787 * q + 16 / 116
        for q in (v / w for v, w in zip(xyz, white, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(a, b, deficiency):
    pair = (lab(c, DEFICIENCIES[deficiency]) for c in (a, b))
    return sum((x - y) ** 2 for x, y in zip(*pair, strict=True)) ** 0.5


@pytest.mark.parametrize("change", [lambda c: c, darkened], ids=["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_what_a_colour_means_is_seen_by_all(deficiency, change):
    """Every role is apart from every other, from its tint, and from a cell that has none."""
    for a, b in combinations(STRONG, 2):
        assert distance(change(a), change(b), deficiency) >= APART, (a, b)
    for role in (FIRST, SECOND):  # whose tints mean "only a copy"
        for other in (role.tint, theme.CELL):
            assert distance(change(role.fill), change(other), deficiency) >= APART, role
    for role in ROLES:
        for other in (role.tint, theme.CELL):
            assert distance(change(role.fill), change(other), deficiency) >= 12, role


def test_the_hues_of_k_are_told_apart_in_the_dark_too():
    shades = [darkened(color(1, 4)(0, n)) for n in range(4)]
    assert all(distance(a, b, "none") >= APART for a, b in combinations(shades, 2))


def test_a_readers_own_colours_turn_dark_enough():
    for name in ("#ffffff", "#ffff00", "#00ff00", "#123456", "#000000"):
        assert contrast(darkened(theme.INK), darkened(Color(name))) >= 4.5

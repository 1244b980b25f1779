"""The colours that a page of the course draws with."""

from colour import Color

papaya = Color("#ff9700")
aqua = Color("#69bac9")
white = Color("#ffffff")
black = Color("#000000")
grey = Color("#bbbbbb")

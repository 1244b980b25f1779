"""From a chalk diagram to an SVG on a card: marks, text that knows its size, palettes, files."""

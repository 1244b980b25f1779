"""How a picture stands in a notebook: as an image in HTML, with its words.

An output of the type ``image/svg+xml`` does not survive: JupyterLab drops it from a notebook that
is not trusted, a narrow page cuts it, and its title and description reach nobody.  HTML with an
``<img>`` that holds the SVG is kept by all, shrinks to the page, and is read aloud.  It is the only
picture in the output: with the SVG beside it a notebook would hold every figure twice, and no front
end that shows SVG would choose it.  Inside an ``<img>`` nothing can clash with a second figure.
"""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape


def image(svg: str, words: str) -> str:
    """An ``<img>`` that holds a whole SVG, at the size that the SVG asks for, or as the page has.

    The size is in attributes too, for pages that strip styles.

    Args:
        svg: a picture with a ``width`` and a ``height`` in pixels.
        words: what it shows, for a reader who cannot see it.

    >>> image('<svg xmlns="…" width="40.2" height="30" viewBox="0 0 40.2 30"/>', 'a "box"')[:52]
    '<img alt="a &quot;box&quot;" width="40" height="30" '
    """
    width, height = re.search(r' width="([\d.]+)" height="([\d.]+)"', svg).groups()
    return (
        f'<img alt="{escape(" ".join(words.split()))}" width="{round(float(width))}" '
        f'height="{round(float(height))}" style="max-width:100%;height:auto" '
        f'src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}">'
    )

"""The gallery: every figure of the registry, and the page that shows them with their words."""

from __future__ import annotations

from collections.abc import Mapping

from mt_diagrams.cli.registry import Entry
from mt_diagrams.svg.figure import Figure

PAGE = "README.md"

_HEAD = """# Gallery

Every figure that `mt-diagrams list` names, drawn from its own example. `make figures` draws them
again, and this page with them.
"""


def gallery_page(figures: Mapping[str, tuple[Entry, Figure]]) -> str:
    """A page in Markdown: for each figure what it is, how to draw it, and what it shows in words.

    Args:
        figures: for each name its entry and its figure.
    """
    parts = [_HEAD]
    for name, (entry, figure) in figures.items():
        shapes = ("--shape " + "x".join(map(str, shape)) for shape in entry.example)
        command = " ".join(["mt-diagrams render", name, *shapes, f"-o {name}.svg"])
        parts.append(
            f"## {name}\n\n{_sentence(entry.summary)}\n\n"
            f"![{_alt(figure.desc)}]({name}.svg)\n\n"
            f"```\n{command}\n```\n"
        )
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _alt(text: str) -> str:
    """Words for an image in Markdown, in which brackets must not end it early."""
    for mark in ("\\", "[", "]", "*", "_", "<", "`"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())

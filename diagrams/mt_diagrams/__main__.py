"""``python -m mt_diagrams``, also installed as ``mt-diagrams``: figures by name.

mt-diagrams list
mt-diagrams render matmul-full --shape 2x4 --shape 4x3 -o full.svg
mt-diagrams render --all -o gallery
"""

from __future__ import annotations

import argparse
import re
import sys
from difflib import get_close_matches
from pathlib import Path

from .figure import Figure, write_whole
from .registry import FIGURES, Entry
from .shapes import Shape


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """One line, naming the culprit, instead of the whole usage."""
        self.exit(2, f"mt-diagrams: {message}\n")


def shape_from(text: str) -> Shape:
    """A shape as it is written on the command line.

    >>> shape_from("2x4")
    (2, 4)
    """
    if not re.fullmatch(r"[0-9]+(x[0-9]+)*", text):
        raise ValueError(f"--shape {text}: not a shape, such as 2x4")
    shape = tuple(map(int, text.split("x")))
    if 0 in shape:
        raise ValueError(f"--shape {text}: dimension {shape.index(0)} is 0, must be at least 1")
    return shape


def entry_of(name: str) -> Entry:
    """The figure of this name; ValueError with the nearest names if there is none."""
    if name in FIGURES:
        return FIGURES[name]
    near = get_close_matches(name, FIGURES, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "`list` names them all"
    raise ValueError(f"no figure is named {name!r}; {hint}")


def build(entry: Entry, shapes: list[Shape]) -> Figure:
    """Make a figure from these shapes, or from its own example if there are none."""
    if shapes and len(shapes) != len(entry.example):
        needed = len(entry.example)
        raise ValueError(
            f"{entry.name}: takes {needed} --shape ({entry.arguments}), got {len(shapes)}"
        )
    return entry.build(*(shapes or entry.example))


def _list() -> None:
    wide = max(map(len, FIGURES))
    for entry in FIGURES.values():
        print(f"{entry.name:<{wide}}  {entry.summary}  [{entry.arguments}]")


def _render(args: argparse.Namespace) -> None:
    out = Path(args.out)
    if args.all:
        if args.name or args.shape:
            raise ValueError("render: --all takes neither a name nor a --shape")
        if not out.is_dir():
            raise ValueError(f"{out}: is not a directory")
        svgs = {name: build(entry, []).svg for name, entry in FIGURES.items()}
        for name, svg in svgs.items():  # only now that every one of them was drawn
            write_whole(out / f"{name}.svg", svg)
    elif args.name is None:
        raise ValueError("render: needs the name of a figure, or --all")
    else:
        build(entry_of(args.name), [shape_from(text) for text in args.shape]).save(out)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 after an error told in one line."""
    parser = _Parser(prog="mt-diagrams", description="Figures of tensors and of what ran on them.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | render")
    commands.add_parser("list", help="name every figure, with its arguments")
    render = commands.add_parser("render", help="write a figure as SVG")
    render.add_argument("name", nargs="?", help="a name from the list")
    render.add_argument("--all", action="store_true", help="every figure, from its own example")
    render.add_argument(
        "--shape", action="append", default=[], metavar="RxC", help="an operand; may be repeated"
    )
    render.add_argument("-o", "--out", required=True, help="the file, or with --all the directory")
    args = parser.parse_args(argv)
    try:
        _list() if args.command == "list" else _render(args)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"mt-diagrams: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

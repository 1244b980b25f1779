"""``python -m mt_diagrams``, also installed as ``mt-diagrams``: figures by name.

mt-diagrams list
mt-diagrams render matmul-full --shape 2x4 --shape 4x3 -o full.svg
mt-diagrams render matmul-simple --values --dark -o slide.png
mt-diagrams render memory-timeline --trace script.py:function -o memory.svg
mt-diagrams render matrix --shape 2x3 -o - | rsvg-convert -o matrix.png
mt-diagrams render --all -o gallery
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from mt_diagrams.cli.gallery import PAGE, gallery_page
from mt_diagrams.cli.live import trace_of
from mt_diagrams.cli.registry import FIGURES, Entry
from mt_diagrams.figures.memory import memory_timeline
from mt_diagrams.figures.traffic import traffic_bar
from mt_diagrams.pieces.shapes import Shape
from mt_diagrams.svg.figure import Figure
from mt_diagrams.svg.writing import FORMATS, check_target, format_of, write_whole

# How each is drawn, and what of a trace it draws.
OF_TRACES = {
    "memory-timeline": (memory_timeline, "buffers"),
    "traffic-bar": (traffic_bar, "events"),
}


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
        raise ValueError(f"--shape {text}: a size is 0, so there is no cell to draw")
    return shape


def entry_of(name: str) -> Entry:
    """The figure of this name; ValueError with the nearest names if there is none."""
    if name in FIGURES:
        return FIGURES[name]
    near = get_close_matches(name, FIGURES, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "`list` names them all"
    raise ValueError(f"no figure is named {name!r}; {hint}")


def build(entry: Entry, shapes: list[Shape], values: bool = False) -> Figure:
    """Make a figure from these shapes, or from its own example if there are none.

    With ``values`` from arrays of these shapes, of small whole numbers, always the same.
    """
    if shapes and len(shapes) != len(entry.example):
        needed = len(entry.example)
        raise ValueError(
            f"{entry.name}: takes {needed} --shape ({entry.arguments}), got {len(shapes)}"
        )
    shapes = shapes or list(entry.example)
    if not values:
        return entry.build(*shapes)
    if not entry.values:
        able = ", ".join(name for name, other in FIGURES.items() if other.values)
        raise ValueError(f"{entry.name}: shows no --values; {able} do")
    numbers = np.random.default_rng(0)
    arrays = [numbers.integers(-5, 10, shape).astype(float) for shape in shapes]
    return entry.build(*arrays, values=True)


def traced(entry: Entry, targets: list[str]) -> Figure:
    """The figure of what users' own functions ran, for one of those drawn from traces."""
    if entry.name not in OF_TRACES:
        raise ValueError(
            f"{entry.name}: is not drawn from a --trace; {' and '.join(OF_TRACES)} are"
        )
    draw, what = OF_TRACES[entry.name]
    names, traces = zip(*map(trace_of, targets), strict=True)
    for target, trace in zip(targets, traces, strict=True):
        if not getattr(trace, what):
            raise ValueError(f"--trace {target}: there is nothing to draw: it ran nothing of mtlib")
    if len(set(names)) < len(names):
        names = [f"{Path(target).name}" for target in targets]
    return draw(*traces, names=names)


def _list() -> None:
    wide = max(map(len, FIGURES))
    for entry in FIGURES.values():
        print(f"{entry.name:<{wide}}  {entry.summary}  [{entry.arguments}]")


def _render(args: argparse.Namespace) -> None:
    if args.all:
        _render_all(args, Path(args.out))
        return
    if args.name is None and not args.trace:
        raise ValueError("render: needs the name of a figure, or --all")
    entry = entry_of(args.name or next(iter(OF_TRACES)))
    kind = args.format or format_of(args.out)
    check_target(args.out)  # before a minute of work, not after
    if args.trace:
        if args.shape or args.values:
            raise ValueError("render: --trace takes neither a --shape nor --values")
        figure = traced(entry, args.trace)
    else:
        figure = build(entry, [shape_from(text) for text in args.shape], args.values)
    write_whole(args.out, figure.encoded(kind, dark=args.dark))


def _render_all(args: argparse.Namespace, out: Path) -> None:
    if args.name or args.shape or args.trace or args.values:
        raise ValueError("render: --all takes neither a name nor a --shape, --values or --trace")
    if not out.is_dir():
        raise ValueError(f"{out}: is not a directory")
    kind = args.format or "svg"
    figures = {name: (entry, build(entry, [])) for name, entry in FIGURES.items()}
    files = {f"{n}.{kind}": f.encoded(kind, dark=args.dark) for n, (_, f) in figures.items()}
    if kind == "svg":
        files[PAGE] = gallery_page(figures)
    for name, content in files.items():  # only now that every one of them was drawn
        write_whole(out / name, content)


def _leave_the_pipe() -> int:
    """Who reads what is written here wants no more of it: end as if by the signal that says so."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what is left in the buffer has somewhere to go
    return 128 + 13


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 after an error told in one line."""
    parser = _Parser(prog="mt-diagrams", description="Figures of tensors and of what ran on them.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | render")
    commands.add_parser("list", help="name every figure, with its arguments")
    render = commands.add_parser("render", help="write a figure")
    render.add_argument("name", nargs="?", help="a name from the list")
    render.add_argument("--all", action="store_true", help="every figure, from its own example")
    render.add_argument(
        "--shape", action="append", default=[], metavar="RxC", help="an operand; may be repeated"
    )
    render.add_argument("--values", action="store_true", help="write numbers into the cells")
    render.add_argument("--dark", action="store_true", help="for a dark page or slide")
    render.add_argument(
        "--format", choices=FORMATS, help="by default what FILE ends in, else svg; needs a browser"
    )
    render.add_argument(
        "--trace",
        action="append",
        default=[],
        metavar="SCRIPT.py:FUNCTION",
        help="draw what this function of yours runs; may be repeated, to compare",
    )
    render.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        help="the file, - for standard output, or with --all the directory",
    )
    args = parser.parse_args(argv)
    try:
        _list() if args.command == "list" else _render(args)
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_the_pipe()
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"mt-diagrams: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0

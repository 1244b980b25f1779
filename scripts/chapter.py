"""Begin a chapter: copy the template, run it, and list it in the README.

    python scripts/chapter.py 07_fuse_what_surrounds

`make chapter NAME=07_fuse_what_surrounds` runs this. The template is a small chapter that passes
`make test` as it is; every part of it is there to be replaced. Nothing is written over.
"""

import argparse
import re
import sys
from pathlib import Path

import notebooks

TEMPLATE = Path(__file__).with_name("chapter.md")
HEADING = "| | Chapter | |\n| --- | --- | --- |\n"


class BadName(Exception):
    """A name that no chapter can have: one sentence."""


def title_of(name, folder):
    """The title that a name stands for, if a chapter in ``folder`` can be called so."""
    if not re.fullmatch(r"\d\d(_[a-z0-9]+)+", name):
        raise BadName(
            f"{name!r} is no name for a chapter: two digits, then words in small letters, joined "
            "by _, as in NAME=07_fuse_what_surrounds"
        )
    for path in sorted(folder.glob("*.md")):
        if path.stem[:2] == name[:2]:
            raise BadName(f"{name[:2]} is taken: there is {path.name}; nothing was written")
    return name[3:].replace("_", " ").capitalize()


def listed(readme, name, title):
    """The README with a row for the chapter, in the order of their numbers."""
    before, table = readme.split(HEADING)
    rows, rest = table.split("\n\n", 1)
    rows = sorted([*rows.split("\n"), f"| {name[:2]} | [{title}](notebooks/{name}.ipynb) | |"])
    return f"{before}{HEADING}{chr(10).join(rows)}\n\n{rest}"


def begin(name, root=notebooks.ROOT):
    """Write the pair and the row, and return the path of the .md."""
    folder, readme = root / "notebooks", root / "README.md"
    title = title_of(name, folder)
    md = folder / f"{name}.md"
    md.write_text(TEMPLATE.read_text(encoding="utf-8").replace("TITLE", title), encoding="utf-8")
    try:
        notebooks.build(md)
    except BaseException:
        md.unlink()
        raise
    text = readme.read_text(encoding="utf-8")
    readme.write_text(listed(text, name, title), encoding="utf-8")
    return md


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name")
    try:
        md = begin(parser.parse_args(arguments).name)
    except BadName as error:
        print(f"chapter: {error}", file=sys.stderr)
        return 1
    print(f"{md.name}: begun; edit it, then run `make notebooks` and `make test`")
    return 0


if __name__ == "__main__":
    sys.exit(main())

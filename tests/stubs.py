"""Commands that stand in for others."""

FAILS = 'echo "pyenv: command not found" >&2; exit 127'


def stub(path, *lines):
    """A command made of lines of shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    return path

"""The results set for reading: as text for a terminal, or as Markdown for a page."""

from __future__ import annotations

from benchmarks.tables import Table, tables

BUSY = 0.5  # programs that want a core: above this, others took part of the time


def text(results: dict) -> str:
    """All tables, aligned in type of one width."""
    blocks = ["\n".join(preamble(results)), *map(_aligned, tables(results, strips=True))]
    return "\n\n".join([*blocks, *busy(results)]) + "\n"


def markdown(results: dict) -> str:
    """All tables in Markdown."""
    lines = "  \n".join(preamble(results))
    return "\n\n".join([lines, *map(_piped, tables(results, strips=False))]) + "\n"


def preamble(results: dict) -> list[str]:
    """What it was measured on, and what to know when reading it."""
    about = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    cores = f"{about['cores']} core" + "s" * (about["cores"] != 1)
    lines = [
        f"{about['processor']}, {cores}, {about['system']}; {about['blas']}",
        versions,
        "Ratios are of times, the median over pairs with its quartiles: NumPy/mtlib above 1 means "
        "that mtlib is faster.",
    ]
    if results["quick"]:
        lines.append("A QUICK run: few repetitions of few cases.")
    return lines + busy(results)


def busy(results: dict) -> list[str]:
    """A warning, if other programs took part of the time."""
    load = results["machine"]["load"]
    if load is None or load <= BUSY:
        return []
    return [
        f"Other programs were running (a load of {load} before the start). Times with several "
        "threads then say little: every thread waits for the slowest."
    ]


def _aligned(table: Table) -> str:
    rows = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"── {table.title} ".ljust(sum(widths) + 2 * len(widths) - 2, "─")]
    for row in rows:
        cells = (
            cell.ljust(width) if n < table.left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, *table.notes])


def _piped(table: Table) -> str:
    sides = [":--" if n < table.left else "--:" for n in range(len(table.header))]
    rows = [table.header, tuple(sides), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    notes = [f"\n{note}" for note in table.notes]
    return f"### {table.title}\n\n" + "\n".join([*lines, *notes])

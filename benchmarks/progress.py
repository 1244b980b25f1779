"""How far the run is: a bar on a terminal, else a line for each group."""

from __future__ import annotations

import shutil
import sys

WIDTH = 30


class Progress:
    """Shown on standard error; ``total`` may be set once it is known."""

    def __init__(self, title: str, stream=None) -> None:
        self.title = title
        self.total = 0
        self.done = 0
        self.stream = sys.stderr if stream is None else stream
        self.is_terminal = self.stream.isatty()
        self.group = ""

    def step(self, group: str, name: str) -> None:
        """One more case begins."""
        self.show(f"{group}: {name}")
        if not self.is_terminal and group != self.group:
            print(f"{self.title}, {self.done + 1} of {self.total}: {group}", file=self.stream)
        self.group = group
        self.done += 1

    def show(self, text: str) -> None:
        """Draw the bar, and what is being done."""
        if not self.is_terminal:
            return
        full = WIDTH * self.done // max(self.total, 1)
        bar = "█" * full + "░" * (WIDTH - full)
        line = f"{self.title}  {bar}  {self.done}/{self.total}  {text}"
        line = line[: shutil.get_terminal_size().columns - 1]
        self.stream.write(f"\r\x1b[K{line}")
        self.stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        if self.is_terminal:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

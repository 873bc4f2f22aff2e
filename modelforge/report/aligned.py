"""Aligned: rows of texts in columns that never break a word: where the terminal is narrow, cells go below their row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
"""Blanks between columns."""
BELOW = 4
"""Blanks in front of a cell that stands below its row."""


@dataclass(frozen=True)
class Aligned:
    """Rows whose cells stand below one another.

    Where the terminal has no room for all of them, what follows the first columns goes below its row, wrapped
    between words. A word that is longer than the terminal is left whole.
    """

    rows: Sequence[Sequence[Text]]
    indent: int = 0
    stages: Sequence[int] = (1,)
    """How many columns stay in one line where all have no room; the last of these whatever the width."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.rows:
            return
        limit = options.max_width - self.indent
        widths = [
            max(row[index].cell_len for row in self.rows if index < len(row))
            for index in range(max(map(len, self.rows)))
        ]
        inline = next((size for size in (len(widths), *self.stages) if _width(widths[:size]) <= limit), self.stages[-1])
        for row in self.rows:
            line = Text(" " * self.indent, no_wrap=True, overflow="ignore")
            for index, cell in enumerate(row[:inline]):
                if widths[index]:
                    line.append_text(cell)
                    line.append(" " * (widths[index] - cell.cell_len + GAP))
            line.rstrip()
            below = Text(" " * GAP).join(cell for cell in row[inline:] if cell.plain)
            before = " " * (self.indent + BELOW)
            if line.plain or not below.plain:
                yield line
            for part in _wrapped(below, limit - BELOW) if below.plain else ():
                yield Text(before, no_wrap=True, overflow="ignore").append_text(part)


def _width(columns: Sequence[int]) -> int:
    return sum(columns) + GAP * (sum(map(bool, columns)) - 1)


def _wrapped(text: Text, width: int) -> Sequence[Text]:
    """The text in lines, broken between words."""
    breaks: list[int] = []
    start = 0
    for word in re.finditer(r"\S+", text.plain):
        if word.start() > start and text[start : word.end()].cell_len > width:
            start = word.start()
            breaks.append(start)
    lines = list(text.divide(breaks))
    for line in lines:
        line.rstrip()
    return lines


@dataclass(frozen=True)
class Wrapped:
    """A text that is wrapped between words; a word that is longer than the terminal is left whole."""

    text: Text
    indent: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in _wrapped(self.text, options.max_width - self.indent):
            yield Text(" " * self.indent, no_wrap=True, overflow="ignore").append_text(part)

"""Aligned: rows of texts in columns that never break a word: where the terminal is narrow, cells go below their row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
"""Blanks between columns."""
BELOW = 4
"""Blanks in front of a cell that stands below its row."""
ROOM = 24
"""The least width in which a text is wrapped where it stands."""
HANGING = 2
"""Blanks before the second line of a path."""
PATH = re.compile(r".+?(?:\s+|(?<!\d)\.|\.(?!\d)|$)")
NAME = re.compile(r"\s*.+?(?:\s+|_+|$)")
PLACE = re.compile(r".+?(?:\s+|/|$)")
WORDS = re.compile(r".+?(?:\s+|$)")
NAMES = re.compile(r".+?(?:\s+|/|,(?! )|$)")
"""What stays together in a path, in the name of a layer, in a place, in a text, and in one with names of runs."""


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
    wraps: bool = False
    """Whether the last column is wrapped where it stands, if there is some room for it."""
    pieces: re.Pattern[str] = WORDS
    """What stays together in that column."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        limit = options.max_width - self.indent
        rows = _lastfolded(self.rows, limit, self.pieces) if self.wraps else self.rows
        widths = _widths(rows)
        inline = next((size for size in (len(widths), *self.stages) if _sum(widths[:size]) <= limit), self.stages[-1])
        for row in rows:
            line = _line(self.indent)
            for width, cell in zip(widths, row[:inline], strict=False):
                if width:
                    line.append_text(cell)
                    line.append(" " * (width - cell.cell_len + GAP))
            line.rstrip()
            below = Text(" " * GAP).join(cell for cell in row[inline:] if cell.plain)
            if line.plain or not below.plain:
                yield line
            for part in folded(below, limit - BELOW, self.pieces) if below.plain else ():
                yield _line(self.indent + BELOW).append_text(part)


def _lastfolded(rows: Sequence[Sequence[Text]], limit: int, pieces: re.Pattern[str]) -> Sequence[Sequence[Text]]:
    """The rows with their last cell in several lines, where all have no room and that one has some."""
    widths = _widths(rows)
    room = limit - _sum(widths[:-1]) - GAP
    if _sum(widths) <= limit or room < ROOM:
        return rows
    return [
        [*row[:-1], part] if first else [*[Text()] * (len(row) - 1), part]
        for row in rows
        for first, part in zip((True, *[False] * len(row[-1])), folded(row[-1], room, pieces), strict=False)
    ]


def _line(indent: int) -> Text:
    return Text(" " * indent, no_wrap=True, overflow="ignore")


def _widths(rows: Sequence[Sequence[Text]]) -> list[int]:
    return [
        max(row[index].cell_len for row in rows if index < len(row)) for index in range(max(map(len, rows), default=0))
    ]


def _sum(columns: Sequence[int]) -> int:
    return sum(columns) + GAP * (sum(map(bool, columns)) - 1)


def folded(text: Text, width: int, pieces: re.Pattern[str] = WORDS) -> list[Text]:
    """A text in lines of at most `width`, where its pieces allow that; the rest of a path is set in.

    Example:
        >>> print(*folded(Text("blocks.0.block.mlp.up.weight"), 20, PATH), sep="\\n")
        blocks.0.block.mlp.
          up.weight
    """
    if text.cell_len <= width:
        return [text]
    hang = " " * (len(text.plain) - len(text.plain.lstrip()) + HANGING) if pieces in (PATH, NAME) else ""
    breaks: list[int] = []
    start = 0
    for piece in pieces.finditer(text.plain):
        room = width - (len(hang) if breaks else 0)
        if piece.start() > start and cell_len(text.plain[start : piece.end()].rstrip()) > room:
            start = piece.start()
            breaks.append(start)
    first, *rest = text.divide(breaks)
    lines = [first, *(Text(hang).append_text(line) for line in rest)]
    for line in lines:
        line.rstrip()
    return lines


@dataclass(frozen=True)
class Wrapped:
    """A text that is wrapped between words; a word that is longer than the terminal is left whole."""

    text: Text
    indent: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in folded(self.text, options.max_width - self.indent):
            yield _line(self.indent).append_text(part)

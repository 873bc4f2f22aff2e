"""`Listing`: lines that become a table where the terminal has room, else a block of words each; no name is broken."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from modelforge.report.aligned import GAP, PATH, Aligned, folded


@dataclass(frozen=True)
class Listing:
    """Lines under a header.

    Where the terminal is narrow, headers fold at their dots, then keys; then each line is written in words: what stands
    in `first` in columns, and the other cells below, each with the name of its column.
    """

    header: Sequence[str]
    body: Sequence[Sequence[Text]]
    right: Collection[int] = ()
    """Columns of numbers."""
    first: Sequence[int] = (0,)
    """Columns that stay in columns where there is no room for all, as far as they have room themselves."""
    bare: Collection[int] = ()
    """Of the others those that need no name."""
    keys: int | None = None
    """A column of keys, which may take several lines."""
    bold: Collection[int] = ()
    """Lines that stand out."""
    dim: Collection[int] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        used = [index for index in range(len(self.header)) if any(line[index].plain for line in self.body)]
        short = [_short(name) for name in self.header]
        for names, keys in ((self.header, None), (short, None), (short, self.keys)):
            widths = {index: self._width(names, index) for index in used}
            excess = sum(widths.values()) + GAP * (len(widths) - 1) - options.max_width
            if excess > 0 and keys in widths:
                widths[keys] = max(widths[keys] - excess, 0)
            if excess <= 0 or (keys in widths and self._fits(keys, widths[keys])):
                yield self._table(names, widths)
                return
        kept = self._kept(used, options.max_width)
        names = [Text(self.header[index], "bold") for index in kept]
        # A name and a state say themselves what they are; numbers do not.
        head = [names] if len(names) > 2 else []
        yield Aligned([*head, *(self._line(line, used, kept) for line in self.body)], stages=(len(names),))

    def _kept(self, used: Collection[int], width: int) -> list[int]:
        """The columns that stay: the last of `first` give way where these alone have no room."""
        kept = [index for index in self.first if index in used]
        while len(kept) > 1 and sum(self._width(self.header, index) + GAP for index in kept) - GAP > width:
            kept.pop()
        return kept

    def _width(self, names: Sequence[str], index: int) -> int:
        return max(map(cell_len, (*names[index].split("\n"), *(line[index].plain for line in self.body))))

    def _fits(self, index: int, width: int) -> bool:
        """Whether every cell of a column can be folded to a width."""
        return all(line.cell_len <= width for cells in self.body for line in folded(cells[index], width, PATH))

    def _table(self, names: Sequence[str], widths: dict[int, int]) -> Table:
        width = sum(widths.values()) + GAP * (len(widths) - 1)
        result = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0), width=width)
        for index, room in widths.items():
            # A `Text` may take several lines.
            justify = "right" if index in self.right else "left"
            result.add_column(Text(names[index]), justify=justify, no_wrap=True, width=room)
        for number, line in enumerate(self.body):
            style = "bold" if number in self.bold else "dim" if number in self.dim else None
            result.add_row(*(self._cell(line, index, room) for index, room in widths.items()), style=style)
        return result

    def _cell(self, cells: Sequence[Text], index: int, width: int) -> RenderableType:
        return Group(*folded(cells[index], width, PATH)) if index == self.keys else cells[index]

    def _line(self, cells: Sequence[Text], used: Sequence[int], kept: Sequence[int]) -> list[Text]:
        """A line in words."""
        rest = [index for index in used if index not in kept and cells[index].plain]
        words = [str(cells[index]) if index in self.bare else f"{self.header[index]} {cells[index]}" for index in rest]
        return [*(cells[index] for index in kept), *map(Text, words)]


def _short(name: str) -> str:
    """A header in lines: `optimizer.lr` in two, `test/accuracy` too."""
    return re.sub(r"(?<=[./])(?=[^./])", "\n", name)

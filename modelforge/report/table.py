"""Tables that fit their width: columns fold or give way, names and numbers stay whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from modelforge.core.quoting import printable
from modelforge.report.aligned import GAP, HANGING, NAME, PATH, Wrapped, folded
from modelforge.report.screen import Screen


def new_table(width: int | None = None) -> Table:
    """A table as all of ours look: a rule below the header, two blanks between columns, nothing around."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
        width=width,
        safe_box=False,
    )


def to_text(renderable: RenderableType, width: int = 120) -> str:
    """A renderable as plain text."""
    console = Screen(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(Group(renderable), crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


@dataclass(frozen=True, slots=True)
class Fitted:
    """Lines that become a table when its width is known."""

    header: Sequence[str]
    body: Sequence[Sequence[Text]]
    right: Collection[int]
    """Columns of numbers."""
    folds: Mapping[int, re.Pattern[str]]
    """Columns whose cells may take several lines, and the pieces that a line cannot break."""
    steps: Sequence[tuple[int, int]]
    """Which columns give way, one after the other, and to what width; at 0 they are left out."""
    total: Sequence[Text] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [*self.body, *([] if self.total is None else [self.total])]
        widths = self._widths(lines, options.max_width)
        shown = [index for index, width in enumerate(widths) if width]
        # A width of its own keeps rich from cutting numbers where even this is too wide.
        table = new_table(width=sum(widths) + GAP * (len(shown) - 1))
        for index in shown:
            justify = "right" if index in self.right else "left"
            # Nothing is wider than its column; but rich would not move to the right what may be.
            table.add_column(Text(self.header[index]), justify=justify, no_wrap=True, width=widths[index])
        for line in self.body:
            table.add_row(*(self._cell(line[index], index, widths[index]) for index in shown))
        if self.total is not None:
            table.add_section()
            table.add_row(*(self.total[index] for index in shown))
        yield table
        if left_out := [" ".join(self.header[index].split()) for index in range(len(widths)) if index not in shown]:
            yield Wrapped(Text(f"left out at {options.max_width} columns: {', '.join(dict.fromkeys(left_out))}", "dim"))

    def _cell(self, text: Text, index: int, width: int) -> RenderableType:
        if index not in self.folds:
            return text
        plain = text if (shown := printable(text.plain)) == text.plain else Text(shown, text.style)
        # Lines of their own: a line break inside a cell is part of a name, and shown as an escape.
        return Group(*folded(plain, width, self.folds[index]))

    def _widths(self, lines: Sequence[Sequence[Text]], limit: int) -> list[int]:
        """Narrower columns where the limit asks for it."""
        widths = [
            max(Text(name).cell_len for name in [*header.split("\n"), *(line[index].plain for line in lines)])
            for index, header in enumerate(self.header)
        ]
        for column, least in self.steps:
            excess = sum(widths) + GAP * (sum(width > 0 for width in widths) - 1) - limit
            if excess > 0 and column < len(widths):
                whole = max(least, self._longest(column, lines)) if least else 0
                widths[column] = min(widths[column], max(widths[column] - excess, whole)) if least else 0
        return widths

    def _longest(self, column: int, lines: Sequence[Sequence[Text]]) -> int:
        """The widest piece of a column that cannot be broken."""
        pieces = [piece for line in lines for piece in self.folds[column].findall(line[column].plain)]
        indent = HANGING if self.folds[column] in (PATH, NAME) else 0
        return max((cell_len(piece.rstrip()) + indent for piece in pieces), default=0)

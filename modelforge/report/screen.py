"""`Screen`: the console that everything of ours is printed on. No name from a config or a file moves the cursor."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from modelforge.core.errors import Problem
from modelforge.core.quoting import printable


class Screen(Console):
    """A console that writes characters that cannot be seen as their escapes; a cell of a table stays on its line.

    Example:
        >>> with (screen := Screen()).capture() as capture:
        ...     screen.print(Text("red\\x1b[31m"))
        >>> print(capture.get(), end="")
        red\\x1b[31m
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, of which none holds a control character."""
        # Rules are drawn alike everywhere: a stream with few letters gets `writable` forms of them.
        options = (options or self.options).copy()
        options.encoding = "utf-8"
        if isinstance(renderable, Table):
            _one_line_each(renderable)
        for segment in super().render(renderable, options):
            text = segment.text
            yield segment if segment.control or text == "\n" else Segment(printable(text, "\n"), segment.style)


def removed_folder() -> Problem | None:
    """The problem of a process whose working folder was removed: not even torch can be imported there."""
    try:
        os.getcwd()
    except OSError:
        return Problem("MF001", ".", "the folder that this runs in was removed", "`cd` to one that is there")
    return None


def _one_line_each(table: Table) -> None:
    for column in table.columns:
        column._cells = [_on_one_line(cell) for cell in column._cells]
        # A header that is a `Text` is ours, and may take two lines.
        column.header = printable(column.header) if isinstance(column.header, str) else column.header


def _on_one_line(cell: RenderableType) -> RenderableType:
    text = cell.plain if isinstance(cell, Text) else cell
    if not isinstance(text, str) or (shown := printable(text)) == text:
        return cell
    return Text(shown, cell.style) if isinstance(cell, Text) else shown

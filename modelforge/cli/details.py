"""details: what is known of one thing, as lines for a terminal: its name, notes and fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelforge.core.words import value
from modelforge.report.table import new_table

INDENT = (0, 0, 0, 2)


def details(facts: Mapping[str, Any], notes: Iterable[tuple[str, str]] = ()) -> list[RenderableType]:
    """A name with its summary, notes and fields."""
    head = Text.assemble((facts["name"], "bold"), "  ", facts["summary"])
    fields = [Text(), Padding(_fields(facts["fields"]), INDENT)] if facts["fields"] else []
    return [head, *notes_table(notes), *fields]


def _fields(fields: Iterable[Mapping[str, Any]]) -> Table:
    table = new_table()
    table.add_column("field")
    table.add_column("type", overflow="fold")
    table.add_column("default", overflow="fold")
    table.add_column("", overflow="fold", ratio=1)
    for field in fields:
        if field["required"]:
            default = Text("required", "bold")
        else:
            default = Text("from the input", "dim") if field.get("inferred") else Text(value(field["default"]))
        table.add_row(Text(field["name"], "cyan"), field["type"], default, " ".join(field["doc"].split()))
    return table


def notes_table(notes: Iterable[tuple[str, str]]) -> list[RenderableType]:
    """A blank line and one line a note that says something; nothing if none does."""
    table = plain_table()
    for label, text in notes:
        if text:
            table.add_row(Text(label, "dim"), text)
    return [Text(), Padding(table, INDENT)] if table.row_count else []


def plain_table() -> Table:
    """A table of two columns without a head."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=False, overflow="fold")
    table.add_column(overflow="fold")
    return table

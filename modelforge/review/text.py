"""A diff for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelforge.report.words import printable
from modelforge.review.diff import Diff
from modelforge.review.wording import MARKS, Cause, causes, layer_groups, layer_lines, summary, totals

STYLES = {"+": "green", "-": "red", "~": "yellow"}
INDENT = (0, 0, 0, 2)


def diff_text(diff: Diff, old: str = "old", new: str = "new") -> RenderableType:
    """The diff as sections: the whole, layers, and how parameters start, each change with its lines.

    Args:
        diff: What to show.
        old: What to call the old side.
        new: What to call the new side.
    """
    head = Text.assemble((printable(old), "bold red"), " → ", (printable(new), "bold green"))
    if diff.equal:
        return Group(head, Text("no difference"))
    parts: list[RenderableType] = [head]
    if diff.totals:
        table = _grid(2)
        for name, change, place in totals(diff):
            table.add_row(Text(name, "bold"), Text.assemble(change, (f"  {place}", "dim")))
        parts += [Text(), table]
    if diff.layers:
        parts += [Text(), Text("layers", "bold"), Padding(_layers(diff), INDENT)]
    if diff.parameters:
        parts += [Text(), Text("how parameters start", "bold")]
        for index, cause in enumerate(causes(diff.parameters)):
            parts += [Text()] * (index > 0) + [Padding(_cause(cause), INDENT)]
    return Group(*parts, Text(), Text(summary(diff), "dim"))


def _layers(diff: Diff) -> Table:
    table = _grid(5)
    for group in layer_groups(diff.layers):
        mark = MARKS[group.first.kind]
        cells = [Text(mark, STYLES[mark]), Text(_counted(group.label, group.count)), Text(group.first.type, "cyan")]
        for change, place in layer_lines(group.first):
            table.add_row(*cells, Text(change), Text(place, "dim"))
            cells = [Text()] * 3
    return table


def _cause(cause: Cause) -> RenderableType:
    reasons = _grid(2)
    for reason, place in cause.lines:
        reasons.add_row(Text(reason, "bold"), Text(place, "dim"))
    effects = _grid(5)
    for effect in cause.effects:
        mark = Text(effect.mark, STYLES[effect.mark])
        effects.add_row(
            mark, _counted(effect.label, effect.copies), Text(effect.shape, "dim"), effect.std, effect.ratio
        )
    return Group(reasons, Padding(effects, INDENT))


def _counted(label: str, copies: int) -> str:
    label = printable(label)
    return f"{label} ({copies} alike)" if copies > 1 else label


def _grid(columns: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        table.add_column(overflow="fold")
    return table

"""`Sweep` → a table for the terminal: colour for the state, bold for the best."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from modelforge.core.words import digits, printable
from modelforge.report.aligned import GAP, Aligned

if TYPE_CHECKING:
    from modelforge.runs.collect import Row, Sweep

STYLES = MappingProxyType(
    {"finished": "green", "running": "cyan", "interrupted": "yellow", "missing": "yellow"}
)  # the rest is red


def table(sweep: Sweep) -> Group:
    """One line a job: its number, what was swept, its state, metrics and duration; below, why some did not finish.

    Where the terminal is narrow, headers fold at their dots; then each job has its own lines. No name is broken.
    """
    reasons = [[Text(_name(row)), Text(f"{row.state}: {row.reason}")] for row in sweep.rows if row.reason]
    return Group(_Jobs(sweep), *([Text(), Aligned(reasons, wraps=True)] if reasons else []))


@dataclass(frozen=True)
class _Jobs:
    """The jobs, which become a table when its width is known."""

    sweep: Sweep

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # The test loss adds little to the metric of the task.
        metrics = [name for name in self.sweep.metric_names if name == self.sweep.metric or _is_result(name)]
        header = ["job", *self.sweep.keys, "state", *metrics, "time"]
        body = [_cells(row, self.sweep, metrics) for row in self.sweep.rows]
        for names in (header, [_folded(name) for name in header]):
            widths = [
                max(map(cell_len, (*name.split("\n"), *(line[index].plain for line in body))))
                for index, name in enumerate(names)
            ]
            if sum(widths) + GAP * (len(widths) - 1) <= options.max_width:
                yield self._table(names, body, widths)
                return
        yield Aligned([self._line(line, header) for line in body], stages=(4,))

    def _table(self, header: Sequence[str], body: Sequence[Sequence[Text]], widths: Sequence[int]) -> Table:
        result = Table(
            box=None,
            header_style="bold",
            pad_edge=False,
            padding=(0, GAP, 0, 0),
            width=sum(widths) + GAP * (len(widths) - 1),
        )
        for index, name in enumerate(header):
            right = index > len(self.sweep.keys) + 1
            justify = "right" if right else "left"
            # A `Text` may take several lines.
            result.add_column(Text(name), justify=justify, no_wrap=True, width=widths[index])
        for row, line in zip(self.sweep.rows, body, strict=True):
            best = row is self.sweep.rows[0] and row.state == "finished"
            result.add_row(*line, style="bold" if best else None)
        return result

    def _line(self, cells: Sequence[Text], header: Sequence[str]) -> list[Text]:
        """A job in words: what its columns would hold, each with its name, what was swept last."""
        first = len(self.sweep.keys) + 1
        swept = [f"{name}={cell}" for name, cell in zip(header[1:first], cells[1:first], strict=True) if cell.plain]
        metrics = [f"{name} {cell}" for name, cell in zip(header[first + 1 : -1], cells[first + 1 : -1], strict=True)]
        return [cells[0], cells[first], Text(", ".join(metrics)), cells[-1], Text("  ".join(swept))]


def _cells(row: Row, sweep: Sweep, metrics: Sequence[str]) -> list[Text]:
    return [
        Text(printable(_name(row))),
        *(Text(printable(row.overrides.get(key, ""))) for key in sweep.keys),
        Text(row.state, STYLES.get(row.state, "red")),
        *(Text(digits(row.metrics[name]) if name in row.metrics else "") for name in metrics),
        Text("" if row.seconds is None else f"{row.seconds:.1f} s"),
    ]


def _folded(name: str) -> str:
    """A header in lines: `optimizer.lr` in two, `test/accuracy` too."""
    return re.sub(r"(?<=[./])(?=[^./])", "\n", name)


def _is_result(name: str) -> bool:
    return name.startswith("test/") and name != "test/loss"


def _name(row: Row) -> str:
    """The job's number alone, where the folder has one and the other columns hold the rest."""
    return str(row.number) if row.overrides and row.folder[:1].isdigit() else row.folder

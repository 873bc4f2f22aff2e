"""`Sweep` → a table for the terminal: colour for the state, bold for the best."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from modelforge.sweep.collect import Row, Sweep

STYLES = MappingProxyType(
    {"finished": "green", "running": "cyan", "interrupted": "yellow", "missing": "yellow"}
)  # the rest is red


def table(sweep: Sweep) -> Group:
    """One line a job: its number, what was swept, its state, metrics and duration; below, why some did not finish."""
    # The loss of the test says little beside the metric of the task.
    shown = [name for name in sweep.metric_names if name == sweep.metric or _is_result(name)]
    result = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    result.add_column("job", overflow="fold")
    for key in sweep.keys:
        result.add_column(key, overflow="fold")
    result.add_column("state", no_wrap=True)
    for name in shown:
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("time", justify="right", no_wrap=True)
    for row in sweep.rows:
        best = row is sweep.rows[0] and row.state == "finished"
        cells = [
            Text(_name(row)),
            *(Text(row.overrides.get(key, "")) for key in sweep.keys),
            Text(row.state, STYLES.get(row.state, "red")),
            *(Text(f"{row.metrics[name]:.4f}" if name in row.metrics else "") for name in shown),
            Text("" if row.seconds is None else f"{row.seconds:.1f} s"),
        ]
        result.add_row(*cells, style="bold" if best else None)
    reasons = Table.grid(padding=(0, 2, 0, 0))
    for row in sweep.rows:
        if row.reason:
            reasons.add_row(Text(_name(row)), Text(f"{row.state}: {row.reason}"))
    return Group(result, *([Text(), reasons] if reasons.rows else []))


def _is_result(name: str) -> bool:
    return name.startswith("test/") and name != "test/loss"


def _name(row: Row) -> str:
    """The job's number alone, where the folder has one and the other columns say the rest."""
    return str(row.number) if row.overrides and row.folder[:1].isdigit() else row.folder

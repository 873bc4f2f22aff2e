"""report_sweep: the end of a multirun: its tables on the screen, sweep.csv and sweep.html in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text

from modelforge.core.files import SWEEP, write_atomically
from modelforge.core.quoting import printable
from modelforge.report.aligned import Wrapped
from modelforge.results.collect import collect
from modelforge.results.export import to_csv
from modelforge.results.grouping import SEED, Grouped, group
from modelforge.results.page import page
from modelforge.results.significance import Contrast, contrasts
from modelforge.results.sweep import Sweep
from modelforge.results.table import MAX_LINES, effect_table, group_table, table
from modelforge.results.words import counts_line, headline

CSV, PAGE = "sweep.csv", "sweep.html"


def report_sweep(folder: Path, screen: Console) -> Sweep:
    """Prints what came out of a multirun, and writes `sweep.csv` and `sweep.html` into its folder.

    Args:
        folder: The multirun's.
        screen: Where it is printed.

    Raises:
        ForgeError: the folder holds no run, or cannot be written.
    """
    sweep = collect(folder)
    grouped = group(sweep, default_over(sweep))
    compared = contrasts(grouped)
    screen.print()
    screen.print(as_text(grouped, compared, most=MAX_LINES, with_jobs=True), crop=False)
    line = f"\n{counts_line(sweep) or 'no job began'}  ·  {printable(str(folder))}"
    screen.print(line, highlight=False, markup=False, soft_wrap=True)
    write_atomically(folder / CSV, to_csv(sweep), SWEEP)
    write_atomically(folder / PAGE, page(grouped, compared, folder), SWEEP)
    return sweep


def default_over(sweep: Sweep) -> tuple[str, ...]:
    """The keys that are averaged over where none are named: the seed, if it was swept."""
    return (SEED,) if SEED in sweep.keys else ()


def as_text(grouped: Grouped, compared: Sequence[Contrast], most: int | None, *, with_jobs: bool) -> RenderableType:
    """The tables of a sweep, the answer in a sentence last.

    Args:
        grouped: The jobs in groups.
        compared: Each group beside its baseline.
        most: Lines of a table; None for all.
        with_jobs: Whether jobs are listed one by one; groups are where some hold several.
    """
    said = (*grouped.sweep.damaged, *grouped.sweep.unequal)
    parts: list[RenderableType] = [Wrapped(Text(line, "yellow")) for line in said]
    if not grouped.sweep.rows:
        return Group(*parts, Text(f"no job has begun in {printable(grouped.sweep.folder)}"))
    if with_jobs:
        parts.append(table(grouped.sweep, most))
    if grouped.over or not with_jobs:
        parts.append(group_table(grouped, compared, most))
    if (found := effect_table(grouped.sweep)) is not None:
        parts.append(found)
    if len(grouped.groups) > 1:
        parts.append(Wrapped(Text(headline(grouped, compared).replace("`", ""))))
    spaced = [part for one in parts for part in (one, Text())]
    return Group(*spaced[:-1])

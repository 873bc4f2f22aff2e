"""page: a sweep → one HTML page of bounded size that needs nothing else, with links to the pages of its runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from modelforge._version import __version__
from modelforge.report.page import render
from modelforge.results import charts
from modelforge.results.effects import effects
from modelforge.results.foresight import foresight, starts_of
from modelforge.results.grouping import Grouped
from modelforge.results.significance import Contrast
from modelforge.results.sweep import OPEN, OVER, Row
from modelforge.results.table import notes, reasons
from modelforge.results.words import counts_line, headline, p_text

TEMPLATE = Path(__file__).with_name("page.html")
RUN_PAGE = "diagnosis.html"
MAX_GROUPS = 200
MAX_JOBS = 300
MAX_REASONS = 40


@dataclass(frozen=True, slots=True)
class Link:
    """A job in the list, and where its run is."""

    row: Row
    href: str
    """Relative to the page; empty where there is nothing to open."""


def page(grouped: Grouped, compared: Sequence[Contrast], at: Path) -> str:
    """The page: the answer first, then groups, pictures, effects, the start, and the jobs.

    Args:
        grouped: The jobs in groups.
        compared: Each group beside its baseline.
        at: The folder of the page, from which links begin.
    """
    sweep = grouped.sweep
    starts = starts_of(sweep.rows)
    found = effects(sweep)
    by_start = [charts.by_start(sweep, starts, what) for what in charts.STARTS]
    why = [*reasons(sweep.rows)]
    shown = compared[:MAX_GROUPS]
    return render(
        TEMPLATE,
        version=__version__,
        sweep=sweep,
        grouped=grouped,
        compared=shown,
        num_groups=len(compared),
        has_p=any(one.adjusted is not None for one in shown),
        has_gaps=any(one.group.lacks for one in shown),
        headline=headline(grouped, compared),
        counts=counts_line(sweep),
        severity=_severity(sweep.counts),
        notes=[*sweep.damaged, *sweep.unequal, *notes(grouped, compared)],
        axes=charts.by_axes(grouped),
        heat=charts.heat_map(grouped),
        parallel=charts.parallel(grouped),
        effects=found,
        curves=charts.learning_curves(grouped),
        by_start=[one for one in by_start if one is not None],
        foresight=foresight(sweep, starts),
        reasons=why[:MAX_REASONS],
        num_reasons=len(why),
        jobs=[Link(row, _href(row, at)) for row in _shown(sweep.rows)],
        p_text=p_text,
    )


def _severity(counts: Mapping[str, int]) -> str:
    if counts.keys() <= {"finished", "pruned"}:
        return "none"
    return "warning" if counts.keys() <= OVER | OPEN else "error"


def _shown(rows: Sequence[Row]) -> Sequence[Row]:
    """All jobs, of many the best and those at the other end, which did not finish."""
    half = MAX_JOBS // 2
    return rows if len(rows) <= MAX_JOBS else (*rows[:half], *rows[-half:])


def _href(row: Row, at: Path) -> str:
    """The address of a run's page, of its folder where it has none."""
    if not row.path:
        return ""
    target = Path(row.path) / RUN_PAGE
    folder = not target.is_file()
    try:
        way = os.path.relpath(target.parent if folder else target, at)
    except ValueError:  # on another drive
        return ""
    return quote(Path(way).as_posix(), safe="/") + ("/" if folder else "")

"""page: a diagnosis as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelforge.diagnosis import charts
from modelforge.diagnosis.document import Block, Diagnosis, Spot, Start
from modelforge.diagnosis.rows import LevelRow, energy, level_rows, limits, seen, sparkline
from modelforge.report.charts import Chart
from modelforge.report.page import render

TEMPLATE = Path(__file__).with_name("page.html")
KEPT, LOST = 1e2, 1e4
"""Factors on an energy by which a block of the network is coloured."""


def page(diagnosis: Diagnosis) -> str:
    """The page: the cause first, then pictures, tables, findings and the ledger."""
    lines = {spot.words: spot for start in diagnosis.starts for spot in _spots(start)}
    anchors = {words: f"line-{number}" for number, words in enumerate(lines, 1)}
    several = len(diagnosis.starts) > 1
    return render(
        TEMPLATE,
        diagnosis=diagnosis,
        parts=[_part(start, index) for index, start in enumerate(diagnosis.starts)],
        compared=[charts.compared(diagnosis.starts, signal=signal) for signal in (True, False)] if several else [],
        lines=lines,
        anchors=anchors,
        worst=block_class,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One network on the page."""

    id: str
    start: Start
    depth: tuple[Chart, ...]
    """By depth: signals, with the repair beside them, and gradients."""
    rows: tuple[tuple[LevelRow, Mapping[str, str]], ...]
    histograms: tuple[Chart, ...]
    jacobian: Chart | None
    spectra: tuple[Chart, ...]
    steps: tuple[Chart, ...]
    changes: Mapping[int, str]
    """The class of each level by what becomes of the signal."""


def _part(start: Start, index: int) -> Part:
    found = start.measurement
    depth: list[Chart] = []
    for signal in (True, False):
        after = charts.repaired(start, signal=signal)
        depth += [charts.by_depth(start, signal=signal), *([after] if after else [])]
    return Part(
        f"start-{index + 1}",
        start,
        tuple(depth),
        tuple(_rows(start)),
        () if found is None else tuple(map(charts.histogram, found.histograms)),
        None
        if found is None or found.jacobian is None or not found.jacobian.values
        else charts.singular_values(found.jacobian),
        () if found is None else tuple(map(charts.eigenvalues, found.spectra)),
        () if found is None else tuple(map(charts.over_time, found.steps)),
        _changes(start),
    )


def _rows(start: Start) -> Iterator[tuple[LevelRow, Mapping[str, str]]]:
    """The rows of the table of layers, each with its cells."""
    signal = limits([seen(level.signal, level.measured_signal) for level in start.levels])
    gradient = limits([seen(level.gradient, level.measured_gradient) for level in start.levels])
    for row in level_rows(start.levels):
        several = len(row.levels) > 1
        signals = [seen(level.signal, level.measured_signal) for level in row.levels]
        gradients = [seen(level.gradient, level.measured_gradient) for level in row.levels]
        yield (
            row,
            {
                "signal": row.ends(lambda level: energy(level.signal)),
                "measured_signal": row.ends(lambda level: energy(level.measured_signal)),
                "signals": sparkline(signals, signal) if several else "",
                "gradient": row.ends(lambda level: energy(level.gradient)),
                "measured_gradient": row.ends(lambda level: energy(level.measured_gradient)),
                "gradients": sparkline(gradients, gradient) if several else "",
                "std": row.ends(lambda level: level.std),
                "chi": row.ends(lambda level: level.chi),
                "saturated": row.ends(lambda level: level.saturated),
                "dead": row.ends(lambda level: level.dead or None),
                "rank": row.ends(lambda level: level.rank),
            },
        )


def _changes(start: Start) -> Mapping[int, str]:
    values = [seen(level.signal, level.measured_signal) for level in start.levels]
    first = next((value for value in values if value), 1.0)
    found: dict[int, str] = {}
    for index, value in enumerate(values):
        if value:
            factor = max(value / first, first / value)
            found[index] = "keeps" if factor < KEPT else "moves" if factor < LOST else "lost"
    return found


def _spots(start: Start) -> Iterator[Spot]:
    """The lines of configs that the page cites."""
    cited = [start.cause.spot, *(finding.spot for finding in start.findings), *(row.spot for row in start.ledger)]
    for spot in cited:
        if spot is not None and spot.file:
            yield spot


def block_class(block: Block, changes: Mapping[int, str]) -> str:
    """The worst class of the levels of a block and of those inside."""
    ranks = ("", "keeps", "moves", "lost")
    own = [changes.get(level, "") for level in block.levels]
    inner = [block_class(child, changes) for child in block.children]
    return max([*own, *inner], key=ranks.index, default="")

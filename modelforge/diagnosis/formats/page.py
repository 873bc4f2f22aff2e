"""page: a diagnosis as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from modelforge.diagnosis import charts
from modelforge.diagnosis.document import RANDOM, Block, Spot, Start
from modelforge.diagnosis.result import Diagnosis
from modelforge.diagnosis.rows import (
    LevelRow,
    ends,
    energy,
    greatest_share,
    level_rows,
    limits,
    measured_gradient,
    measured_signal,
    seen,
    sparklines,
    stuck,
)
from modelforge.report.charts import Chart
from modelforge.report.page import render

TEMPLATE = Path(__file__).with_name("page.html")
KEPT, LOST = 1e2, 1e4
"""Factors on an energy by which a block of the network is coloured."""
MAX_OPEN = 30
"""Blocks of a network up to which all are open."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of layers."""

    title: str
    style: str = "num"
    """The class of its cells: of numbers, of curves, of words, or none."""


COLUMNS = (
    Column("type", ""),
    Column("E x²"),
    Column("copies", "spark"),
    Column("measured"),
    Column("E g²"),
    Column("copies", "spark"),
    Column("measured"),
    Column("std"),
    Column("χ₁"),
    Column("flat"),
    Column("dead"),
    Column("rank"),
    Column("note", "words"),
)


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
        random=RANDOM,
        quote=quote,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One network on the page."""

    id: str
    start: Start
    depth: tuple[Chart, ...]
    """By depth: signals, with the repair beside them, and gradients."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[LevelRow, tuple[str, ...]], ...]
    histograms: tuple[Chart, ...]
    jacobian: Chart | None
    spectra: tuple[Chart, ...]
    steps: tuple[Chart, ...]
    changes: Mapping[int, str]
    """The class of each level by what becomes of the signal."""

    @property
    def stuck(self) -> list[str]:
        """What training cannot change."""
        found = self.start.measurement
        return stuck(found.stuck) if found is not None and found.stuck is not None else []

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The energies of the last signal and of the first gradient."""
        return ends(self.start)

    @property
    def is_small(self) -> bool:
        """Whether all blocks of the network are open."""
        return _count(self.start.network) <= MAX_OPEN


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
        *_table(start),
        () if found is None else tuple(map(charts.histogram, found.histograms)),
        None
        if found is None or found.jacobian is None or not found.jacobian.values
        else charts.singular_values(found.jacobian),
        () if found is None else tuple(map(charts.eigenvalues, found.spectra)),
        () if found is None else tuple(map(charts.over_time, found.steps)),
        _changes(start),
    )


def _table(start: Start) -> tuple[tuple[Column, ...], tuple[tuple[LevelRow, tuple[str, ...]], ...]]:
    """The columns of the table of layers that hold something, and its rows."""
    curves = seen(start.levels)
    bounds = [limits([*map(curve, start.levels)]) for curve in curves]
    rows = level_rows(start.levels)
    body = [_cells(row, *(sparklines(row, curves, bounds))) for row in rows]
    used = [index for index in range(len(COLUMNS)) if any(cells[index] for cells in body)]
    shown = [tuple(cells[index] for index in used) for cells in body]
    return tuple(COLUMNS[index] for index in used), tuple(zip(rows, shown, strict=True))


def _cells(row: LevelRow, signals: str, gradients: str) -> tuple[str, ...]:
    return (
        row.type,
        row.ends(lambda level: energy(level.signal)),
        signals,
        row.ends(measured_signal),
        row.ends(lambda level: energy(level.gradient)),
        gradients,
        row.ends(measured_gradient),
        row.ends(lambda level: level.std),
        row.ends(lambda level: level.chi),
        greatest_share([level.saturated for level in row.levels]),
        greatest_share([level.dead for level in row.levels]),
        row.ends(lambda level: level.rank),
        row.note,
    )


def _changes(start: Start) -> Mapping[int, str]:
    signal, _ = seen(start.levels)
    values = [*map(signal, start.levels)]
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


def _count(blocks: Sequence[Block]) -> int:
    return sum(1 + _count(block.children) for block in blocks)


def block_class(block: Block, changes: Mapping[int, str]) -> str:
    """The worst class of the levels of a block and of those inside."""
    ranks = ("", "keeps", "moves", "lost")
    own = [changes.get(level, "") for level in block.levels]
    inner = [block_class(child, changes) for child in block.children]
    return max([*own, *inner], key=ranks.index, default="")

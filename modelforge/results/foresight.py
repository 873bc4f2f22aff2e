"""`foresight`: what runs predicted of their start, beside what became of them: a small table with counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from modelforge.core.words import number, plural
from modelforge.results.starts import RunStart, read_start
from modelforge.results.sweep import Row, Sweep
from modelforge.runs.status import DONE


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The jobs of which an explosion was predicted, or none."""

    explodes: bool
    finished: int
    diverged: int
    median: float | None
    """Of the metric, over those that finished."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """Predictions against results, over the jobs that are over and have both."""

    rows: tuple[Foreseen, ...]
    """Of an explosion first."""
    unknown: int = 0
    """Jobs that are over, of which nothing was predicted."""

    @property
    def diverged(self) -> tuple[int, int]:
        """Divergences of which an explosion was predicted, and all divergences."""
        return sum(row.diverged for row in self.rows if row.explodes), sum(row.diverged for row in self.rows)

    @property
    def finished(self) -> tuple[int, int]:
        """Jobs of which an explosion was predicted that finished all the same, and all that finished."""
        return sum(row.finished for row in self.rows if row.explodes), sum(row.finished for row in self.rows)

    @property
    def sentence(self) -> str:
        """How often the prediction foresaw a divergence, in words."""
        if not self.rows:
            return "No run recorded a prediction of its start."
        (hits, diverged), (alarms, finished) = self.diverged, self.finished
        if diverged:
            begin = f"An exploding gradient was predicted of {hits} of the {plural(diverged, 'job')} that diverged"
            return f"{begin}, and of {alarms} of the {finished} that finished.{self._medians}"
        if not alarms:
            return "No job diverged, and no exploding gradient was predicted."
        return f"No job diverged. An exploding gradient was predicted of {plural(alarms, 'job')}.{self._medians}"

    @property
    def _medians(self) -> str:
        found = {row.explodes: row.median for row in self.rows}
        alarmed, others = found.get(True), found.get(False)
        if alarmed is None or others is None:
            return ""
        return f" Those that finished have a median of {number(alarmed)}, the others of {number(others)}."


def starts_of(rows: Sequence[Row]) -> Mapping[str, RunStart]:
    """What the runs recorded of their start, by folder."""
    found = ((row.folder, read_start(Path(row.path))) for row in rows if row.path)
    return {folder: start for folder, start in found if start is not None}


def foresight(sweep: Sweep, starts: Mapping[str, RunStart]) -> Foresight:
    """Counts finished and diverged jobs by what was predicted of them.

    Args:
        sweep: The jobs.
        starts: What they recorded, by folder.
    """
    over = [(row, starts.get(row.folder, RunStart()).explodes) for row in sweep.rows if row.state in DONE]
    unknown = sum(predicted is None for _, predicted in over)
    return Foresight(tuple(_counted(sweep, over)), unknown)


def _counted(sweep: Sweep, rows: Sequence[tuple[Row, bool | None]]) -> Iterator[Foreseen]:
    for explodes in (True, False):
        chosen = [row for row, predicted in rows if predicted is explodes]
        finished = [row for row in chosen if row.state == "finished"]
        values = [value for row in finished if (value := sweep.result(row)) is not None]
        if chosen:
            middle = median(values) if values and not sweep.is_mixed else None
            yield Foreseen(explodes, len(finished), len(chosen) - len(finished), middle)

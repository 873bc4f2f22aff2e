"""`foresight`: what runs predicted of their start, beside what became of them: a small table with counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import get_args

from modelforge.core.words import plural
from modelforge.results.starts import RunStart, Verdict, read_start
from modelforge.results.sweep import Row, Sweep


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The jobs of one predicted verdict."""

    verdict: Verdict
    finished: int
    diverged: int
    median: float | None
    """Of the metric, over those that finished."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """Predictions against results, over the jobs that are over and have both."""

    rows: tuple[Foreseen, ...]
    unknown: int = 0
    """Jobs that are over, of which nothing was predicted."""

    @property
    def num_jobs(self) -> int:
        """Jobs that are compared."""
        return sum(row.finished + row.diverged for row in self.rows)

    @property
    def foreseen(self) -> tuple[int, int]:
        """Divergences of which an explosion was predicted, and all divergences."""
        return sum(row.diverged for row in self.rows if row.verdict == "explodes"), self.diverged

    @property
    def diverged(self) -> int:
        """All divergences."""
        return sum(row.diverged for row in self.rows)

    @property
    def false_alarms(self) -> tuple[int, int]:
        """Jobs of which an explosion was predicted that finished all the same, and all that finished."""
        alarmed = sum(row.finished for row in self.rows if row.verdict == "explodes")
        return alarmed, sum(row.finished for row in self.rows)

    @property
    def sentence(self) -> str:
        """How often the prediction foresaw a divergence, in words."""
        if not self.num_jobs:
            return "No run recorded a prediction of its start."
        hits, diverged = self.foreseen
        alarms, finished = self.false_alarms
        if not diverged:
            end = f"an explosion was predicted of {plural(alarms, 'job')}." if alarms else "none was predicted either."
            return f"No job diverged; {end}"
        begin = f"An exploding gradient was predicted of {hits} of the {plural(diverged, 'job')} that diverged"
        return f"{begin}, and of {alarms} of the {finished} that finished."


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
    over = [row for row in sweep.rows if row.is_over]
    verdicts: dict[str, Verdict | None] = {
        row.folder: start.verdict for row in over if (start := starts.get(row.folder))
    }
    return Foresight(tuple(_counted(sweep, over, verdicts)), sum(verdicts.get(row.folder) is None for row in over))


def _counted(sweep: Sweep, rows: Sequence[Row], verdicts: Mapping[str, Verdict | None]) -> Iterator[Foreseen]:
    for verdict in get_args(Verdict):
        chosen = [row for row in rows if verdicts.get(row.folder) == verdict]
        finished = [row for row in chosen if row.state == "finished"]
        values = [value for row in finished if (value := sweep.result(row)) is not None]
        if chosen:
            middle = median(values) if values and not sweep.is_mixed else None
            yield Foreseen(verdict, len(finished), len(chosen) - len(finished), middle)

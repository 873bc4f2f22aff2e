"""evaluation: the metrics of a part of the data, and the task's report of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelforge.core.errors import Problem
from modelforge.core.shown import Shown
from modelforge.core.words import digits, plural
from modelforge.train.tasks.report import Report


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """The metrics of a part of the data, and the task's report of it; prints as the metrics."""

    metrics: Mapping[str, float]
    """By name, without a stage: `accuracy`, `loss`."""
    report: Report
    num_examples: int
    of: str
    """What was evaluated, in words."""
    warnings: tuple[Problem, ...] = ()
    """What the user should know of the data."""
    rounding: float = 0.0
    """How far the same metrics may be apart where sums are taken in another order, relative to their size: the rounding
    of the numbers in which the model computes, and one of float32 for each batch, of the run or of this."""
    is_repeated: bool = False
    """Whether the examples are those of which the run reported its metrics."""

    def __str__(self) -> str:
        return "\n".join([self._brief(), *metric_lines({**self.metrics, **self.report.numbers})])

    def _brief(self) -> str:
        return f"{self.of}, {plural(self.num_examples, 'example')}"


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    """A line for each metric, names and numbers in columns.

    >>> metric_lines({"loss": 0.5, "accuracy": 0.9})
    ['loss      0.50000', 'accuracy  0.90000']
    """
    width = max(map(len, metrics), default=0)
    return [f"{name:{width}}  {digits(value)}" for name, value in metrics.items()]

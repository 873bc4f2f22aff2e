"""Quantities of a training: what it reaches, and after how many epochs."""

from __future__ import annotations

import math

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.gallery.quantity import CODE, Quantity, Reading, register_quantity
from modelforge.gallery.subject import Subject


@register_quantity("result")
class Result(Quantity):
    """A metric of the test part after training, with the values of the best epoch."""

    metric: str = "test/accuracy"
    """The metric."""

    def measure(self, subject: Subject) -> Reading:
        metrics = subject.training.metrics
        if metrics and self.metric not in metrics:
            raise _no_metric(self.metric, [*metrics])
        return Reading(metrics.get(self.metric, math.nan))

    @property
    def words(self) -> str:
        return self.metric.replace("/", " ")


@register_quantity("epochs_to")
class EpochsTo(Quantity):
    """The first epoch, counted from 1, after which a metric is as low as asked; infinite if no epoch reaches it."""

    below: float
    """What the metric must reach."""
    metric: str = "val/loss"
    """A metric of each epoch of which less is better."""

    def measure(self, subject: Subject) -> Reading:
        rows = subject.training.epochs
        if rows and self.metric not in rows[0]:
            raise _no_metric(self.metric, [name for name in rows[0] if "/" in name])
        reached = (number for number, row in enumerate(rows, 1) if row[self.metric] <= self.below)
        return Reading(next(reached, math.inf))

    @property
    def words(self) -> str:
        return f"epochs to {self.metric} ≤ {self.below:g}"


def _no_metric(name: str, known: list[str]) -> ForgeError:
    return ForgeError([Problem(CODE, "claim", f"the training has no metric `{name}`", did_you_mean(name, known))])

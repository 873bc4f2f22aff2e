"""The four tasks and what each is measured by, in words. Imports nothing: a config is checked against them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

TaskName = Literal["classification", "regression", "language_modelling", "autoencoding"]
METRICS: Mapping[str, str] = MappingProxyType(
    {"classification": "accuracy", "regression": "r2", "language_modelling": "bits", "autoencoding": "mse"}
)
"""By task: what is logged beside the loss, chooses the best checkpoint, and ends in the last line."""
LOWER_IS_BETTER = ("loss", "bits", "mse")


def main_metric(task: str) -> str:
    """What chooses the best checkpoint of a task unless the config says otherwise.

    Example:
        >>> main_metric("regression")
        'val/r2'
    """
    return f"val/{METRICS.get(task, 'loss')}"


def direction(metric: str) -> Literal["min", "max"]:
    """Whether a lower or a higher value of a metric is better."""
    return "min" if metric.endswith(LOWER_IS_BETTER) else "max"

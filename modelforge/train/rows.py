"""`Rows`: the metrics of a run so far, one row an epoch and one a logged step; every checkpoint holds them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

PER_STEP = "step/"
"""The names of what is measured once a step begin with this."""


class Rows:
    """Metrics by their step, exactly as they were measured; those of one step meet in one row."""

    def __init__(self) -> None:
        self.epochs: dict[int, dict[str, Any]] = {}
        """A row for each end of an epoch, validation or test."""
        self.steps: dict[str, array[float]] = {"step": array("d"), "epoch": array("d")}
        """Columns of what was measured per step; NaN where a row has no value."""

    @property
    def num_steps(self) -> int:
        """The number of rows of steps."""
        return len(self.steps["step"])

    def add(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Adds metrics to the rows of `step`: those named `step/...` to its row of steps, the others to its epoch's."""
        of_step = {name.removeprefix(PER_STEP): value for name, value in metrics.items() if name.startswith(PER_STEP)}
        others = {name: float(value) for name, value in metrics.items() if not name.startswith(PER_STEP)}
        if of_step and step is not None:
            self._add_to_step(step, {"epoch": others.get("epoch", math.nan)} | of_step)
        if others.keys() - {"epoch"} or not of_step:
            self.epochs.setdefault(_key(step), {"step": step}).update(others)

    def step_row(self, index: int) -> dict[str, float]:
        """One row of steps, without what it has no value of."""
        row = {name: column[index] for name, column in self.steps.items()}
        return {name: value for name, value in row.items() if not math.isnan(value)}

    def replayed(self) -> Iterator[tuple[dict[str, float], int | None]]:
        """All that was added, in the order of the steps, as a logger takes it."""
        steps = map(self.step_row, range(self.num_steps))
        rows = [(int(row.pop("step")), _of_step(row)) for row in steps]
        rows += [
            (key, {name: value for name, value in row.items() if name != "step"}) for key, row in self.epochs.items()
        ]
        for key, row in sorted(rows, key=lambda item: item[0]):
            yield row, None if key < 0 else key

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        steps = {name: torch.tensor(column, dtype=torch.float64) for name, column in self.steps.items()}
        return {"history": self.epoch_rows(), "steps": steps}

    def epoch_rows(self) -> list[dict[str, Any]]:
        """A copy of the rows of epochs."""
        return [dict(row) for row in self.epochs.values()]

    def restore(self, epochs: Iterable[Mapping[str, Any]], steps: Mapping[str, Tensor] | None = None) -> None:
        """Goes on from what a checkpoint keeps; without `steps`, the rows of steps stay."""
        self.epochs = {_key(row["step"]): dict(row) for row in epochs}
        if steps is not None:
            self.steps = {name: array("d", column.tolist()) for name, column in steps.items()}

    def _add_to_step(self, step: int, values: Mapping[str, float]) -> None:
        if not self.num_steps or self.steps["step"][-1] != step:
            for name, column in self.steps.items():
                column.append(step if name == "step" else math.nan)
        for name, value in values.items():
            if name not in self.steps:
                self.steps[name] = array("d", [math.nan]) * self.num_steps
            self.steps[name][-1] = float(value)


def _key(step: int | None) -> int:
    return -1 if step is None else step


def _of_step(row: Mapping[str, float]) -> dict[str, float]:
    return {name if name == "epoch" else f"{PER_STEP}{name}": value for name, value in row.items()}

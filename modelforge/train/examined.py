"""The test part example by example: predictions and losses in test_predictions.csv, the worst in test_worst.csv."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from modelforge.core.errors import Problem
from modelforge.core.files import write_atomically
from modelforge.core.tensors import mapped
from modelforge.core.words import plural
from modelforge.report.columns import apart, as_csv
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Array
from modelforge.train.data.split import IN_WORDS, PARTS
from modelforge.train.learner import Learner
from modelforge.train.parallel.world import SINGLE_PROCESS, World
from modelforge.train.tasks.task import Task

NUM_WORST = 20
PREDICTIONS = "test_predictions.csv"
WORST = "test_worst.csv"


class Examined(Callback):
    """Keeps what a test gives for each example, and writes it at the end.

    A column holds one value an example; one of the task that is called `loss` or `example`, or as where an example
    comes from (`row`, `file`), becomes `prediction_loss`.
    What a task predicts in several places at once is left out. A task without
    right answers in words, such as the next token of a text, has the file of the worst alone.

    Args:
        task: Gives the losses, predictions and right answers.
        fitted: What was measured on the training data; see `Examples.fitted`.
        folder: The run folder.
        places: Columns that say where the examples come from; see `Examples.places`.
        world: The processes of the run; the first one writes what all found, in the order of the examples.
    """

    def __init__(
        self,
        task: Task,
        fitted: Mapping[str, Any],
        folder: Path,
        places: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        world: World = SINGLE_PROCESS,
    ) -> None:
        self.task = task
        self.fitted = fitted
        self.folder = folder
        self.places = places
        self.world = world
        self.batches: list[Mapping[str, Array]] = []
        self.has_answers = False

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Adds a batch, unless another process counts it."""
        if self.world.size > 1:
            assert isinstance(pl_module, Learner)
            if not pl_module.share("test", batch_idx).own:
                return
        inputs, scores, targets = mapped(Tensor.cpu, batch[0]), outputs.detach().cpu(), batch[1].cpu()
        answers = self.task.answers(targets, self.fitted)
        self.has_answers = bool(answers)
        columns = {**answers, **self.task.kept_predictions(scores, self.fitted)}
        flat = {name: column for name, column in columns.items() if column.ndim == 1}
        named = dict(zip(apart(flat, ("example", *self.places, "loss"), "prediction_"), flat.values(), strict=True))
        self.batches.append({"loss": example_losses(self.task, scores, (inputs, targets)), **named})

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes both files; a dry run leaves none, nor does a loss that needs several examples."""
        batches = self._all_batches()
        dry = trainer.fast_dev_run  # pyright: ignore[reportAttributeAccessIssue]  # set by a connector
        if not batches or dry or not self.world.is_rank_zero:
            return
        columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        number = len(columns["loss"])
        places = {name: np.asarray(column)[:number] for name, column in self.places.items()}
        numbered: dict[str, Any] = {"example": np.arange(number), **places, **columns}
        if np.isnan(columns["loss"]).all():
            return
        # What is not finite is worst.
        worst = np.argsort(-np.nan_to_num(columns["loss"], nan=np.inf), kind="stable")[:NUM_WORST]
        write_atomically(self.folder / WORST, as_csv({name: column[worst] for name, column in numbered.items()}))
        if self.has_answers:
            write_atomically(self.folder / PREDICTIONS, as_csv(numbered))

    def _all_batches(self) -> list[Mapping[str, Array]]:
        """The batches of all processes, which take turns."""
        each = self.world.gather(self.batches)
        return [batches[index] for index in range(len(each[0])) for batches in each if index < len(batches)]


def example_losses(task: Task, outputs: Tensor, batch: Batch) -> Array:
    """What each example of a batch adds to the loss; NaN where a loss needs several examples."""
    try:
        with torch.no_grad():
            return task.losses(outputs, batch).double().numpy()
    except Exception:  # of all kinds: a loss of the user's own may compare examples with each other
        return np.full(len(batch[1]), math.nan)


def uncomputed(failed: Mapping[str, str], task: Task) -> Iterator[Problem]:
    """The warnings about metrics of a part that could not be computed.

    Args:
        failed: Why, by their names with the stage.
        task: Has one of them.
    """
    words = dict[str, str](zip(PARTS, IN_WORDS, strict=True))
    for name, why in failed.items():
        stage, _, metric = name.partition("/")
        key = "data.task" if metric == task.metric else f"metrics.{metric}"
        message = f"`{name}` could not be computed, and is NaN: {why}"
        hint = f"the {words[stage]} part must hold what it needs, such as more examples"
        yield Problem("MW225", key, message, hint, part="key")


def unscored(
    number: int, metrics: Mapping[str, float], size: int, failed: Collection[str] = frozenset()
) -> Iterator[Problem]:
    """The warning about metrics of a test that have no value.

    Args:
        number: How many examples have outputs that are not finite.
        metrics: The metrics.
        size: How many examples there are.
        failed: Metrics that `uncomputed` names.
    """
    if number:
        message = f"the model's outputs for {number:,} of {plural(size, 'test example')} are not finite"
        hint = f"so no metric of the test has a value; such examples come first in {WORST}"
        yield Problem("MW225", "data", message, hint, part="key")
        return
    for name, value in metrics.items():
        if not math.isfinite(value) and name not in failed:
            yield Problem("MW225", "data", f"`{name}` is {value}", "status.json holds finite values only", part="key")

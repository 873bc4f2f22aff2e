"""find_rate, find_batch_size: Lightning's tuner on a config, with the initial values and the order of its training."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from tempfile import TemporaryDirectory
from typing import Any

import lightning
from lightning import Trainer
from lightning.pytorch.tuner.tuning import Tuner
from torch.optim import Optimizer

from modelforge.building.build import build
from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError
from modelforge.core.rng import narrow
from modelforge.train.arguments import misuse
from modelforge.train.data.module import DataModule
from modelforge.train.data.read import read
from modelforge.train.divergence import NotFinite
from modelforge.train.learner import Learner
from modelforge.train.prepare import Job, located, prepare
from modelforge.train.trainer import check_trainer, quiet, with_precision

NUM_SKIPPED = 12
"""Points at the begin and the end of a test in which Lightning looks for no suggestion, and one more."""


@dataclass(frozen=True)
class RateTest:
    """A learning-rate range test: the smoothed loss while the learning rate rises."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float | None
    """Where the loss falls most steeply; None where it does not fall."""


@dataclass(frozen=True)
class BatchSizeTest:
    """The largest batch size that fits: a power of two, or all examples."""

    size: int
    num_examples: int
    """Of the training: no batch is larger."""


class _Sized(DataModule):
    """Data whose batch size the tuner sets."""

    @property
    def batch_size(self) -> int:
        return self.source.batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self.source = self.source.model_copy(update={"batch_size": size})


class _Tested(Learner):
    """Trains while the learning rate rises, which Lightning sets alike in all groups: here they keep their ratio."""

    def configure_optimizers(self) -> Any:
        """The optimizer alone; the test brings a scheduler."""
        found = super().configure_optimizers()
        optimizer: Optimizer = found["optimizer"] if isinstance(found, dict) else found
        asked = optimizer.defaults["lr"]
        self._ratios = [group["lr"] / asked if asked else 1.0 for group in optimizer.param_groups]
        return optimizer

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Sets the rates of this step."""
        super().on_before_optimizer_step(optimizer)
        (timing,) = self.trainer.lr_scheduler_configs
        rate: float = timing.scheduler.lr[0]  # pyright: ignore[reportAttributeAccessIssue]  # that of the tuner has it
        for group, ratio in zip(optimizer.param_groups, self._ratios, strict=True):
            group["lr"] = rate * ratio


def find_rate(config: Config, *, lowest: float, highest: float, num_steps: int) -> RateTest:
    """Trains for some steps while the learning rate rises from step to step. Smith 2017.

    It takes the place of `optimizer.lr`; groups, depth and width multiply it as in a training.

    Args:
        config: What is to be trained.
        lowest: The first learning rate.
        highest: The last one; the test ends before, where the loss is four times its lowest.
        num_steps: How many there are.

    Raises:
        ForgeError: the config or the data is wrong, or the loss is not finite.
    """
    if not 0 < lowest < highest or math.isinf(highest):
        message = f"the learning rates must rise, from above 0: {lowest:g} to {highest:g} do not"
        raise ForgeError([misuse("optimizer.lr", message, "give other values for `--min` and `--max`")])
    with _ready(config, _Tested) as (tuner, learner, data):
        try:
            finder = tuner.lr_find(
                learner, datamodule=data, min_lr=lowest, max_lr=highest, num_training=num_steps, update_attr=False
            )
        except NotFinite as error:
            message = f"at step {error.step} of the test, {error.finding}"
            raise ForgeError([misuse("optimizer.lr", message, f"end before: `--max` below {highest:g}")]) from error
        assert finder is not None
        found: list[tuple[float, float]] = list(zip(finder.results["lr"], finder.results["loss"], strict=False))
        suggestion = finder.suggestion() if len(found) > NUM_SKIPPED else None
    return RateTest(tuple(rate for rate, _ in found), tuple(loss for _, loss in found), suggestion)


def find_batch_size(config: Config) -> BatchSizeTest:
    """Doubles the batch size until memory is short, or a batch holds all examples.

    Raises:
        ForgeError: the config or the data is wrong.
    """
    with _ready(config, Learner) as (tuner, learner, data):
        size = tuner.scale_batch_size(learner, datamodule=data, mode="power", batch_arg_name="batch_size")
        assert size is not None
        num_examples = len(data.examples.train)
        return BatchSizeTest(min(size, num_examples), num_examples)


@contextmanager
def _ready(config: Config, kind: type[Learner]) -> Generator[tuple[Tuner, Learner, _Sized]]:
    """A tuner, and a model and data that are as `train.py` has them at its first step."""
    with located(config):
        job = prepare(config)
        if wrong := check_trainer(job.trainer, job.optimizer):
            raise ForgeError(wrong)
        settings, source = job.settings, job.settings.data
        examples = read(source)
        lightning.seed_everything(narrow(settings.seed), workers=True, verbose=False)
        model, task = build(job.plan, seed=settings.seed), source.task.prepared(examples, source)
        learner = kind(model, task, source, job.optimizer, job.scheduler, settings.factories, freezing=job.freezing)
        data = _Sized(source, examples, settings.seed)
        with quiet(), _no_bar_in_a_file(), TemporaryDirectory() as folder:
            yield Tuner(_trainer(job, folder)), learner, data


def _no_bar_in_a_file() -> AbstractContextManager[Any]:
    """The tuner draws a bar, whatever reads it."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(StringIO())


def _trainer(job: Job, folder: str) -> Trainer:
    """Trains as long as the tuner asks it to."""
    without_limits: dict[str, Any] = {"max_epochs": -1, "max_steps": -1, "max_time": None, "fast_dev_run": False}
    without_display: dict[str, Any] = {"enable_progress_bar": False, "limit_val_batches": 0}
    return Trainer(
        **{**with_precision(job.trainer), **without_limits, **without_display},
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )

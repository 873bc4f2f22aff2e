"""What is done at each step: `SeedSteps` makes dropout a function of the step, `LogSteps` logs every n-th."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from modelforge.building.shards import whole
from modelforge.core.rng import Key
from modelforge.train.learner import Learner
from modelforge.train.parallel.world import SINGLE_PROCESS, World
from modelforge.train.rows import PER_STEP


class SeedSteps(Callback):
    """Seeds torch's global generators at each step, so that dropout too is a function of `(seed, step)` alone.

    Of several processes, the first draws what one process draws, and each of the others something else.
    """

    def __init__(self, seed: int, world: World = SINGLE_PROCESS) -> None:
        self.seed = seed
        self.names = ("step",) if world.is_rank_zero else ("rank", world.rank, "step")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        Key(self.seed, *self.names, trainer.fit_loop.total_batch_idx).seed_globals()


class LogSteps(Callback):
    """Logs each step that `trainer.log_every_n_steps` names, as `step/loss`, `step/lr` and `step/gradient_norm`.

    The loss is what the step minimized: the mean over all that it accumulates. The learning rate is that of
    the optimizer's first group, the gradient norm that of all parameters before clipping. Of several processes, it is
    the loss of their examples together.
    """

    def __init__(self, world: World = SINGLE_PROCESS) -> None:
        self.world = world
        self._loss: float | Tensor = 0.0
        self._values: dict[str, Any] = {}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if is_logged(trainer) and not self._values:  # LBFGS evaluates a step several times
            gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
            norm = whole(nn.utils.get_total_norm(gradients))
            self._values = {"lr": optimizer.param_groups[0]["lr"], "gradient_norm": norm}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if isinstance(pl_module, Learner) and pl_module.batch_loss is not None:
            self._loss = self._loss + pl_module.batch_loss / trainer.accumulate_grad_batches
        else:
            self._loss = self._loss + outputs["loss"].detach()  # divided by that number
        if trainer.fit_loop._should_accumulate():
            return
        if self._values:
            if isinstance(pl_module, Learner):
                self._loss = self._loss * pl_module.step_factor
            loss = self._loss if self.world.size == 1 else self.world.mean(float(self._loss))
            log_step(trainer, {"loss": loss, **self._values})
        self._loss, self._values = 0.0, {}


def step_of(trainer: Trainer) -> int:
    """The number of the step at hand, from 0, as Lightning logs it."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def is_logged(trainer: Trainer) -> bool:
    """Whether `trainer.log_every_n_steps` names the step at hand."""
    every: int = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]  # set by a connector
    return every > 0 and (step_of(trainer) + 1) % every == 0


def log_step(trainer: Trainer, values: Mapping[str, float | Tensor]) -> None:
    """Gives values of the step at hand to every logger, each as `step/...`."""
    numbers = {
        f"{PER_STEP}{name}": value.item() if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
    for logger in trainer.loggers:
        logger.log_metrics({**numbers, "epoch": trainer.current_epoch}, step=step_of(trainer))

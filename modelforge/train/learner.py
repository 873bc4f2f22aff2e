"""`Learner`: a model and a task as Lightning trains them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from modelforge.core.errors import ForgeError
from modelforge.train.data.batches import Batch, Inputs, read_by
from modelforge.train.divergence import NotFinite, locate
from modelforge.train.freezing import Freezing
from modelforge.train.hooks.averaging import go_on_from_trained
from modelforge.train.optimizers.optimizer import OptimizerFactory
from modelforge.train.schedulers.scheduler import SchedulerFactory
from modelforge.train.tasks.task import Data, Task

COUNTED = "modelforge_counted"
"""The key in a checkpoint of what the training counted in its epoch, for `train/loss` and the metric."""
LENGTH = "modelforge_length"
"""The key in a checkpoint of the length of the training, in intervals of its scheduler."""
_UPDATES = "updates"


def counted(task: Task, meters: Mapping[str, Metric], loss: MeanMetric, outputs: Tensor, batch: Batch) -> None:
    """Adds one batch of a test to the task's metric, further ones, and the loss, as a run counts them."""
    loss.update(task.loss(outputs, batch).detach(), len(batch[1]))
    for name, meter in meters.items():
        if name == task.metric:
            task.count(meter, outputs, batch)
        else:
            meter.update(*task.scored(outputs, batch))


class Learner(LightningModule):
    """The loss and the metric of a task around a model.

    Args:
        model: Maps a batch of inputs to what the task takes.
        task: The purpose of the training.
        data: What the data declares.
        optimizer: Makes the optimizer of the model's parameters.
        scheduler: Makes the learning-rate scheduler, if there is one.
        metrics: Make further metrics of validation and test, by their names.
        freezing: Which parameters are not trained, and when.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        data: Data,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        metrics: Mapping[str, Callable[[], Metric]] = MappingProxyType({}),
        freezing: Freezing | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.meters = nn.ModuleDict({stage: task.meter(data) for stage in ("_train", "_val", "_test")})
        further = {stage: {name: make() for name, make in metrics.items()} for stage in ("val", "test")}
        self.further = further
        # Registered in order, so that Lightning moves and resets them.
        self._further = nn.ModuleList(meter for meters in further.values() for meter in meters.values())
        # Unlike the sum that Lightning keeps of a loss, this one can be saved in the middle of an epoch.
        self.train_loss = MeanMetric(nan_strategy=math.nan)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.freezing = freezing or Freezing()

    def forward(self, inputs: Inputs) -> Tensor:
        """The model's outputs."""
        return read_by(self.model, inputs)

    def on_train_start(self) -> None:
        """Brings a training that goes on from a checkpoint to where it was."""
        self.freezing.apply(self.model, self.current_epoch)
        if self.scheduler is not None:
            for timing in self.trainer.lr_scheduler_configs:
                self.scheduler.realign(timing.scheduler)

    def on_train_epoch_start(self) -> None:
        """Thaws what is to be trained from this epoch on."""
        self.freezing.apply(self.model, self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch.

        Raises:
            NotFinite: it is not finite.
        """
        return self._step(batch, "train")[0]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Counts one batch towards `val/loss` and the metric."""
        self._step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Counts one batch towards `test/loss` and the metric, and gives the outputs."""
        return self._step(batch, "test")[1]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Stops before a gradient that is not finite reaches the parameters.

        Raises:
            NotFinite: it is not finite.
        """
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return  # float16 scales its loss by trial and error and skips such steps on its own
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        if gradients and not bool(torch.isfinite(nn.utils.get_total_norm(gradients, float("inf")))):
            raise NotFinite(locate(self.model, self._inputs), self.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what was counted so far in this epoch, and the length of the training where the scheduler keeps it."""
        checkpoint[COUNTED] = [
            {name: getattr(meter, name) for name in meter._defaults} | {_UPDATES: meter._update_count}
            for meter in self._counting()
        ]
        scheduler = self.scheduler
        checkpoint[LENGTH] = scheduler.length if scheduler is not None and scheduler.keeps_length else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on counting from there, and training from the weights that were trained.

        Raises:
            ForgeError: the scheduler keeps the length of the training that it began with, and now it is another.
        """
        if self.scheduler is not None and (problem := self.scheduler.wrong_length(checkpoint.get(LENGTH))):
            raise ForgeError([problem])
        if self.trainer.state.fn == TrainerFn.FITTING:
            go_on_from_trained(checkpoint)
            # Lightning does so after it has read the weights: those of `64-true` would be rounded to float32.
            self.trainer.precision_plugin.convert_module(self)
        for meter, values in zip(self._counting(), checkpoint.get(COUNTED, ()), strict=False):
            for name in meter._defaults:
                setattr(meter, name, values[name].to(meter.device))
            meter._update_count = values[_UPDATES]

    def _counting(self) -> Sequence[Metric]:
        meter = self.meters["_train"]
        assert isinstance(meter, Metric)
        return self.train_loss, meter

    def configure_optimizers(self) -> Any:
        """The optimizer, and the scheduler where there is one."""
        never = self.freezing.never_trained
        optimizer = self.optimizer(
            (path, weight) for path, weight in self.model.named_parameters() if path not in never
        )
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer, self.trainer.check_val_every_n_epoch)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def _step(self, batch: Batch, stage: str) -> tuple[Tensor, Tensor]:
        """The loss and the outputs."""
        inputs, targets = batch
        outputs = read_by(self.model, inputs)
        loss = self.task.loss(outputs, batch)
        if stage != "test" and not bool(torch.isfinite(loss)):
            raise NotFinite(locate(self.model, inputs), self.global_step)
        if stage == "train":
            self._inputs = inputs
        meter = self.meters[f"_{stage}"]
        assert isinstance(meter, Metric)
        self.task.count(meter, outputs.detach(), batch)
        size = len(targets)
        if stage == "train":
            self.train_loss.update(loss.detach(), size)
        logged = self.train_loss if stage == "train" else loss
        self.log(f"{stage}/loss", logged, on_step=False, on_epoch=True, batch_size=size)
        self.log(f"{stage}/{self.task.metric}", meter, on_step=False, on_epoch=True, batch_size=size)
        for name, further in self.further.get(stage, {}).items():
            further.update(*self.task.scored(outputs.detach(), batch))
            self.log(f"{stage}/{name}", further, on_step=False, on_epoch=True, batch_size=size)
        return loss, outputs

"""`Classifier`: what Lightning needs to know to train a model that tells classes apart."""

from __future__ import annotations

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.classification import MulticlassAccuracy

from modelforge.train.data import Batch
from modelforge.train.divergence import NotFinite, locate
from modelforge.train.optimizers import OptimizerFactory, SchedulerFactory


class Classifier(LightningModule):
    """Cross entropy and accuracy around a model whose output is one score per class.

    Args:
        model: Maps a batch to scores `(batch, num_classes)`.
        num_classes: How many classes there are.
        optimizer: Makes the optimizer of the model's parameters.
        scheduler: Makes the learning-rate scheduler, if there is one.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.accuracy = nn.ModuleDict(
            {stage: MulticlassAccuracy(num_classes, average="micro") for stage in ("_train", "_val", "_test")}
        )
        self.optimizer = optimizer
        self.scheduler = scheduler

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's scores."""
        return self.model(inputs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch.

        Raises:
            NotFinite: it is not finite.
        """
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Counts one batch towards `val/loss` and `val/accuracy`."""
        self._step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Counts one batch towards `test/loss` and `test/accuracy`."""
        self._step(batch, "test")

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

    def configure_optimizers(self) -> Any:
        """The optimizer, and the scheduler where there is one."""
        optimizer = self.optimizer(self.model.named_parameters())
        return (
            optimizer if self.scheduler is None else {"optimizer": optimizer, "lr_scheduler": self.scheduler(optimizer)}
        )

    def _step(self, batch: Batch, stage: str) -> Tensor:
        inputs, labels = batch
        scores = self.model(inputs)
        loss = functional.cross_entropy(scores.float(), labels)
        if stage != "test" and not bool(torch.isfinite(loss)):
            raise NotFinite(locate(self.model, inputs), self.global_step)
        if stage == "train":
            self._inputs = inputs
        accuracy = self.accuracy[f"_{stage}"]
        assert isinstance(accuracy, MulticlassAccuracy)
        accuracy(scores.detach(), labels)
        size = len(labels)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, batch_size=size)
        self.log(f"{stage}/accuracy", accuracy, on_step=False, on_epoch=True, batch_size=size)
        return loss

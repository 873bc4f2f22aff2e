"""A model of one number, trained by Lightning on two batches an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Number(nn.Module):
    """A weight, a buffer that follows it, and one that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("halved", torch.tensor(0.5))
        self.register_buffer("steps", torch.tensor(3))


class Falling(LightningModule):
    """The weight falls by the learning rate in each step; what validations see of it is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Number()
        self.trained: list[float] = []
        self.validated: list[float] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.model.weight * 1.0

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.model.halved.copy_(self.model.weight.detach() / 2)
        self.model.steps += 1
        self.trained.append(self.model.weight.item())

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.validated.append(self.model.weight.item())
        self.log("val/loss", self.model.weight)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.25)


def fit(folder: Path, *callbacks: Callback, logger: Logger | bool = False, **settings: Any) -> tuple[Trainer, Falling]:
    """A training of three epochs of two steps each."""
    module, data = Falling(), DataLoader(TensorDataset(torch.zeros(2, 1)))
    every = {"max_epochs": 3, "num_sanity_val_steps": 0, "log_every_n_steps": 1} | settings
    trainer = Trainer(
        accelerator="cpu", logger=logger, callbacks=[*callbacks], default_root_dir=folder, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **every,
    )  # fmt: skip
    trainer.fit(module, data, DataLoader(TensorDataset(torch.zeros(1, 1))))
    return trainer, module

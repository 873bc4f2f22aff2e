"""`SeedSteps`: dropout as a function of `(seed, step)`, so that a resumed run draws what an unbroken one would."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer


class SeedSteps(Callback):
    """Seeds torch's global generator at each step, so that dropout too is a function of `(seed, step)` alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Lightning calls this before each step."""
        torch.manual_seed((self.seed * 1_000_003 + trainer.fit_loop.total_batch_idx) % 2**32)

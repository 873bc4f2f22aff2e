"""`SeedSteps`: torch's random state while training, dropout's too, as a function of the seed and the step."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from modelforge.core.rng import Key


class SeedSteps(Callback):
    """Seeds torch's global generators at each step, so that dropout too is a function of `(seed, step)` alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        Key(self.seed, "step", trainer.fit_loop.total_batch_idx).seed_globals()

"""Seeds for what is not keyed: dropout by `(seed, step)`, and any seed in the 32 bits that NumPy and Lightning take."""

from __future__ import annotations

from hashlib import sha256
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


def narrow(seed: int) -> int:
    """A seed of any size in 32 bits: itself where it fits, else a digest of it, lest 2³² + 1 be 1.

    Example:
        >>> narrow(7), narrow(2**32 + 7)
        (7, 801402108)
    """
    return seed if seed < 2**32 else int.from_bytes(sha256(str(seed).encode()).digest()[:4], "big")

"""`KeepConfig`: the config that made the weights goes into every checkpoint, for `check_resumable` to compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer

from modelforge.train.resume import KEY, SECTIONS


class KeepConfig(Callback):
    """Puts the config that made the weights into every checkpoint."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {section: values.get(section) for section in SECTIONS}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning calls this with what it is about to write."""
        checkpoint[KEY] = self.values

"""`Wandb`: Lightning's logger for Weights & Biases, without what looks at more than the run."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from modelforge.train.context import Context


class Wandb(WandbLogger):
    """A run of its own for each training; files of the run folder are its artifact.

    Args:
        context: What is known of the run.
        settings: Of `wandb.init`.
    """

    def __init__(self, context: Context, **settings: Any) -> None:
        alone = wandb.Settings(
            console="off",
            silent=True,
            disable_code=True,
            disable_git=True,
            x_disable_machine_info=True,
            x_disable_meta=True,  # it asks the network which cloud this is
            x_disable_stats=True,
        )
        super().__init__(save_dir=context.folder, tags=context.tags, settings=alone, **settings)
        del self._wandb_init["anonymous"]  # wandb warns of it, even where it is not set
        artifact = wandb.Artifact("modelforge-run", type="run", description=str(context.folder))
        for path in context.artifacts:
            artifact.add_file(str(path), policy="immutable")
        self.experiment.log_artifact(artifact)

    @rank_zero_only
    def end(self, *, finished: bool) -> None:
        """Ends the run, so that the next job of a multirun gets its own."""
        self.experiment.finish(exit_code=0 if finished else 1)

"""`Multirun`: what Hydra gives a sweeper, with a loader that gives launchers frozen jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from modelforge.sweeps.frozen_loader import FrozenLoader


@dataclass(frozen=True)
class Multirun:
    """What a sweeper is to run."""

    folder: Path
    """Of the sweep."""
    context: HydraContext
    """Hydra's; its loader gives frozen jobs."""
    task: TaskFunction
    """What a job does."""
    config: DictConfig
    """Of the multirun."""
    arguments: Sequence[str] = ()
    """The overrides of the command line, without Hydra's own."""


def multirun(context: HydraContext, task: TaskFunction, config: DictConfig) -> Multirun:
    """What Hydra gives a sweeper before the command line.

    Args:
        context: Hydra's.
        task: What a job does.
        config: Of the multirun.
    """
    loader = FrozenLoader(Path(str(config.hydra.sweep.dir)), context.config_loader)
    return Multirun(loader.folder, HydraContext(config_loader=loader, callbacks=context.callbacks), task, config)

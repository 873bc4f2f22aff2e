"""`OptunaSweeper`: `hydra/sweeper=optuna`. Optuna is imported where a search begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from modelforge.report.stream import exiting
from modelforge.sweeps.multirun import multirun


class OptunaSweeper(Sweeper):
    """Runs the trials of a study, each as a frozen job.

    Args:
        settings: Of `hydra.sweeper`, read where the search begins: one that is resumed has those that it began with.
    """

    def __init__(self, **settings: Any) -> None:
        del settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what the trials are launched with."""
        self.multirun = multirun(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Runs trials until the study has all of them."""
        from modelforge.sweeps.optuna_search import search

        with exiting():
            search(replace(self.multirun, arguments=arguments))

"""`FreezingSweeper`: does what Hydra's basic one does, for jobs that are checked and frozen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from modelforge.report.stream import exiting
from modelforge.sweeps.launchers import start_early
from modelforge.sweeps.multirun import multirun


class FreezingSweeper(Sweeper):
    """Takes the place of `basic` in conf/hydra/default.yaml; launchers run the frozen jobs as any others.

    Args:
        max_batch_size: Jobs that a launcher gets at a time; None for all.
        params: Values that files name, by key.
    """

    def __init__(self, max_batch_size: int | None = None, params: Mapping[str, Any] | None = None) -> None:
        self.max_batch_size = max_batch_size
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Has the launcher ask us for the configs of jobs."""
        self.multirun = multirun(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        """Runs all jobs, or those without a result of the sweep that is resumed."""
        with exiting(), start_early(self.multirun.config) as begun:
            from modelforge.sweeps.frozen_sweep import run

            run(replace(self.multirun, arguments=arguments), self.max_batch_size, begun)

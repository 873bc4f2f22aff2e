"""The end of a multirun: the table of its jobs, sweep.csv, and exit 1 if a job has no result."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from modelforge.config.sweeps import FREEZING, running_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import SWEEP, write_atomically
from modelforge.core.quoting import printable
from modelforge.report.screen import Screen
from modelforge.report.stream import exiting
from modelforge.runs.collect import JOBS, collect
from modelforge.runs.liveness import STATUS
from modelforge.runs.table import table
from modelforge.train.frozen_job import DONE

if TYPE_CHECKING:
    from omegaconf import DictConfig


class SweepReport(Callback):
    """Chosen in conf/hydra/default.yaml as `sweep_report`; runs where the multirun was started."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before another sweeper than ours: refuses a folder that holds runs, and notes which jobs there will be."""
        folder = Path(str(config.hydra.sweep.dir))
        with exiting():
            if config.hydra.sweeper._target_ == FREEZING:
                return
            sweep = running_sweep(config)
            if any(folder.rglob(STATUS)):
                message = f"`{folder}` already holds runs"
                hint = "choose another folder, or remove this one"
                raise ForgeError([Problem("MF051", SWEEP, message, hint)])
            if sweep.axes:
                write_atomically(folder / JOBS, json.dumps([*sweep.jobs()], indent=1) + "\n", SWEEP)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Prints the table and writes `sweep.csv`."""
        folder = Path(str(config.hydra.sweep.dir))
        with exiting():
            sweep = collect(folder)
        console = Screen()
        console.print()
        console.print(table(sweep))
        counts = ", ".join(f"{number} {state}" for state, number in sweep.counts.items())
        console.print(f"\n{counts}  ·  {printable(str(folder))}", highlight=False, markup=False, soft_wrap=True)
        with exiting():
            write_atomically(folder / "sweep.csv", sweep.to_csv(), SWEEP)
        if sweep.counts.keys() - {*DONE}:
            sys.exit(1)

"""The end of a multirun: the report of its jobs, and exit 1 if a job has no result, or no job began."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from modelforge.config.engines import NONE, PLUGINS, SEARCH
from modelforge.config.sweeps import running_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import SWEEP, write_atomically
from modelforge.core.words import plural
from modelforge.report.screen import Screen
from modelforge.report.stream import exiting
from modelforge.results.collect import JOBS
from modelforge.results.report import report_sweep
from modelforge.results.sweep import OPEN, OVER
from modelforge.runs.liveness import STATUS
from modelforge.train.terminal import say

if TYPE_CHECKING:
    from omegaconf import DictConfig


class SweepReport(Callback):
    """Chosen in conf/hydra/default.yaml as `sweep_report`; runs where the multirun was started."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before another sweeper than ours: refuses a folder that holds runs, and notes which jobs there will be."""
        folder = Path(str(config.hydra.sweep.dir))
        with exiting():
            if str(config.hydra.sweeper._target_).startswith(PLUGINS):
                return
            if any(folder.rglob(STATUS)):
                message = f"`{folder}` already holds runs"
                hint = "choose another folder, or remove this one"
                raise ForgeError([Problem("MF051", SWEEP, message, hint)])
            sweep = running_sweep(config)
            if sweep.axes:
                write_atomically(folder / JOBS, json.dumps([*sweep.jobs()], indent=1) + "\n", SWEEP)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Prints the tables, and writes `sweep.csv` and `sweep.html`; if nothing was launched, says how to."""
        if config.hydra.launcher._target_ == NONE:
            folder = shlex.quote(str(config.hydra.sweep.dir))
            say(f"to run these jobs: modelforge sweep work {folder} --any, or modelforge sweep script slurm {folder}")
            return
        with exiting():
            sweep = report_sweep(Path(str(config.hydra.sweep.dir)), Screen())
        if num_open := sum(sweep.counts.get(state, 0) for state in OPEN):
            folder = shlex.quote(str(config.hydra.sweep.dir))
            say(f"other processes have {plural(num_open, 'job')} to run: modelforge sweep --watch {folder} shows them")
        good = OVER | OPEN if config.hydra.sweeper._target_ == SEARCH else OVER  # others may work on the same study
        if not sweep.rows or sweep.counts.keys() - good:
            sys.exit(1)

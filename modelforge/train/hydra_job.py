"""run: what `train.py` hands to `hydra.main`: a single run, or a job of a multirun."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from modelforge.config.compose import Config, from_hydra
from modelforge.config.sweeps import unread
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.plugins import load_plugins
from modelforge.report.stream import complain
from modelforge.train.frozen_job import work
from modelforge.train.job import Result, execute_in
from modelforge.train.terminal import keep_streams, say_job


def run(config: DictConfig, conf: str | Path | None = None) -> float:
    """What `train.py` hands to `hydra.main`.

    Alone, a job that did not finish exits the process (1, or 130 after Ctrl-C). In a multirun it returns, so that the
    other jobs run; `modelforge.sweeps.callback` exits at the end. Ctrl-C ends a multirun too.

    Args:
        config: As Hydra composed it, or a frozen job of a sweep.
        conf: The folder of configs, as `train.py` names it: the plugins of the project around it are imported. None for
            no project.

    Returns:
        The optimized metric for Hydra's sweepers, NaN where the job failed.
    """
    keep_streams()
    import_extras_late()
    hydra: Any = HydraConfig.get()
    alone = hydra.mode is not RunMode.MULTIRUN
    try:
        frozen = _frozen(config)
        result = _composed(config, conf, alone=alone) if frozen is None else _work(*frozen, hydra, conf)
    except ForgeError as error:
        complain(error)
        if alone:
            sys.exit(1)
        return math.nan
    except Exception:
        if alone:
            raise
        traceback.print_exc()
        return math.nan
    if result.exit_code and (alone or result.exit_code > 128):
        sys.exit(result.exit_code)
    return result.metric


def _frozen(config: DictConfig) -> tuple[Path, int] | None:
    """Folder and number of a frozen job; None for a config that Hydra composed."""
    job = OmegaConf.select(config, "sweep.job")
    return None if job is None else (Path(job.folder), int(job.number))


def _work(folder: Path, number: int, hydra: Any, conf: str | Path | None) -> Result:
    if conf is not None:
        load_plugins(Path(conf).parent)
    say_job(number, [str(word) for word in hydra.overrides.task])
    return work(folder, number)


def _composed(config: DictConfig, conf: str | Path | None, *, alone: bool) -> Result:
    """Runs a single run, or a job of another sweeper's."""

    def composed() -> Config:
        found = from_hydra(config)
        if conf is not None:
            load_plugins(Path(conf).parent)
        return found

    def without_effect(config: Config) -> Iterable[Problem]:
        every = [str(override) for kind in ("hydra", "task") for override in written["overrides"][kind]]
        return unread(replace(config, hydra=written), every, multirun=not alone)

    hydra: Any = HydraConfig.get()
    # As they are: a folder's name may hold `${`, and so do overrides that lead to other values.
    written: Any = OmegaConf.to_container(
        OmegaConf.masked_copy(hydra, ["runtime", "overrides", "sweeper"]), resolve=False
    )
    folder = Path(written["runtime"]["output_dir"])
    overrides = tuple(str(override) for override in written["overrides"]["task"])
    if not alone:
        say_job(hydra.job.num, overrides)
    return execute_in(folder, composed, overrides, show_plan=alone, overwrites=not alone, without_effect=without_effect)

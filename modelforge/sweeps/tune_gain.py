"""tune_gain: a config and a budget → trainings with other gains, from the predicted gain outwards, and what they show.

Each training is a frozen job in a sweep's folder, which `modelforge sweep` reads like any other; the search goes on
there after it was stopped: what a job has found is not computed again.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelforge.config.compose import Config, compose
from modelforge.config.folder_name import folder_name
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.words import plural
from modelforge.inits.gains.activations import UnknownActivation
from modelforge.inits.gains.gain import named_gain
from modelforge.language import parse
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.report.stream import complain
from modelforge.runs.jobs import (
    SWEEP_FILE,
    FrozenJob,
    JobEntry,
    SweepFile,
    make_jobs_folder,
    new_sweep_file,
    read_sweep_file,
    write_job,
    write_sweep_file,
)
from modelforge.runs.liveness import claimed
from modelforge.signal.critical import Critical, critical_gain
from modelforge.sweeps.check import Checker
from modelforge.sweeps.freezing import busy, check_empty, frozen_job, remove_unfinished_freeze, value_of
from modelforge.sweeps.gain_report import BaseGain, GainReport, written
from modelforge.sweeps.gain_search import RUNGS, Search, Trial
from modelforge.sweeps.kept import check_kept, with_result
from modelforge.sweeps.selection import Candidate
from modelforge.train.arguments import misuse
from modelforge.train.frozen_job import work
from modelforge.train.prepare import settled
from modelforge.train.settings import judged_by

_BARE = re.compile(r"[A-Za-z_][\w.]*")
"""The name of an activation that needs no quotes in an override."""
FARTHEST = 3 * RUNGS
"""Rungs from the config's gain to the predicted one at most: a prediction that is farther off is no place to begin."""


@dataclass(frozen=True)
class TuningSettings:
    """What is searched, and how far.

    Args:
        conf: The config folder.
        overrides: Hydra overrides for all trainings.
        key: The override key of a positive number: a gain, or a std.
        budget: Trainings at most.
        num_seeds: Seeds for a gain that counts.
        minutes: After this time no other training is begun; None for no limit.
    """

    conf: Path
    overrides: tuple[str, ...] = ()
    key: str = "init.gain"
    budget: int = 24
    num_seeds: int = 4
    minutes: float | None = None


def tune_gain(settings: TuningSettings, folder: Path, say: Callable[[str], None] = print) -> GainReport:
    """Searches for a gain.

    Args:
        settings: What is searched.
        folder: For the trainings: a new folder, or that of a search that was stopped.
        say: Takes a line before each training.

    Raises:
        ForgeError: the config is wrong, has no such number, or the folder cannot be written, holds something else, or
            results of other data, or another process searches there.
    """
    config = compose(settings.conf, settings.overrides)
    base = number_at(config, settings.key)
    for warning in Checker().check(config)[1]:
        complain(warning)
    judged = judged_by(config.values)
    metric = judged["optimized_metric"]
    higher = metric.rpartition("/")[2] not in judged["lower_is_better"]
    with claimed(folder, busy(folder)):
        trainings = _Trainings(settings, folder, base, int(config.values.get("seed", 0)))
        check_kept(folder, with_result(folder, trainings.sweep.jobs), say)
        critical = _predicted(settings, base.number)
        say(_beginning(settings, base, critical))
        search = Search(settings.num_seeds, settings.budget, _rung_near(base.number, critical), higher)
        end = math.inf if settings.minutes is None else time.monotonic() + 60 * settings.minutes
        while time.monotonic() < end and (trial := search.next()) is not None:
            job = trainings.job(trial)
            say(f"\n[{search.num_tried + 1} of at most {settings.budget}] {' '.join(job.overrides[-2:])}")
            search = search.with_result(trial, trainings.result(job, metric))
    return GainReport(settings.key, base, metric, search, critical, str(folder))


def number_at(config: Config, key: str) -> BaseGain:
    """The positive number that a config has at a key; the name of an activation stands for its gain.

    Raises:
        ForgeError: there is none.
    """
    value: Any = config.values
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    written = repr(value)
    if isinstance(value, str) and value != "auto":
        with suppress(UnknownActivation, Refusal):
            value, written = named_gain(value), value if _BARE.fullmatch(value) else written
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return BaseGain(float(value), written)
    shown = "the config has none" if value is None else f"it is `{value}`"
    hint = f"set one: `{key}=1`" if value is not None else "name another key with `--key`, such as `init.std`"
    raise ForgeError([misuse(key, f"`{key}` must be a positive number to be tuned, but {shown}", hint)])


class _Trainings:
    """Runs trials as jobs of a sweep, one after another."""

    def __init__(self, settings: TuningSettings, folder: Path, base: BaseGain, first_seed: int) -> None:
        self.settings = settings
        self.folder = folder
        self.base = base
        self.first_seed = first_seed
        self.sweep = _sweep(settings, folder)

    def job(self, trial: Trial) -> JobEntry:
        """The job of a trial: of a search that goes on an equal one, else a new one."""
        own = (f"{self.settings.key}={written(self.base, trial.rung)}", f"seed={self.first_seed + trial.seed}")
        overrides = (*self.settings.overrides, *own)
        number = len(self.sweep.jobs)
        job = frozen_job(Candidate(overrides, settled(compose(self.settings.conf, overrides))), number)
        known = next((one for one in self.sweep.jobs if one.hash == job.hash), None)
        return known or self._added(replace(job, folder=folder_name(number, ",".join(own))))

    def result(self, job: JobEntry, metric: str) -> float | None:
        """The metric of one training; None where it diverged or failed."""
        done = work(self.folder, job.number)
        if done.exit_code > 128:
            raise KeyboardInterrupt
        return done.status.metrics.get(metric) if done.status.state == "finished" else None

    def _added(self, job: FrozenJob) -> JobEntry:
        """Freezes a job, and puts it on the sweep's list."""
        make_jobs_folder(self.folder)
        write_job(job, self.folder)
        jobs = (*self.sweep.jobs, job.entry)
        places = {self.settings.key: -2, "seed": -1}
        axes = {key: tuple(dict.fromkeys(value_of(one.overrides[at]) for one in jobs)) for key, at in places.items()}
        self.sweep = replace(self.sweep, jobs=jobs, axes=axes)
        write_sweep_file(self.sweep, self.folder)
        return job.entry


def _sweep(settings: TuningSettings, folder: Path) -> SweepFile:
    """The jobs of the search that a folder holds; none where it is empty.

    Raises:
        ForgeError: it holds something else.
    """
    if not (folder / SWEEP_FILE).is_file():
        remove_unfinished_freeze(folder)
        check_empty(folder)
        return new_sweep_file(settings.overrides)
    found = read_sweep_file(folder)
    if found.overrides != settings.overrides or [*found.axes] != [settings.key, "seed"]:
        message = f"`{folder}` holds another search, or a sweep"
        hint = "choose another folder, or give the key and the overrides that began it"
        raise ForgeError([Problem("MF051", "--folder", message, hint)])
    return found


def _predicted(settings: TuningSettings, base: float) -> Critical | None:
    """The predicted gain; None where prediction says nothing."""
    studies = Studies()

    def planned(gain: float) -> Plan:
        return plan(parse(compose(settings.conf, (*settings.overrides, f"{settings.key}={gain:.6g}"))), studies)

    return critical_gain(planned, base)


def _rung_near(base: float, critical: Critical | None) -> int:
    """The rung of the predicted gain, as far as it is not too far off."""
    if critical is None:
        return 0
    rung = round(RUNGS * math.log2(critical.gain / base))
    return max(-FARTHEST, min(FARTHEST, rung))


def _beginning(settings: TuningSettings, base: BaseGain, critical: Critical | None) -> str:
    most = f"at most {plural(settings.budget, 'training')}" + (
        f" and {settings.minutes:g} min" if settings.minutes else ""
    )
    if critical is None:
        return (
            f"{settings.key}: prediction says nothing about it, so the search begins at the config's {base.written};"
            f" {most}"
        )
    return f"{settings.key}: gradients are predicted to keep their length at {critical.gain:.3g}; {most}"

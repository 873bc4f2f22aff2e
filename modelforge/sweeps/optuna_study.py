"""`Search`: a study of Optuna's in the folder of a sweep, by ask and tell. Several processes may share it.

The number of a trial is that of its job. A trial whose process is gone is taken over by another: its job goes on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
from filelock import FileLock
from numpy.random import SeedSequence
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from modelforge.core.errors import ForgeError, Problem
from modelforge.runs.liveness import claimed, heartbeat, is_alive, machine
from modelforge.sweeps.optuna_space import Space
from modelforge.train.studies import JOURNAL, PRUNED, STUDY, open_storage

SEARCHERS = ".searchers"
"""The folder with one of each process that searches, which the process holds claimed while it lasts."""
ALIVE = "alive"
"""The file in such a folder whose time the process renews."""
SEARCHER = "searcher"
"""The note of a trial that names the folder of its process."""
MACHINE = "machine"
ATTEMPT = "attempt"
SPACE = "space"
METRIC = "metric"
MAX_ATTEMPTS = 3
"""How often a job that is killed is launched before its trial counts as failed."""


@dataclass(frozen=True)
class Asked:
    """One trial to run."""

    number: int
    overrides: tuple[str, ...]


class Search:
    """One process's part in a study; used in a `with`, which says that the process lives.

    Args:
        folder: Of the sweep.
        space: What is searched.
        sampler: The settings of `hydra.sweeper.sampler`.
        metric: What is optimized.
        minimize: Whether its lowest value is best.
        options: More of `optuna.create_study`.

    Raises:
        ForgeError: the folder holds a study of another space or metric, or its file is damaged.
    """

    def __init__(
        self, folder: Path, space: Space, sampler: Mapping[str, Any], metric: str, *, minimize: bool, **options: Any
    ) -> None:
        self.folder, self.space, self.metric, self.minimize = folder, space, metric, minimize
        self._sampler = sampler
        self._name = uuid4().hex
        self._stack = ExitStack()
        self.journal = folder / JOURNAL
        try:
            with self._turn():
                self.study = optuna.create_study(
                    storage=open_storage(self.journal),
                    study_name=STUDY,
                    load_if_exists=True,
                    sampler=make_sampler(sampler, 0),
                    direction="minimize" if minimize else "maximize",
                    **options,
                )
                self._check({METRIC: metric, SPACE: space.described()})
        except (ValueError, KeyError) as error:
            message = f"`{self.journal}` is damaged: {str(error).splitlines()[0]}"
            raise ForgeError([Problem("MF076", str(self.journal), message, "start a new search")]) from error

    def __enter__(self) -> Search:
        folder = self.folder / SEARCHERS / self._name
        self._stack.enter_context(claimed(folder))
        (folder / ALIVE).touch()
        self._stack.enter_context(heartbeat(folder, ALIVE))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def take(self, num_trials: int) -> Asked | None:
        """The next trial: one whose process is gone, or a new one; None where the study has all its trials.

        Args:
            num_trials: Of the study, those of all processes together.
        """
        with self._turn():
            trial = self._orphan()
            if trial is None:
                number = len(self._trials())
                if number >= num_trials:
                    return None
                self.study.sampler = make_sampler(self._sampler, number)
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Clip non-finite values")  # the value of a diverged trial
                    trial = self.study.ask(dict(self.space.open))
            trial.set_user_attr(ATTEMPT, trial.user_attrs.get(ATTEMPT, 0) + 1)
            trial.set_user_attr(SEARCHER, self._name)
            trial.set_user_attr(MACHINE, machine())
            return Asked(trial.number, self.space.overrides(trial.params))

    def tell(self, number: int, status: Mapping[str, Any]) -> None:
        """Hands the study what became of a trial.

        A diverged training is a result, the worst there can be. What failed tells nothing of its point. A job that was
        killed or interrupted, or did not begin, is taken again, unless that happened too often.

        Args:
            number: Of the trial.
            status: Of its job, as plain data.
        """
        state, metric = status.get("state", "missing"), status.get("optimized_metric", "")
        value = status.get("metrics", {}).get(metric)
        trial = self._trials()[number]
        if state == "finished" and (status.get("pruned") or PRUNED in trial.user_attrs):  # its own, or an equal one
            self._end(number, state=TrialState.PRUNED)
        elif state == "finished" and value is not None:
            self._end(number, value)
        elif state == "diverged":
            Trial(self.study, trial._trial_id).set_user_attr("diverged", True)
            self._end(number, inf if self.minimize else -inf)
        elif state in ("killed", "interrupted", "missing") and trial.user_attrs.get(ATTEMPT, 1) < MAX_ATTEMPTS:
            Trial(self.study, trial._trial_id).set_user_attr(SEARCHER, "")
        else:
            self._end(number, state=TrialState.FAIL)

    @property
    def best(self) -> FrozenTrial | None:
        """The best trial, of equal ones the first; None where none has a result that is finite."""
        known = [
            (trial.value, trial)
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if trial.value is not None and isfinite(trial.value)
        ]
        best = min if self.minimize else max
        return best(known, key=lambda pair: pair[0])[1] if known else None

    def _end(self, number: int, value: float | None = None, **state: Any) -> None:
        self.study.tell(number, value, skip_if_finished=True, **state)

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _orphan(self) -> Trial | None:
        """A running trial whose process is gone."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._is_held(trial):
                return Trial(self.study, trial._trial_id)
        return None

    def _is_held(self, trial: FrozenTrial) -> bool:
        name = str(trial.user_attrs.get(SEARCHER, ""))
        folder = self.folder / SEARCHERS / os.path.basename(name)
        try:
            return bool(name) and is_alive(folder, str(trial.user_attrs.get(MACHINE, "")), ALIVE)
        except OSError:
            return False

    def _turn(self) -> FileLock:
        """Only one process at a time asks for a trial."""
        return FileLock(self.folder / f"{JOURNAL}.turn")

    def _check(self, given: Mapping[str, Any]) -> None:
        """Notes what the study is of, or compares it with what was noted."""
        known = self.study.user_attrs
        for key, value in given.items():
            if key not in known:
                self.study.set_user_attr(key, value)
            elif known[key] != value:
                message = f"the study in `{self.folder}` has another {key} than this search"
                hint = "search with the overrides that began it, or in a new folder"
                raise ForgeError([Problem("MF082", str(self.folder), message, hint)])


def make_sampler(settings: Mapping[str, Any], number: int) -> BaseSampler:
    """Optuna's sampler of a trial.

    Each trial has a seed of its own: with one for all, a search that is resumed, or a second process, would draw the
    points of the first again.

    Args:
        settings: Of `hydra.sweeper.sampler`.
        number: Of the trial.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _sampler(settings, number)


def _sampler(settings: Mapping[str, Any], number: int) -> BaseSampler:
    name, seed = settings["name"], settings["seed"]
    own = None if seed is None else int(SeedSequence((seed, number)).generate_state(1)[0])
    if name == "tpe":
        return TPESampler(
            n_startup_trials=settings["n_startup_trials"],
            multivariate=settings["multivariate"],
            constant_liar=settings["constant_liar"],
            seed=own,
        )
    if name == "gp":
        return GPSampler(seed=own, n_startup_trials=settings["n_startup_trials"])
    if name == "qmc":  # one sequence, of which the study knows how far it is
        return QMCSampler(seed=seed)
    return RandomSampler(seed=own)

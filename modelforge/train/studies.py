"""A study of Optuna's: a file in the sweep's folder, which the jobs of a search share with what began them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

JOURNAL = "optuna.journal"
"""The file of the study."""
STUDY = "modelforge"
"""The name of the study in it."""
PRUNED = "pruned_after_epoch"
"""The note of a trial that was ended early."""


def open_storage(journal: Path) -> JournalStorage:
    """The storage in a file, which is made where there is none. Optuna itself then prints warnings only."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return JournalStorage(JournalFileBackend(str(journal)))


def make_pruner(max_epochs: int | None, settings: Mapping[str, Any]) -> BasePruner:
    """Optuna's pruner.

    Args:
        max_epochs: The epochs of a trial that is not ended early; None or -1 where that is not known.
        settings: Of the callback `pruning`.
    """
    kind, startup, factor = settings["pruner"], settings["startup_trials"], settings["reduction_factor"]
    first = settings["warmup"] + 1  # Optuna counts steps from 0, and here the first epoch is 1
    if kind == "median":
        return MedianPruner(startup, first)
    if kind == "percentile":
        return PercentilePruner(settings["percentile"], startup, first)
    if kind == "halving":
        return SuccessiveHalvingPruner(settings["min_epochs"], factor)
    most = max_epochs if max_epochs is not None and max_epochs > 0 else "auto"
    return HyperbandPruner(settings["min_epochs"], most, factor)


def open_study(journal: Path, **options: Any) -> optuna.Study:
    """The study that a file holds, as it is now."""
    return optuna.load_study(study_name=STUDY, storage=open_storage(journal), **options)


def find_trial(study: optuna.Study, number: int) -> Trial | None:
    """The running trial of a job; None where it is over, or was never one."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    found = next((trial for trial in trials if trial.number == number), None)
    return None if found is None else Trial(study, found._trial_id)


def reported(trial: Trial) -> Mapping[int, float]:
    """The values of a trial so far, by epoch."""
    return trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values

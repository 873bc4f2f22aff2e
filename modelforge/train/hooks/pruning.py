"""`Prune`: reports each validation of a trial to its study, and ends the training where the study's pruner says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from lightning import Callback, LightningModule, Trainer
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from modelforge.runs.liveness import STATUS
from modelforge.train.context import Context

if TYPE_CHECKING:
    from modelforge.train.callbacks.pruning import PruningSettings

JOURNAL = "optuna.journal"
"""The study, in the sweep's folder."""
STUDY = "modelforge"
PRUNED = "pruned_after_epoch"
"""The note of a trial that was ended early."""


class Prune(Callback):
    """Lightning's callback of one trial; without a study, it does nothing and says so.

    Args:
        settings: Which rule ends a trial.
        context: The run. Its folder lies in the folder of the sweep.
    """

    def __init__(self, settings: PruningSettings, context: Context) -> None:
        self.settings = settings
        self.context = context
        self.trial: Trial | None = None
        self.reason = ""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finds the trial that this run is."""
        number = job_number(self.context.folder)
        journal = self.context.folder.parent / JOURNAL
        if number is None or not journal.is_file():
            self.context.say("pruning: this run belongs to no study (`hydra/sweeper=optuna`), and is never ended early")
            return
        pruner = make_pruner(self.settings, trainer.max_epochs)
        self.trial = find_trial(open_study(journal, pruner=pruner), number)
        if self.trial is not None and PRUNED in self.trial.user_attrs:  # killed after that, and resumed
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports the metric, and ends the training where the pruner says so."""
        value = trainer.callback_metrics.get(self.context.terms.metric)
        if self.trial is None or trainer.sanity_checking or value is None or not isfinite(float(value)):
            return
        epoch = trainer.current_epoch + 1
        if epoch not in reported(self.trial):  # a resumed run comes by an epoch twice
            self.trial.report(float(value), epoch)
        is_last = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= epoch
        if not is_last and self.trial.should_prune():
            self.trial.set_user_attr(PRUNED, epoch)
            self.reason = f"pruned after epoch {epoch:,}: `{self.context.terms.metric}` is {float(value):.4g}"
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says why the training ended, if this is why."""
        if self.reason:
            self.context.say(f"{self.reason}, and other trials did better by then")


def make_pruner(settings: PruningSettings, max_epochs: int | None) -> BasePruner:
    """Optuna's pruner for these settings.

    Args:
        settings: Of the callback.
        max_epochs: The epochs of a trial that is not ended early; None or -1 where that is not known.
    """
    if settings.pruner == "median":
        return MedianPruner(settings.startup_trials, settings.warmup)
    if settings.pruner == "percentile":
        return PercentilePruner(settings.percentile, settings.startup_trials, settings.warmup)
    if settings.pruner == "halving":
        return SuccessiveHalvingPruner(settings.min_epochs, settings.reduction_factor)
    most = max_epochs if max_epochs is not None and max_epochs > 0 else "auto"
    return HyperbandPruner(settings.min_epochs, most, settings.reduction_factor)


def open_study(journal: Path, **options: Any) -> optuna.Study:
    """The study that a file holds, as it is now."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.load_study(study_name=STUDY, storage=storage, **options)


def find_trial(study: optuna.Study, number: int) -> Trial | None:
    """The running trial of a job; None where it is over, or was never one."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    found = next((trial for trial in trials if trial.number == number), None)
    return None if found is None else Trial(study, found._trial_id)


def reported(trial: Trial) -> Mapping[int, float]:
    """The values of a trial so far, by epoch."""
    return trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values


def job_number(folder: Path) -> int | None:
    """The number of the job that a run folder belongs to, from its status; None for a run of its own."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return int(json.loads((folder / STATUS).read_text(encoding="utf-8"))["job"]["number"])
    return None

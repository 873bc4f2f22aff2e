"""`Prune`: reports each validation of a trial to its study, and ends the training where the study's pruner says so."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from lightning import Callback, LightningModule, Trainer
from optuna.trial import Trial

from modelforge.results.collect import membership
from modelforge.train.context import Context
from modelforge.train.studies import JOURNAL, PRUNED, find_trial, make_pruner, open_study, reported


class Prune(Callback):
    """Lightning's callback of one trial; without a study, it does nothing and says so.

    Args:
        settings: Which rule ends a trial, as the callback has them.
        context: The run, which may be a job of a search.
    """

    def __init__(self, settings: Mapping[str, Any], context: Context) -> None:
        self.settings = settings
        self.context = context
        self.trial: Trial | None = None
        self.reason = ""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finds the trial that this run is."""
        member = membership(self.context.folder)
        if member is None or not (journal := member.folder / JOURNAL).is_file():
            self.context.say("pruning: this run belongs to no study (`hydra/sweeper=optuna`), and is never ended early")
            return
        pruner = make_pruner(trainer.max_epochs, self.settings)
        self.trial = find_trial(open_study(journal, pruner=pruner), member.job)
        if self.trial is not None and PRUNED in self.trial.user_attrs:  # killed after that, and resumed
            trainer.should_stop = True
            self.context.prune()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports the metric, and ends the training where the pruner says so; all processes stop together."""
        if trainer.sanity_checking:
            return
        value = trainer.callback_metrics.get(self.context.terms.metric)
        ends = trainer.is_global_zero and value is not None and self._is_worse(trainer, float(value))
        if trainer.strategy.broadcast(ends):
            trainer.should_stop = True

    def _is_worse(self, trainer: Trainer, value: float) -> bool:
        """Reports a value, and notes it where the pruner ends the trial for it."""
        if self.trial is None or not isfinite(value):
            return False
        epoch = trainer.current_epoch + 1
        if epoch not in reported(self.trial):  # a resumed run comes by an epoch twice
            self.trial.report(value, epoch)
        is_last = trainer.max_epochs is not None and 0 <= trainer.max_epochs <= epoch
        if is_last or not self.trial.should_prune():
            return False
        self.trial.set_user_attr(PRUNED, epoch)
        self.context.prune()
        self.reason = f"pruned after epoch {epoch:,}: `{self.context.terms.metric}` is {value:.4g}"
        return True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says why the training ended, if this is why."""
        if self.reason:
            self.context.say(f"{self.reason}, and other trials did better by then")

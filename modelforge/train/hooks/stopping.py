"""`StopEarly`: Lightning's early stopping, which a resumed run carries on as if it had not been interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason as Reason
from lightning.pytorch.trainer.states import TrainerFn


class StopEarly(EarlyStopping):
    """Stops as Lightning's does, and says why.

    A run that has stopped and is resumed stays so, unless its config is more patient now.

    Args:
        say: Prints a line.
        settings: Of Lightning's `EarlyStopping`.
    """

    def __init__(self, say: Callable[[str], None], **settings: Any) -> None:
        super().__init__(**settings, check_finite=False)  # a loss that is not finite ends a run in any case
        self.say = say

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["callbacks"].get(self.state_key)
        if state is not None and trainer.state.fn == TrainerFn.FITTING and self._is_over(state):
            trainer.should_stop = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        reason = state_dict["stopping_reason"] if self._is_over(state_dict) else Reason.NOT_STOPPED.value
        super().load_state_dict({**state_dict, "patience": self.patience, "stopping_reason": reason})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says why the training ended, if this is why."""
        if self.stopping_reason == Reason.PATIENCE_EXHAUSTED:
            why = f"`{self.monitor}` did not improve in {self.wait_count} validations (best {self.best_score:.4g})"
        elif self.stopping_reason == Reason.STOPPING_THRESHOLD:
            why = f"`{self.monitor}` reached {self.stopping_threshold:g}"
        else:
            return
        self.say(f"stopped after epoch {trainer.current_epoch:,}: {why}")

    def _is_over(self, state: Mapping[str, Any]) -> bool:
        if state["stopping_reason"] == Reason.STOPPING_THRESHOLD.value:
            return self.stopping_threshold is not None
        return state["wait_count"] >= self.patience

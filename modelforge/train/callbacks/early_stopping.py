"""`early_stopping`: ends a training that no longer improves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveInt

from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import nearest
from modelforge.train.arguments import misuse
from modelforge.train.callbacks.registry import CallbackSettings, register_callback
from modelforge.train.context import Context, Terms

if TYPE_CHECKING:
    from modelforge.train.hooks.stopping import StopEarly


@register_callback("early_stopping")
class EarlyStoppingSettings(CallbackSettings):
    """Stops the training when a metric of the validations has not improved for some time; best.ckpt is the best."""

    monitor: str | None = None
    """The metric; null for the optimized one. Whether less or more is better follows from it."""
    patience: PositiveInt = 3
    """Validations without an improvement before the training stops."""
    min_delta: NonNegativeFloat = 0.0
    """Smaller changes are no improvement."""
    threshold: float | None = None
    """Stops as soon as the metric is better than this."""

    def check(self, key: str, terms: Terms) -> Iterator[Problem]:
        """Only what a validation measures can be watched, and only where there is one."""
        if self.monitor is not None and self.monitor not in terms.metrics:
            known = " or ".join(map(repr, terms.metrics))
            message = f"`monitor` must be {known}, but is {quoted(self.monitor)}"
            hint = nearest(self.monitor, terms.metrics) or "null: the optimized metric"
            yield misuse(f"{key}.monitor", message, hint)
        if terms.trainer.get("limit_val_batches", 1) == 0:
            message = "`early_stopping` follows validations, but there are none"
            yield misuse("trainer.limit_val_batches", message, f"leave it out, or switch it off: `{key}=null`")

    def make(self, context: Context) -> StopEarly:
        from modelforge.train.hooks.stopping import StopEarly

        monitor = self.monitor or context.terms.metric
        return StopEarly(
            context.say,
            monitor=monitor,
            mode=context.terms.metrics[monitor],
            patience=self.patience,
            min_delta=self.min_delta,
            stopping_threshold=self.threshold,
        )

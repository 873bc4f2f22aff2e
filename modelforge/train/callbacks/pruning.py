"""`pruning`: ends a trial of a search that does worse than the others did by the same epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from modelforge.core.errors import Problem
from modelforge.train.arguments import misuse
from modelforge.train.callbacks.registry import CallbackSettings, register_callback
from modelforge.train.context import Context, Terms

if TYPE_CHECKING:
    from modelforge.train.hooks.pruning import Prune

READ_BY: Mapping[tuple[str, ...], tuple[str, ...]] = MappingProxyType(
    {
        ("median", "percentile"): ("startup_trials", "warmup"),
        ("percentile",): ("percentile",),
        ("halving", "hyperband"): ("reduction_factor", "min_epochs"),
    }
)
"""The settings that some pruners read, and others do not."""


@register_callback("pruning")
class PruningSettings(CallbackSettings):
    """Ends a trial of `hydra/sweeper=optuna` that does worse than others did by the same epoch; its best.ckpt is
    tested."""

    packages: ClassVar = ("optuna",)
    extra: ClassVar = "optuna"

    pruner: Literal["median", "percentile", "halving", "hyperband"] = "median"
    """Optuna's rule: worse than the median, not among the best `percentile`, or not promoted from a rung."""
    startup_trials: NonNegativeInt = 5
    """Trials that must have finished before one is ended; of `median` and `percentile`."""
    warmup: NonNegativeInt = 0
    """Epochs of each trial that are left alone; of `median` and `percentile`."""
    percentile: float = Field(default=25.0, gt=0, lt=100)
    """The share that goes on, in percent; of `percentile`."""
    reduction_factor: PositiveInt = Field(default=3, ge=2)
    """One trial in so many is promoted to the next rung; of `halving` and `hyperband`."""
    min_epochs: PositiveInt = 1
    """The epochs of the first rung; of `halving` and `hyperband`."""

    def without_effect(self) -> Iterator[tuple[str, str]]:
        for pruners, names in READ_BY.items():
            for name in names if self.pruner not in pruners else ():
                if getattr(self, name) != type(self).model_fields[name].default:
                    yield name, f"it is for {' and '.join(pruners)}, but `pruner` is {self.pruner!r}"

    def check(self, key: str, terms: Terms) -> Iterator[Problem]:
        """Only where there are validations can trials be compared."""
        if terms.trainer.get("limit_val_batches", 1) == 0:
            message = "`pruning` compares validations, but there are none"
            yield misuse("trainer.limit_val_batches", message, f"leave it out, or switch it off: `{key}=null`")

    def make(self, context: Context) -> Prune:
        from modelforge.train.hooks.pruning import Prune

        return Prune(dict(self), context)

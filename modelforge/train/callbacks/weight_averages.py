"""`ema` and `swa`: two averages of the weights, which validations, best.ckpt and the test use in their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from modelforge.core.errors import Problem
from modelforge.core.words import plural
from modelforge.train.arguments import misuse
from modelforge.train.callbacks.registry import CallbackSettings, register_callback
from modelforge.train.context import Context, Terms

if TYPE_CHECKING:
    from modelforge.train.hooks.averaging import Averaging


@register_callback("ema")
class ExponentialAverage(CallbackSettings):
    """An exponential moving average of the weights: average ← decay · average + (1 - decay) · weights.

    It begins with the weights after the first step that counts. Polyak & Juditsky 1992; the warm-up is that of
    TensorFlow's `ExponentialMovingAverage`.
    """

    replaces_weights: ClassVar = True

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """Share that the average keeps at each update."""
    warmup: bool = True
    """Keeps less at first, min(decay, (1 + n) / (10 + n)) after n updates, so that a short run is not its start."""
    every_n_steps: PositiveInt = 1
    """Steps from one update to the next."""
    start_step: NonNegativeInt = 0
    """Steps before the first update."""

    def late(self, key: str, terms: Terms, epochs: int | None, steps: int | None) -> Iterator[Problem]:
        """The warning of an average without a step."""
        first = self.start_step + self.every_n_steps
        if steps is not None and first > steps:
            yield _never(f"{key}.start_step" if self.start_step else f"{key}.every_n_steps", "step", first, steps)

    def make(self, context: Context) -> Averaging:
        from modelforge.train.hooks.averaging import Averaging

        return Averaging(self._is_due, self._share)

    def _is_due(self, trainer: Any) -> bool:
        step = trainer.global_step - self.start_step
        return step > 0 and step % self.every_n_steps == 0

    def _share(self, num_averaged: int) -> float:
        decay = min(self.decay, (1 + num_averaged) / (10 + num_averaged)) if self.warmup else self.decay
        return 1 - decay


@register_callback("swa")
class StochasticWeightAverage(CallbackSettings):
    """The plain mean of the weights at the end of each epoch, from some epoch on. Izmailov et al. 2018.

    Buffers, such as the statistics of BatchNorm, are averaged too: no further pass through the data.
    """

    replaces_weights: ClassVar = True

    start: Annotated[float, Field(ge=0, lt=1)] = 0.75
    """Share of `trainer.max_epochs` before the first epoch that counts."""
    lr: PositiveFloat | None = None
    """The constant learning rate from there on, in place of `optimizer.lr`; null leaves it as it is."""

    def check(self, key: str, terms: Terms) -> Iterator[Problem]:
        """SWA counts from the end of the training, and sets the learning rate alone."""
        most = terms.trainer.get("max_epochs")
        if most is None or most < 1:
            message = "`swa.start` is a fraction of `trainer.max_epochs`, which sets no limit"
            yield misuse(f"{key}.start", message, "write `trainer.max_epochs=...`")
        if self.lr is not None and terms.has_scheduler:
            message = "`swa.lr` and the scheduler both set the learning rate"
            yield misuse(f"{key}.lr", message, f"`{key}.lr=null` leaves it to the scheduler, or write `scheduler=null`")

    def late(self, key: str, terms: Terms, epochs: int | None, steps: int | None) -> Iterator[Problem]:
        """The warning of an average without a whole epoch."""
        first = self._num_before(terms) + 1
        if epochs is not None and first > epochs:
            yield _never(f"{key}.start", "epoch", first, epochs)

    def make(self, context: Context) -> Averaging:
        from modelforge.train.hooks.averaging import Averaging

        first = self._num_before(context.terms)
        rate = None if self.lr is None else (first, self.lr)
        return Averaging(lambda trainer: trainer.is_last_batch and trainer.current_epoch >= first, _mean, rate)

    def _num_before(self, terms: Terms) -> int:
        """Whole epochs that do not count; 0.29 of 100 are 29, though their product is below in binary numbers."""
        return int(round(self.start * terms.trainer["max_epochs"], 9))


def _never(key: str, unit: str, first: int, there_are: int) -> Problem:
    message = f"the average begins with {unit} {first:,}, but the training has {plural(there_are, unit)}: there is none"
    return Problem("MW211", key, message, "begin earlier, or train longer", severity="warning")


def _mean(num_averaged: int) -> float:
    return 1 / (1 + num_averaged)

"""Callbacks that only watch: what they measure is logged with the steps that `trainer.log_every_n_steps` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from modelforge.train.callbacks.registry import CallbackSettings, register_callback
from modelforge.train.context import Context

if TYPE_CHECKING:
    from lightning import Callback


class Monitor(CallbackSettings):
    """Settings of a class in `hooks.monitors`, which takes them as its arguments."""

    hook: ClassVar[str]
    """The name of the class."""

    def make(self, context: Context) -> Callback:
        from modelforge.train.hooks import monitors

        return getattr(monitors, self.hook)(**dict(self))


@register_callback("lr_monitor")
class LearningRateMonitor(Monitor):
    """Logs the learning rate of every group of parameters, as `step/lr/<group>`."""

    hook: ClassVar = "MonitorRates"

    momentum: bool = False
    """Logs momentum too; for Adam and its kin, the first of `betas`."""
    weight_decay: bool = False
    """Logs the weight decay too."""


@register_callback("gradient_norm")
class GradientNorm(Monitor):
    """Logs the norms of gradients before clipping, as `step/gradient_norm/<path>`; their total is always logged."""

    hook: ClassVar = "MonitorGradients"

    by: Literal["layer", "parameter"] = "layer"
    """What each norm is of."""


@register_callback("device_stats")
class DeviceStats(Monitor):
    """Logs the load of the processor, the memory of machine and process, and that of the GPU, as `step/device/...`."""

    hook: ClassVar = "MonitorDevice"


@register_callback("throughput")
class Throughput(Monitor):
    """Logs `step/examples_per_second` and `step/steps_per_second` of the training, without its validations."""

    hook: ClassVar = "MonitorThroughput"

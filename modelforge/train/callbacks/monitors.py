"""Callbacks that only watch: what they measure is logged with the steps that `trainer.log_every_n_steps` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from modelforge.train.callbacks.registry import CallbackSettings, register_callback
from modelforge.train.context import Context

if TYPE_CHECKING:
    from modelforge.train.hooks.monitors import MonitorDevice, MonitorGradients, MonitorRates, MonitorThroughput


@register_callback("lr_monitor")
class LearningRateMonitor(CallbackSettings):
    """Logs the learning rate of every group of parameters, as `step/lr/<group>`."""

    momentum: bool = False
    """Logs momentum too; for Adam and its kin, the first of `betas`."""
    weight_decay: bool = False
    """Logs the weight decay too."""

    def make(self, context: Context) -> MonitorRates:
        from modelforge.train.hooks.monitors import MonitorRates

        return MonitorRates(momentum=self.momentum, weight_decay=self.weight_decay)


@register_callback("gradient_norm")
class GradientNorm(CallbackSettings):
    """Logs the norms of gradients before clipping, as `step/gradient_norm/<path>`; their total is always logged."""

    by: Literal["layer", "parameter"] = "layer"
    """What each norm is of."""

    def make(self, context: Context) -> MonitorGradients:
        from modelforge.train.hooks.monitors import MonitorGradients

        return MonitorGradients(by_parameter=self.by == "parameter")


@register_callback("device_stats")
class DeviceStats(CallbackSettings):
    """Logs the load of the processor, the memory of machine and process, and that of the GPU, as `step/device/...`."""

    def make(self, context: Context) -> MonitorDevice:
        from modelforge.train.hooks.monitors import MonitorDevice

        return MonitorDevice()


@register_callback("throughput")
class Throughput(CallbackSettings):
    """Logs `step/examples_per_second` and `step/steps_per_second` of the training, without its validations."""

    def make(self, context: Context) -> MonitorThroughput:
        from modelforge.train.hooks.monitors import MonitorThroughput

        return MonitorThroughput()

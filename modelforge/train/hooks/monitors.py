"""Callbacks that only watch: rates of the optimizer, gradients by layer, the device, examples per second."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Literal

import psutil
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from modelforge.building.shards import whole
from modelforge.core.paths import parent
from modelforge.train.hooks.steps import is_logged, log_step


class MonitorRates(Callback):
    """Logs the learning rate of each group of the optimizer, with its momentum and weight decay if asked for."""

    def __init__(self, *, momentum: bool, weight_decay: bool) -> None:
        self.momentum = momentum
        self.weight_decay = weight_decay

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not is_logged(trainer):
            return
        values: dict[str, float] = {}
        for index, group in enumerate(optimizer.param_groups):
            name = group.get("name", index)
            values[f"lr/{name}"] = group["lr"]
            if self.momentum:
                values[f"momentum/{name}"] = group["betas"][0] if "betas" in group else group.get("momentum", 0.0)
            if self.weight_decay:
                values[f"weight_decay/{name}"] = group.get("weight_decay", 0.0)
        log_step(trainer, values)


class MonitorGradients(Callback):
    """Logs the norm of the gradients of each layer, or of each parameter, before clipping."""

    def __init__(self, by: Literal["layer", "parameter"]) -> None:
        self.by = by

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        model = pl_module.model
        assert isinstance(model, nn.Module)
        if not is_logged(trainer):
            return
        gradients: dict[str, list[Tensor]] = defaultdict(list)
        for path, parameter in model.named_parameters():
            if parameter.grad is not None:
                gradients[path if self.by == "parameter" else parent(path)].append(parameter.grad)
        norms = {f"gradient_norm/{path}": whole(nn.utils.get_total_norm(some)) for path, some in gradients.items()}
        log_step(trainer, norms)


class MonitorDevice(Callback):
    """Logs what the process and the machine use, and the memory of the GPU where there is one."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop._should_accumulate() or not is_logged(trainer):
            return
        values = {
            "device/cpu_percent": psutil.cpu_percent(),
            "device/memory_percent": psutil.virtual_memory().percent,
            "device/process_bytes": psutil.Process().memory_info().rss,
        }
        device = trainer.strategy.root_device
        if device.type == "cuda":
            values["device/cuda_bytes"] = torch.cuda.memory_allocated(device)
            values["device/cuda_peak_bytes"] = torch.cuda.max_memory_allocated(device)
        log_step(trainer, values)


class MonitorThroughput(Callback):
    """Logs examples and steps per second since the last logged step; time in validations does not count.

    Of several processes, it counts the examples of all, as if each had as many as the first.
    """

    def __init__(self) -> None:
        self._begun = self._paused = 0.0
        self._examples = self._steps = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begun += time.perf_counter() - self._paused

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._examples += len(batch[1]) * trainer.world_size
        if trainer.fit_loop._should_accumulate():
            return
        self._steps += 1
        if not is_logged(trainer):
            return
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self._begun
        rates = {"examples_per_second": self._examples / seconds, "steps_per_second": self._steps / seconds}
        log_step(trainer, rates)
        self._begin()

    def _begin(self) -> None:
        self._begun = time.perf_counter()
        self._examples = self._steps = 0

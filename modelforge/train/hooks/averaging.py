"""`Averaging`: a running average of the weights, which validations, best.ckpt and the test use in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

KEY = "modelforge_averaging"
"""The key in a checkpoint of the trained weights and the state of the average; `state_dict` holds the average."""
_MODEL = "model."


class Averaging(Callback):
    """Averages parameters and buffers after the steps that are due; whole numbers, such as positions, are copied.

    The average has 32 bits at least: with fewer, the small steps of a long average are lost in rounding.

    Args:
        is_due: Whether to average after the step at hand.
        share: From the number of values averaged so far to the share of the next one.
        learning_rate: From an epoch on, what takes the place of the optimizer's learning rate; groups keep their ratio
            to it.
    """

    def __init__(
        self,
        is_due: Callable[[Trainer], bool],
        share: Callable[[int], float],
        learning_rate: tuple[int, float] | None = None,
    ) -> None:
        self.is_due = is_due
        self.share = share
        self.learning_rate = learning_rate
        self.average: AveragedModel | None = None
        self.latest_step = 0
        """When the average was last updated: batches that are accumulated come between steps."""
        self._trained: list[Tensor] = []
        """The trained values while a validation has the average."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            device = trainer.strategy.root_device
            self.average = AveragedModel(_model(pl_module), device, avg_fn=self._next, use_buffers=True)
            if trainer.precision == "64-true":  # the model becomes so later on
                self.average.double()
            else:
                self.average._apply(_at_least_float32)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.learning_rate is None or trainer.current_epoch < self.learning_rate[0]:
            return
        for optimizer in trainer.optimizers:
            asked = optimizer.defaults["lr"]
            for group in optimizer.param_groups:
                before = group.setdefault("initial_lr", group["lr"])  # checkpoints keep it
                group["lr"] = self.learning_rate[1] * (before / asked if asked else 1.0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step > self.latest_step and self.is_due(trainer):
            assert self.average is not None
            self.average.update_parameters(_model(pl_module))
            self.latest_step = trainer.global_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trained = [value.detach().clone() for value in _values(_model(pl_module))]
        self._put_average(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _put(self._trained, _model(pl_module))
        self._trained = []

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last checkpoint is written; from here on the model is the average."""
        self._put_average(pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if not self.num_averaged:
            return
        assert self.average is not None
        values = checkpoint["state_dict"]
        average = {f"{_MODEL}{name}": value for name, value in self.average.module.state_dict().items()}
        trained = {name: values[name] for name in average}
        checkpoint[KEY] = {"trained": trained, "num_averaged": self.num_averaged, "latest_step": self.latest_step}
        checkpoint["state_dict"] = {**values, **average}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING or KEY not in checkpoint:
            return
        assert self.average is not None
        state = checkpoint[KEY]
        average = {name.removeprefix(_MODEL): state["average"][name] for name in state["trained"]}
        self.average.module.load_state_dict(average)
        self.average.n_averaged.fill_(state["num_averaged"])
        self.latest_step = state["latest_step"]

    @property
    def num_averaged(self) -> int:
        """How many values of the weights are in the average."""
        return 0 if self.average is None else int(self.average.n_averaged)

    def _next(self, average: Tensor, current: Tensor, num_averaged: Tensor | int) -> Tensor:
        if average.is_floating_point() or average.is_complex():
            return average.lerp(current.to(average.dtype), self.share(int(num_averaged)))
        return current

    def _put_average(self, pl_module: LightningModule) -> None:
        """Gives the model the values of the average, once there is one."""
        if self.average is not None and self.num_averaged:
            _put(_values(self.average.module), _model(pl_module))


def go_on_from_trained(checkpoint: dict[str, Any]) -> None:
    """Puts the trained weights where Lightning reads those of a training that goes on, and the average aside."""
    if KEY in checkpoint:
        checkpoint[KEY]["average"] = checkpoint["state_dict"]
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **checkpoint[KEY]["trained"]}


def _model(pl_module: LightningModule) -> nn.Module:
    model = pl_module.model
    assert isinstance(model, nn.Module)
    return model


def _put(values: Iterable[Tensor], module: nn.Module) -> None:
    for value, target in zip(values, _values(module), strict=True):
        target.detach().copy_(value)


def _at_least_float32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() and value.element_size() < 4 else value


def _values(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()

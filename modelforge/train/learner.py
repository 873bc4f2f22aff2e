"""`Learner`: a model and a task as Lightning trains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, distributed, nn
from torchmetrics import MeanMetric, Metric

from modelforge.building.shards import whole
from modelforge.core.errors import ForgeError
from modelforge.train.data.batches import Batch, Inputs, read_by
from modelforge.train.data.distributed_samplers import Share
from modelforge.train.divergence import NotFinite, locate
from modelforge.train.freezing import Freezing
from modelforge.train.hooks.averaging import go_on_from_trained
from modelforge.train.metrics import guard, mean_loss
from modelforge.train.optimizers.optimizer import OptimizerFactory
from modelforge.train.parallel.world import SINGLE_PROCESS, World
from modelforge.train.schedulers.scheduler import SchedulerFactory
from modelforge.train.tasks.task import Data, Task

COUNTED = "modelforge_counted"
"""The key in a checkpoint of what the training counted in its epoch, for `train/loss` and the metric."""
LENGTH = "modelforge_length"
"""The key in a checkpoint of the length of the training, in intervals of its scheduler."""
_UPDATES = "updates"


def num_accumulated(trainer: Trainer, batch_idx: int) -> int:
    """The number of batches of the step that a batch belongs to; the last step of an epoch may have fewer."""
    most = trainer.accumulate_grad_batches
    left = trainer.num_training_batches - batch_idx // most * most
    return int(min(most, left))


class Learner(LightningModule):
    """The loss and the metric of a task around a model.

    Args:
        model: Maps a batch of inputs to what the task takes.
        task: The purpose of the training.
        data: What the data declares.
        optimizer: Makes the optimizer of the model's parameters.
        scheduler: Makes the learning-rate scheduler, if there is one.
        metrics: Make further metrics of validation and test, by their names.
        freezing: Which parameters are not trained, and when.
        world: The processes that train it together.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        data: Data,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        metrics: Mapping[str, Callable[[], Metric]] = MappingProxyType({}),
        freezing: Freezing | None = None,
        world: World = SINGLE_PROCESS,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.meters = nn.ModuleDict({stage: task.meter(data) for stage in ("_train", "_val", "_test")})
        further = {stage: {name: make() for name, make in metrics.items()} for stage in ("val", "test")}
        self.further = further
        # Registered in order, so that Lightning moves and resets them.
        self._further = nn.ModuleList(meter for meters in further.values() for meter in meters.values())
        # Unlike the sum that Lightning keeps of a loss, these go by the weight of a batch, and the first can be saved
        # in the middle of an epoch.
        self.train_loss = mean_loss()
        self.other_losses = nn.ModuleDict({stage: mean_loss() for stage in ("_val", "_test")})
        for metric in self.modules() if world.size > 1 else ():
            if isinstance(metric, Metric):
                metric.dist_sync_fn = world.states
        self.failed: dict[str, str] = {}
        """Why metrics could not be computed, the first time, by their names with the stage."""
        for stage in ("train", "val", "test"):
            for name, meter in {task.metric: self.meters[f"_{stage}"], **further.get(stage, {})}.items():
                guard(meter, partial(self.failed.setdefault, f"{stage}/{name}"))
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.freezing = freezing or Freezing()
        self.world = world
        self.step_factor = 1.0
        """What the gradients and the loss of the step at hand were multiplied by at its end."""
        self.num_unscored = 0
        """The test examples of which the model made NaN, or no loss."""
        self._is_unscored = False
        """Whether there is one in any process."""
        self.batch_loss: Tensor | None = None
        """The loss of the last training batch, as it counts in its step."""
        self._is_first = True
        """Whether it is the first evaluation of the training batch at hand: LBFGS evaluates it several times."""
        self._inputs: Inputs | None = None
        """Of the last batch that was trained on."""
        self._unit, self._shares, self._ends_step = 1.0, list[float](), True

    def configure_model(self) -> None:
        """Does nothing: a model that is sharded was built so. Lightning asks for this hook then."""

    def share(self, stage: str, index: int) -> Share:
        """What this process counts of a batch, by the batch's number in the epoch; all of it where it is alone."""
        if self.world.size == 1:
            return Share(1)
        trainer: Any = self.trainer  # whose data module is not an attribute of its class
        return trainer.datamodule.share(stage, index)

    def forward(self, inputs: Inputs) -> Tensor:
        """The model's outputs."""
        return read_by(self.model, inputs)

    def on_train_start(self) -> None:
        """Brings a training that goes on from a checkpoint to where it was."""
        self.freezing.apply(self.model, self.current_epoch)
        if self.scheduler is not None:
            for timing in self.trainer.lr_scheduler_configs:
                self.scheduler.realign(timing.scheduler)

    def on_train_epoch_start(self) -> None:
        """Thaws what is to be trained from this epoch on."""
        self.freezing.apply(self.model, self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Counts the first evaluation of the batch."""
        self._is_first = True

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch, as it counts in its step.

        Lightning divides it by `accumulate_grad_batches` and adds up the gradients, of which several processes take the
        mean. Each batch counts by its weight: in units of the mean weight of the step's first batch, since those of
        the later ones are not known yet; `on_after_backward` divides by the sum.

        Raises:
            NotFinite: it is not finite.
        """
        share = self.share("train", batch_idx)
        loss = self._step(batch, "train", share)[0]
        most, number = self.trainer.accumulate_grad_batches, num_accumulated(self.trainer, batch_idx)
        place, counts = batch_idx % most, 1.0
        if number > 1 or self.world.size > 1:
            weight = float(self.task.weight(batch)) if share.own else 0.0
            if place == 0:
                self._unit = self.world.mean(weight) or 1.0
            counts = weight / self._unit
        self._shares[place:] = [counts]
        self._ends_step = place == number - 1
        factor = counts * most / number
        loss = loss if factor == 1 else loss * factor
        if self._is_first:
            self.batch_loss = loss.detach()
        return loss

    def on_after_backward(self) -> None:
        """Makes the gradients of a step those of the mean over all that it accumulated."""
        self.step_factor = 1.0
        if not self._ends_step or len(self._shares) < 2:
            return
        mean = self.world.mean(sum(self._shares) / len(self._shares))
        if mean in (0, 1):  # nothing counts, or all batches count the same
            return
        self.step_factor = 1 / mean
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(self.step_factor)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Counts one batch towards `val/loss` and the metric."""
        self._step(batch, "val", self.share("val", batch_idx))

    def on_validation_start(self) -> None:
        """Gives all processes the buffers of the first, such as running statistics, as a checkpoint keeps them."""
        for buffer in self.model.buffers() if self.world.size > 1 else ():
            distributed.broadcast(buffer, 0)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Counts one batch towards `test/loss` and the metric, and gives the outputs."""
        return self._step(batch, "test", self.share("test", batch_idx))[1]

    def on_test_epoch_end(self) -> None:
        """Adds up what the processes found."""
        self.num_unscored = sum(self.world.gather(self.num_unscored))

    def _leave_unscored(self, outputs: Tensor, loss: Tensor, *, own: bool) -> None:
        """Gives the metrics of a test no value once an output is NaN, which they would count as one of the classes."""
        broken = own and bool(outputs.isnan().any() | loss.isnan())
        self.num_unscored += max(1, int(_broken(outputs).sum())) if broken else 0
        self._is_unscored |= self.world.any(broken)
        if self._is_unscored:
            for meter in (self.meters["_test"], *self.further["test"].values()):
                assert isinstance(meter, Metric)
                meter._computed = torch.tensor(torch.nan)  # pyright: ignore[reportAttributeAccessIssue]  # its cache

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Stops before a gradient that is not finite reaches the parameters; LBFGS comes by after each evaluation.

        Raises:
            NotFinite: it is not finite.
        """
        self._is_first = False
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return  # float16 scales its loss by trial and error and skips such steps on its own
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        if gradients and not bool(torch.isfinite(whole(nn.utils.get_total_norm(gradients, float("inf"))))):
            assert self._inputs is not None
            raise self._not_finite(self._inputs, here=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what was counted so far in this epoch, and the length of the training where the scheduler keeps it."""
        checkpoint[COUNTED] = [self._counts(meter) for meter in self._counting()]
        scheduler = self.scheduler
        checkpoint[LENGTH] = scheduler.length if scheduler is not None and scheduler.keeps_length else None

    def _counts(self, meter: Metric) -> dict[str, Any]:
        """What all processes counted so far."""
        several = self.world.size > 1
        with meter.sync_context(should_sync=several, should_unsync=several):
            values = {name: getattr(meter, name) for name in meter._defaults}
        return values | {_UPDATES: meter._update_count}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on counting from there, and training from the weights that were trained.

        Raises:
            ForgeError: the scheduler keeps the length of the training that it began with, and now it is another.
        """
        if self.scheduler is not None and (problem := self.scheduler.wrong_length(checkpoint.get(LENGTH))):
            raise ForgeError([problem])
        if self.trainer.state.fn == TrainerFn.FITTING:
            go_on_from_trained(checkpoint)
            # Lightning does so after it has read the weights: those of `64-true` would be rounded to float32.
            self.trainer.precision_plugin.convert_module(self)
        counted = (
            checkpoint.get(COUNTED, ()) if self.world.is_rank_zero else ()
        )  # the others add to what the first counts
        for meter, values in zip(self._counting(), counted, strict=False):
            for name in meter._defaults:
                setattr(meter, name, values[name].to(meter.device))
            meter._update_count = values[_UPDATES]

    def _counting(self) -> Sequence[Metric]:
        meter = self.meters["_train"]
        assert isinstance(meter, Metric)
        return self.train_loss, meter

    def configure_optimizers(self) -> Any:
        """The optimizer, and the scheduler where there is one."""
        never = self.freezing.never_trained
        optimizer = self.optimizer(
            (path, weight) for path, weight in self.model.named_parameters() if path not in never
        )
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer, self.trainer.check_val_every_n_epoch)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def _not_finite(self, inputs: Inputs, *, here: bool, outputs: Tensor | None = None) -> NotFinite:
        """The place where values stop being finite, in the first process where they do; all look for it together.

        Args:
            inputs: Those of the batch.
            here: Whether they do so in this process.
            outputs: Those of a validation: its examples may be to blame, and not the training.
        """
        found, to_blame = locate(self.model, inputs), None
        if outputs is not None:
            broken = _broken(outputs)
            # What the training broke fails for what it was trained on, too.
            seen = None if self._inputs is None else _broken(read_by(self.model, self._inputs))
            is_broken = bool(broken.all() if seen is None else seen.any())
            to_blame = int(broken.sum()) if not is_broken else None
        each = self.world.gather((found, to_blame or None) if here else None)
        return NotFinite(*next(one for one in each if one is not None), step=self.global_step)

    def _step(self, batch: Batch, stage: str, share: Share) -> tuple[Tensor, Tensor]:
        """The loss and the outputs."""
        inputs, targets = batch
        outputs = read_by(self.model, inputs)
        loss = self.task.loss(outputs, batch)
        broken = stage != "test" and not bool(torch.isfinite(loss))
        if stage != "test" and self.world.any(broken):
            raise self._not_finite(inputs, here=broken, outputs=outputs if stage == "val" else None)
        if stage == "train":
            self._inputs = inputs
        size = len(targets) if share.own else 0
        meter = self.meters[f"_{stage}"]
        assert isinstance(meter, Metric)
        further = self.further.get(stage, {})
        mean = self.train_loss if stage == "train" else self.other_losses[f"_{stage}"]
        assert isinstance(mean, MeanMetric)
        if size and (self._is_first or stage != "train"):
            self.task.count(meter, outputs.detach(), batch)
            mean.update(loss.detach(), self.task.weight(batch))
            for one in further.values():
                one.update(*self.task.scored(outputs.detach(), batch))
        if stage == "test":
            self._leave_unscored(outputs, loss, own=bool(size))
        log = partial(self.log, on_step=False, on_epoch=True, batch_size=size)
        log(f"{stage}/loss", mean)
        log(f"{stage}/{self.task.metric}", meter)
        for name, one in further.items():
            log(f"{stage}/{name}", one)
        return loss, outputs


def _broken(outputs: Tensor) -> Tensor:
    """Which examples of a batch have outputs that are not finite."""
    return ~torch.isfinite(outputs.detach()).flatten(1).all(1)

"""`RecordStart`: what is predicted of a model's start, and the gradient of its first layer, → start.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from modelforge.building.shards import whole
from modelforge.planning.plan import Plan
from modelforge.results.starts import RunStart, write_start
from modelforge.signal.predict import NodeSignal, predict

BATCH = 8
"""Examples of the batch that is predicted."""
MAX_LAYERS = 60
"""Of a model whose start is predicted: a prediction of more takes a second and longer."""


class RecordStart(Callback):
    """Writes the prediction before the first step, and adds the gradient that the first step measures.

    Args:
        plan: The model.
        folder: The run folder.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.start = RunStart()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what is predicted; a run that goes on keeps what it began with."""
        if trainer.is_global_zero and trainer.global_step == 0:
            self.start = foreseen(self.plan)
            write_start(self.start, self.folder)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Adds the gradient of the first step."""
        if trainer.global_step > 0 or self.start.first_gradient is not None:
            return
        # Every process has its part in the norm of sharded gradients.
        norm = whole(nn.utils.get_total_norm(_first_gradients(pl_module)))
        self.start = replace(self.start, first_gradient=float(norm))
        if trainer.is_global_zero:
            write_start(self.start, self.folder)


def foreseen(plan: Plan) -> RunStart:
    """The predicted energies at both ends of a model; nothing for a large one."""
    if sum(not layer.children for layer in plan.layers) > MAX_LAYERS:
        return RunStart()
    nodes = predict(plan, batch_size=BATCH).nodes
    signal = next((node.signal.second for node in reversed(nodes) if node.signal is not None), None)
    return RunStart(signal, next((found for node in nodes if (found := _arriving(node)) is not None), None))


def _arriving(node: NodeSignal) -> float | None:
    """The energy of the gradient at a tensor, of a sequence at its first step; None where none is known to arrive."""
    gradient = node.gradient
    if gradient is None:
        return None
    shares = [*gradient.profile.values()]
    return gradient.energy * (float(shares[0][0]) if len(shares) == 1 else 1.0)


def _first_gradients(module: nn.Module) -> list[Tensor]:
    """Those of the parameters of the first layer that is trained."""
    found = {name: one.grad for name, one in module.named_parameters() if one.grad is not None}
    first = next(iter(found), "").rpartition(".")[0]
    return [gradient for name, gradient in found.items() if name.rpartition(".")[0] == first]

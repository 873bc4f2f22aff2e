"""Each step that `log_every_n_steps` names has a row of what that very step did."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from modelforge.train.hooks.steps import LogSteps
from modelforge.train.rows import Rows
from modelforge.train.trackers.history import History

INPUTS = torch.arange(1.0, 8.0)


class Square(LightningModule):
    """Loss (w x)², whose gradient is 2 w x²."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return (self.weight * batch[0]).square().mean()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.001)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def by_hand(size: int, accumulate: int) -> list[dict[str, float]]:
    """What each step does; Lightning divides by `accumulate` where the last one of an epoch has fewer batches, too."""
    batches = INPUTS.double().split(size)
    weight, rate, rows = 1.0, 0.001, []
    for step in range(-(-len(batches) // accumulate)):
        squares = [float(batch.square().mean()) for batch in batches[step * accumulate : (step + 1) * accumulate]]
        gradient = sum(2 * weight * square for square in squares) / accumulate
        loss = sum(weight**2 * square for square in squares) / accumulate
        rows.append({"step": step, "epoch": 0, "loss": loss, "lr": rate, "gradient_norm": abs(gradient)})
        weight, rate = weight - rate * gradient, rate / 2
    return rows


@pytest.mark.parametrize(("every", "accumulate"), [(1, 1), (2, 1), (1, 2), (1, 3), (2, 3), (0, 1)])
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*|.*is smaller than the logging interval.*")
def test_rows_are_what_the_steps_did(tmp_path: Path, every: int, accumulate: int):
    rows = Rows()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=[History(rows)], callbacks=[LogSteps()], default_root_dir=tmp_path,
        log_every_n_steps=every, accumulate_grad_batches=accumulate, gradient_clip_val=1e6,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Square(), DataLoader(TensorDataset(INPUTS), batch_size=1))
    steps = by_hand(1, accumulate)
    expected = [row for row in steps if every and (row["step"] + 1) % every == 0]
    found = [rows.step_row(index) for index in range(rows.num_steps)]
    assert found == [pytest.approx(row, rel=1e-5) for row in expected]


def column(folder: Path, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader((folder / "steps.csv").read_text().splitlines())]


def test_every_step_of_a_run(train, tmp_path: Path):
    train("trainer.log_every_n_steps=3")
    assert column(tmp_path / "run", "step") == [str(step) for step in range(2, 40, 3)]
    assert column(tmp_path / "run", "epoch") == [str(step // 20) for step in range(2, 40, 3)]
    assert set(column(tmp_path / "run", "lr")) == {"0.002"}

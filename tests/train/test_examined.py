"""What a run keeps of its test part: the prediction and the loss of each example, and the worst."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.train.examined import Examined, example_losses
from modelforge.train.tasks.classification import Classification


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def metrics(run: Path) -> dict[str, float]:
    return json.loads((run / "status.json").read_text())["metrics"]


def test_a_classification(train, tmp_path: Path):
    """The mean of the losses is the loss of the test, and the share of right predictions its accuracy."""
    train("model=mlp", "data=digits")
    rows, worst = table(tmp_path / "run" / "test_predictions.csv"), table(tmp_path / "run" / "test_worst.csv")
    found = metrics(tmp_path / "run")
    assert [row["example"] for row in rows] == [str(number) for number in range(270)]
    assert list(rows[0])[:5] == ["example", "loss", "target", "prediction", "probability"]
    assert np.mean([float(row["loss"]) for row in rows]) == pytest.approx(found["test/loss"], rel=1e-5)
    assert np.mean([row["target"] == row["prediction"] for row in rows]) == pytest.approx(found["test/accuracy"])
    assert worst == sorted(rows, key=lambda row: -float(row["loss"]))[:20]
    likelihood = [float(row[f"probability_{row['target']}"]) for row in rows]
    assert -np.log(likelihood) == pytest.approx([float(row["loss"]) for row in rows], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("num_classes", [20, 21, 300])
def test_of_many_classes_the_likeliest_are_kept(tmp_path: Path, num_classes: int):
    examined = Examined(Classification(type="classification"), {}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    outputs = torch.randn(6, num_classes, generator=torch.Generator().manual_seed(0))
    examined.on_test_batch_end(trainer, None, outputs, (torch.zeros(6, 2), torch.zeros(6).long()), 0)
    examined.on_test_end(trainer, None)
    rows = table(tmp_path / "test_predictions.csv")
    first = ["example", "loss", "target", "prediction", "probability"]
    if num_classes <= 20:
        assert [*rows[0]] == [*first, *(f"probability_{number}" for number in range(num_classes))]
        return
    names = [f"{name}_{number}" for number in range(2, 6) for name in ("prediction", "probability")]
    assert [*rows[0]] == [*first, *names]
    chances, best = outputs.double().softmax(1).sort(1, descending=True)
    for number, suffix in enumerate(["", "_2", "_3", "_4", "_5"]):
        assert [int(row[f"prediction{suffix}"]) for row in rows] == best[:, number].tolist()
        assert [float(row[f"probability{suffix}"]) for row in rows] == pytest.approx(chances[:, number].tolist())


def test_a_table_has_the_names_of_its_classes(train, here: Path):
    sizes = ("data.num_features=3", "data.num_outputs=3")
    train("model=mlp", "data=csv", "data.path=flowers.csv", "data.target=kind", *sizes)
    rows = table(here / "run" / "test_predictions.csv")
    assert {row["target"] for row in rows} | {row["prediction"] for row in rows} <= {"a", "b", "c"}


def test_text_keeps_the_worst_alone(train, book: Path):
    train("model=char_lstm", "data=text", f"data.files={book}", "data.context=8", "trainer.max_epochs=1")
    assert not (book.parent / "run" / "test_predictions.csv").exists()
    rows = table(book.parent / "run" / "test_worst.csv")
    assert list(rows[0])[:2] == ["example", "loss"]
    losses = [float(row["loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("size", [1, 5, 30])
def test_at_most_twenty(tmp_path: Path, size: int):
    examined = Examined(Classification(type="classification"), {}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    outputs, labels = torch.randn(size, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(size).long()
    examined.on_test_batch_end(trainer, None, outputs, (torch.zeros(size, 2), labels), 0)
    examined.on_test_end(trainer, None)
    assert len(table(tmp_path / "test_worst.csv")) == min(size, 20)
    assert len(table(tmp_path / "test_predictions.csv")) == size


def test_what_is_not_finite_is_worst(tmp_path: Path):
    examined = Examined(Classification(type="classification"), {}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    outputs = torch.tensor([[0.0, 9.0], [torch.nan, 0.0], [9.0, 0.0]])
    examined.on_test_batch_end(trainer, None, outputs, (torch.zeros(3, 2), torch.zeros(3).long()), 0)
    examined.on_test_end(trainer, None)
    assert [row["example"] for row in table(tmp_path / "test_worst.csv")] == ["1", "0", "2"]


def test_weights_of_classes_decide_which_is_worst(tmp_path: Path):
    """A loss alone would divide the weight out again."""
    outputs, labels = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.5, 0.0]]), torch.tensor([1, 0, 1])
    examined = Examined(Classification(type="classification", class_weights=(10.0, 0.1)), {}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    examined.on_test_batch_end(trainer, None, outputs, (torch.zeros(3, 2), labels), 0)
    examined.on_test_end(trainer, None)
    rows = table(tmp_path / "test_worst.csv")
    assert [row["example"] for row in rows] == ["1", "2", "0"]
    each = functional.cross_entropy(outputs, labels, reduction="none").tolist()
    assert [float(row["loss"]) for row in rows] == pytest.approx([10 * each[1], 0.1 * each[2], 0.1 * each[0]])


def test_a_label_that_is_ignored_adds_nothing(tmp_path: Path):
    examined = Examined(Classification(type="classification"), {"classes": ["a", "b"]}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    batch = (torch.zeros(2, 2), torch.tensor([1, -100]))
    examined.on_test_batch_end(trainer, None, torch.tensor([[1.0, 0.0], [9.0, 0.0]]), batch, 0)
    examined.on_test_end(trainer, None)
    rows = table(tmp_path / "test_predictions.csv")
    assert [(row["target"], float(row["loss"])) for row in rows] == [("b", pytest.approx(1.3132617)), ("", 0)]


def test_a_loss_that_needs_several_examples(tmp_path: Path):
    class Contrast(Classification):
        def loss(self, outputs, batch):
            if len(outputs) < 2:
                raise ValueError("one example has no contrast")
            return outputs.sum()

    task = Contrast(type="contrast")
    assert np.isnan(example_losses(task, torch.ones(2, 3), (torch.ones(2), torch.zeros(2).long()))).all()
    examined = Examined(task, {}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    examined.on_test_batch_end(trainer, None, torch.ones(2, 3), (torch.ones(2), torch.zeros(2).long()), 0)
    examined.on_test_end(trainer, None)
    assert not [*tmp_path.iterdir()]

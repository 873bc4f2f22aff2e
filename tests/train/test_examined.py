"""What a run keeps of its test part: the prediction and the loss of each example, and the worst."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.train.data.read import read
from modelforge.train.examined import Examined, example_losses, unscored
from modelforge.train.tasks.classification import Classification
from modelforge.train.tasks.regression import Regression
from tests.train.tables import npz


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


def test_each_row_says_where_its_example_comes_from(train, here: Path):
    sizes = ("data.num_features=3", "data.num_outputs=3")
    train("model=mlp", "data=csv", "data.path=flowers.csv", "data.target=kind", *sizes)
    raw = table(here / "flowers.csv")
    rows = table(here / "run" / "test_predictions.csv")
    assert list(rows[0])[:3] == ["example", "row", "loss"]
    assert [raw[int(row["row"]) - 1]["kind"] for row in rows] == [row["target"] for row in rows]


def test_a_picture_is_named_by_its_file(train, tmp_path: Path):
    image = pytest.importorskip("PIL.Image", reason="the extra `train`")
    random = np.random.default_rng(0)
    for number in range(40):
        folder = tmp_path / "pictures" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(folder / f"{number}.png")
    pictures = ("data=image_folder", f"data.path={tmp_path / 'pictures'}", "data.channels=1", "data.size=8")
    train("model=mlp", *pictures, "data.num_classes=2", "trainer.max_epochs=1")
    rows = table(tmp_path / "run" / "test_worst.csv")
    assert list(rows[0])[:3] == ["example", "file", "loss"]
    assert all((tmp_path / "pictures" / row["file"]).is_file() for row in rows)
    assert [row["file"].partition("/")[0] for row in rows] == [row["target"] for row in rows]


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


def test_a_target_called_loss_replaces_no_losses(tmp_path: Path):
    names = ["loss", "example", "prediction_loss"]
    examined = Examined(Regression(type="regression"), {"targets": {"names": names}}, tmp_path)
    trainer: Any = SimpleNamespace(fast_dev_run=False)
    outputs, targets = (
        torch.tensor([[5.0, 6.0, 7.0], [1.0, 2.0, 3.0]]),
        torch.tensor([[5.0, 6.0, 7.0], [1.0, 2.0, 6.0]]),
    )
    examined.on_test_batch_end(trainer, None, outputs, (torch.zeros(2, 1), targets), 0)
    examined.on_test_end(trainer, None)
    first, second = table(tmp_path / "test_worst.csv")
    assert list(first)[:2] == ["example", "loss"]
    assert [(row["example"], float(row["loss"])) for row in (first, second)] == [("1", 3.0), ("0", 0.0)]
    predicted = ("prediction_prediction_loss", "prediction_example", "prediction_loss")
    assert [float(first[name]) for name in predicted] == [1, 2, 3]
    assert [float(first[f"target_{name}"]) for name in names] == [1, 2, 6]


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


def save_arrays(part: int, here: Path) -> tuple[str, ...]:
    """Writes arrays in which two examples of the part for validation (1) or test (2) are too large for the model."""
    random = np.random.default_rng(0)
    values, targets = random.standard_normal((120, 4)).astype(np.float32), random.integers(3, size=120)
    np.savez(here / "arrays.npz", x=values, y=targets)
    settings = ("data=npz", "data.path=arrays.npz", "data.input.shape=[4]", "data.num_outputs=3")
    large = read(npz(input={"shape": [4]}, standardize=False))
    chosen = (large.val, large.test)[part - 1].batch(np.array([3, 5]))[0]
    assert isinstance(chosen, np.ndarray)
    values[(values[:, None] == chosen).all(-1).any(1)] = 3e38
    np.savez(here / "arrays.npz", x=values, y=targets)
    return ("model=mlp", "init=xavier_normal", "init.gain=4", *settings, "data.standardize=false")


def test_where_outputs_are_not_numbers_no_metric_of_the_test_has_a_value(train, here: Path):
    """NaN counted as one of the classes, and the accuracy was reported without a word."""
    result = train(*save_arrays(2, here))
    assert result.status.state == "finished"
    assert set(result.status.metrics) == {"val/accuracy"}
    (warning,) = (found for found in result.status.warnings if found["code"] == "MW225")
    assert warning["message"] == "the model's outputs for 2 of 18 test examples are not finite"
    *_, last = table(here / "run" / "metrics.csv")
    assert (last["test/accuracy"], last["test/loss"]) == ("nan", "nan")
    assert [row["example"] for row in table(here / "run" / "test_worst.csv")][:2] == ["3", "5"]


def test_an_example_of_the_validation_that_is_too_large_is_no_divergence(train, here: Path):
    """It was said to lower the learning rate, and counted as a result in sweeps."""
    result = train(*save_arrays(1, here))
    assert result.status.state == "failed"
    (problem,) = result.status.error
    assert (problem["code"], problem["path"]) == ("MF053", "data")
    assert problem["message"].startswith(
        "at step 2, outputs for 2 examples of a validation batch are not finite, unlike those for training: layer `"
    )


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_metric_without_a_value_is_named(value: float):
    (warning,) = unscored(0, {"val/loss": 1.0, "test/loss": value}, 3)
    assert warning.message == f"`test/loss` is {value}"


def test_a_metric_that_cannot_be_computed_is_not_a_number(train, here: Path):
    """R2Score of torchmetrics raises for one example: it was a traceback in the first validation."""
    limits = ("+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1", "trainer.max_epochs=2")
    settings = ("data=adding", "data.num_train=20", "data.batch_size=1", "metrics={other: R2Score}")
    result = train("model=lstm", *settings, *limits)
    assert result.status.state == "finished"
    found = [one for one in result.status.warnings if one["code"] == "MW225"]
    assert [one["key"] for one in found[:2]] == ["metrics.other", "metrics.other"]
    assert found[0]["message"].startswith("`val/other` could not be computed, and is NaN: R2Score: Needs at least two")
    assert found[1]["message"].startswith("`test/other` could not be computed")
    assert [row["val/other"] for row in table(here / "run" / "metrics.csv")][:2] == ["nan", "nan"]

"""A run folder is a model: what it predicts from raw data gives the metric that the run reported."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.tasks.classification import Classification
from modelforge.train.trained_run import load_run

SIZES = ("data.num_train=64", "data.num_val=32", "data.num_test=37")
RUNS = {
    "digits": (),
    "digits_rows": ("model=rnn", "data=digits_rows"),
    "adding": ("model=lstm", "data=adding", "data.num_steps=10", *SIZES),
    "copy": ("model=lstm", "data=copy", "data.num_steps=25", "~model.layers.last", *SIZES),
    "reverse": ("model=t5", "data.num_steps=5", *SIZES),
    "autoencoder": ("model=autoencoder",),
    "breast_cancer": ("data=breast_cancer",),
    "weighted": ("data.task={type: classification, class_weights: balanced}", "metrics={f1: F1Score}"),
}


@pytest.mark.parametrize("overrides", RUNS.values(), ids=RUNS)
def test_an_evaluation_gives_the_reported_metrics_to_the_bit(train, tmp_path: Path, overrides: tuple[str, ...]):
    result = train(*overrides, "trainer.max_epochs=1")
    assert result.exit_code == 0, result.status.error
    found = load_run(tmp_path / "run").evaluate()
    reported = {name.removeprefix("test/"): value for name, value in result.status.metrics.items() if "test/" in name}
    assert dict(found.metrics) == reported
    assert found.of == "the test part"


def test_predictions_from_raw_pictures_give_the_reported_accuracy(train, tmp_path: Path):
    datasets = pytest.importorskip("sklearn.datasets", reason="the extra `train`")
    result = train("data=digits")
    run = mf.load_run(tmp_path / "run")
    raw = datasets.load_digits()
    _, _, test = np.split(np.arange(1797), [0, 0])
    encoded = read(run.source).test
    columns = run.predict(raw.images)
    assert columns["prediction"].dtype.kind == "i"
    # The test part holds the same pictures, scaled: each is found among the raw ones.
    scaled = (raw.images - run.fitted["inputs"]["mean"]) / run.fitted["inputs"]["std"]
    places = {row.astype(np.float32).tobytes(): place for place, row in zip(test, scaled, strict=True)}
    inputs, labels = encoded.batch(np.arange(len(encoded)))
    chosen = [places[row.tobytes()] for row in inputs.reshape(len(inputs), -1)]
    right = columns["prediction"][chosen] == labels
    assert result.status.metrics["test/accuracy"] == pytest.approx(right.mean(), abs=1e-7)


def changed(run: Path, old: str, new: str) -> None:
    path = run / "preprocessing.json"
    path.write_text(path.read_text().replace(old, new, 1))


def test_the_model_is_the_best_checkpoint_in_eval_mode(train, tmp_path: Path):
    train("data=digits")
    run = load_run(tmp_path / "run")
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert not run.model.training
    assert all(torch.equal(value, best[f"model.{name}"]) for name, value in run.model.state_dict().items())
    assert run.checkpoint.name == "best.ckpt"
    assert run.reported["test/accuracy"] > 0.5


def test_a_run_and_its_evaluation_print_what_they_reported(train, tmp_path: Path):
    train("data=digits")
    run = load_run(tmp_path / "run")
    assert f"{run.folder}: " in str(run)
    assert f"test/accuracy  {run.reported['test/accuracy']:#.5g}" in str(run)
    assert f"accuracy           {run.reported['test/accuracy']:#.5g}\n" in str(found := run.evaluate())
    assert repr(run) == f"<Run: {run.folder}, best.ckpt>"
    assert repr(found).startswith("<Evaluation: the test part, ")


def test_data_that_changed_since_is_refused(train, tmp_path: Path):
    train("data=digits")
    run = load_run(tmp_path / "run")
    with pytest.raises(mf.ForgeError, match="no longer what the run was trained on"):
        replace(run, fitted={**run.fitted, "digest": "0"}).evaluate()


def test_outputs_that_are_no_numbers_are_refused(train, tmp_path: Path):
    """The largest of them would be the first class."""
    train("data=digits")
    run = load_run(tmp_path / "run")
    with torch.no_grad():
        next(run.model.parameters()).fill_(torch.nan)
    for use in (run.evaluate, lambda: run.predict(np.zeros((2, 8, 8)))):
        with pytest.raises(mf.ForgeError, match="output for example 1 is not a number"):
            use()


def test_a_loss_that_is_not_a_number_is_told(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As by the run itself; a mean without it would be a number."""
    train("data=digits", "trainer.max_epochs=1")
    run = load_run(tmp_path / "run")
    loss = Classification.loss
    monkeypatch.setattr(Classification, "loss", lambda *given: loss(*given) * (math.nan if len(given[1]) < 64 else 1))
    assert math.isnan(run.evaluate().metrics["loss"])


def test_a_metric_that_takes_more_examples_is_refused(train, tmp_path: Path, here: Path):
    table = "".join(f"{row},{row * row}\n" for row in range(60))
    (here / "table.csv").write_text("x,y\n" + table)
    (here / "one.csv").write_text("x,y\n1,2\n")
    train("data=csv", "data.path=table.csv", "data.target=y", "data.task=regression", "data.num_outputs=1")
    run = load_run(tmp_path / "run")
    with pytest.raises(mf.ForgeError, match="`r2` cannot be computed from 1 example"):
        run.evaluate({"path": "one.csv"})
    with pytest.raises(mf.ForgeError, match=r"`data.path` names nothing to evaluate"):
        run.evaluate({"path": None})
    assert run.evaluate({"path": "table.csv"}).num_examples == 60


def test_new_data_of_another_shape_is_refused(train, tmp_path: Path):
    train("model=lstm", "data=adding", "data.num_steps=10", *SIZES)
    run = load_run(tmp_path / "run")
    with pytest.raises(mf.ForgeError, match=r"has shape \(3, 9, 2\), but must have \(examples, 10, 2\)"):
        run.predict(np.zeros((3, 9, 2)))
    with pytest.raises(mf.ForgeError, match="has no examples"):
        run.predict(np.zeros((0, 10, 2)))
    assert run.predict(torch.zeros(3, 10, 2))["prediction"].shape == (3,)
    other = run.evaluate({"num_test": 5, "split_seed": 7})
    assert other.num_examples == 5


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: shutil.rmtree(run), "there is no such folder"),
        (lambda run: (run / "config.yaml").unlink(), "its config.yaml cannot be read"),
        (lambda run: (run / "config.yaml").write_text("- 1"), "has no `data` section"),
        (lambda run: (run / "config.yaml").write_text("a: [1"), "its config.yaml cannot be read"),
        (lambda run: (run / "preprocessing.json").unlink(), "no preprocessing that can be read"),
        (lambda run: (run / "preprocessing.json").write_text("{"), "no preprocessing that can be read"),
        (lambda run: (run / "preprocessing.json").write_text("{}"), "no preprocessing that can be read"),
        (lambda run: changed(run, '"mean": ', '"mean": 1'), "it was changed after the run wrote it"),
        (lambda run: (run / "preprocessing.safetensors").write_bytes(b"pickle"), "it was changed after the run"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "it has no checkpoint"),
        (lambda run: (run / "checkpoints" / "best.ckpt").write_bytes(b"PK"), "cannot be read as a checkpoint"),
    ],
    ids=[
        "folder",
        "config",
        "list",
        "yaml",
        "preprocessing",
        "json",
        "empty",
        "changed",
        "arrays",
        "checkpoints",
        "damaged",
    ],
)
def test_a_folder_that_is_no_whole_run_is_refused(train, tmp_path: Path, break_it, message: str):
    train("data=digits", "trainer.max_epochs=1")
    break_it(tmp_path / "run")
    with pytest.raises(mf.ForgeError) as caught:
        load_run(tmp_path / "run")
    assert message in caught.value.problems[0].message


def test_a_checkpoint_of_another_model_is_refused(train, tmp_path: Path):
    train("data=digits", "trainer.max_epochs=1")
    path = tmp_path / "run" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["layers"]["hidden1"]["out_features"] = 7
    path.write_text(json.dumps(config))
    with pytest.raises(mf.ForgeError, match="does not fit the model"):
        load_run(tmp_path / "run")

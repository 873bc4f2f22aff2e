"""What a run keeps of its data, and that raw rows give the reported metric with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import modelforge as mf

NAMES = ("setosa", "versicolor", "virginica")


@pytest.fixture
def flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A table like that of the irises: two features of very different sizes, three classes that overlap."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    kinds = np.repeat(range(3), 50)
    rows = np.stack([1e4 + 900 * kinds + 500 * random.normal(size=150), 1e-3 * (kinds + random.normal(size=150))], 1)
    lines = [f"{a!r},{b!r},{NAMES[kind]}" for (a, b), kind in zip(rows.tolist(), kinds, strict=True)]
    (tmp_path / "flowers.csv").write_text("\n".join(["width,height,kind", *lines]) + "\n")
    return rows


def kept(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "run" / "preprocessing.json").read_text(encoding="utf-8"))


CSV = ("data=csv", "data.path=flowers.csv", "data.num_features=2", "model=mlp", "model.layers.hidden1.out_features=16")


def test_predictions_of_raw_rows_give_the_reported_accuracy(train, flowers: np.ndarray, tmp_path: Path):
    result = train(*CSV, "data.target=kind", "data.num_outputs=3", "trainer.max_epochs=8", "optimizer.lr=0.01")
    assert result.exit_code == 0, result.status.error
    run = mf.load_run(tmp_path / "run")
    test = run.fitted["rows"]["test"]
    predicted = run.predict({"height": flowers[test, 1], "width": flowers[test, 0]})["prediction"]
    right = np.asarray(predicted) == np.repeat(NAMES, 50)[test]
    assert result.status.metrics["test/accuracy"] == pytest.approx(right.mean(), abs=1e-7)  # it is kept as float32
    assert 0.5 < right.mean() < 1


def test_predictions_of_a_regression_are_in_the_units_of_its_target(train, flowers: np.ndarray, tmp_path: Path):
    task = ("data.task=regression", "data.target=height", "data.features=[width]", "data.num_outputs=1")
    result = train(*CSV, *task, "data.num_features=1", "data.num_classes=null")
    assert result.exit_code == 0, result.status.error
    run = mf.load_run(tmp_path / "run")
    rows = run.fitted["rows"]
    assert run.fitted["targets"]["mean"] == pytest.approx([flowers[rows["train"], 1].mean()])
    assert run.fitted["targets"]["std"] == pytest.approx([flowers[rows["train"], 1].std()])
    predicted = run.predict({"width": flowers[rows["test"], 0]})["height"]
    truth = flowers[rows["test"], 1]
    r2 = 1 - ((predicted - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert result.status.metrics["test/r2"] == pytest.approx(r2, abs=1e-5)


def test_without_standardizing_there_is_no_scale(train, flowers: np.ndarray, tmp_path: Path):
    train(*CSV, "data.target=kind", "data.num_outputs=3", "data.standardize=false")
    assert kept(tmp_path)["inputs"] == {"names": ["width", "height"], "mean": None, "std": None}


def test_other_data_keep_what_was_fitted_too(train, tmp_path: Path):
    train("data=digits")
    digits = kept(tmp_path)
    assert digits["classes"] == list(range(10))
    assert digits["inputs"]["mean"] == pytest.approx(4.88, abs=0.05)
    assert digits["inputs"]["std"] == 16
    (tmp_path / "book.txt").write_text("ab" * 500)
    small = ("data.context=8", "model.layers.rnn.hidden_size=16", "data.sample=0")
    written = (f"data.files={tmp_path}/book.txt", "data.level=characters", "data.vocab_size=2")
    train("model=char_lstm", *small, *written, folder="text/run")
    assert kept(tmp_path / "text")["alphabet"] == ["a", "b"]
    for name, level in (("light", 200), ("dark", 40)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8), (level, number, 0)).save(tmp_path / "pictures" / name / f"{number}.png")
    result = train(
        "model=cnn", "data=image_folder", f"data.path={tmp_path}/pictures", "data.size=8", folder="shown/run"
    )
    assert result.exit_code == 0, result.status.error
    pictures = kept(tmp_path / "shown")
    assert pictures["classes"] == ["dark", "light"]
    assert pictures["inputs"]["mean"] == pytest.approx([120 / 255, 4.5 / 255, 0], abs=0.01)
    assert pictures["inputs"]["levels"] == 255

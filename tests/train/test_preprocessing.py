"""What a run keeps of its data, and that the lines in docs/data.md rebuild a trained model with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import modelforge as mf
from modelforge.train.data.registry import parse_source
from modelforge.train.data.split import split

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
LINES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0]
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


def rebuilt(run: Path, rows: np.ndarray) -> tuple[torch.Tensor, dict]:
    """What the lines of the page make of some rows."""
    names: dict[str, Any] = {"json": json, "torch": torch, "mf": mf, "np": np, "run": run, "rows": rows}
    exec(LINES, names)
    with torch.no_grad():
        return names["model"](torch.tensor(names["scaled"], dtype=torch.float32)), names["fitted"]


CSV = ("data=csv", "data.path=flowers.csv", "data.num_features=2", "model=mlp", "model.layers.hidden1.out_features=16")


def test_the_lines_of_the_page_give_back_the_reported_accuracy(train, flowers: np.ndarray, tmp_path: Path):
    result = train(*CSV, "data.target=kind", "data.num_outputs=3", "trainer.max_epochs=8", "optimizer.lr=0.01")
    assert result.exit_code == 0
    assert LINES.count("\n") == 5
    outputs, fitted = rebuilt(tmp_path / "run", flowers)
    assert fitted["classes"] == list(NAMES)
    assert fitted["inputs"]["names"] == ["width", "height"]
    kinds = np.repeat(range(3), 50)
    test = split(parse_source(_section(fitted)), 150, kinds)[2]
    right = outputs.argmax(1).numpy()[test] == kinds[test]
    assert result.status.metrics["test/accuracy"] == pytest.approx(right.mean(), abs=1e-7)  # it is kept as float32
    assert 0.5 < right.mean() < 1
    unscaled = torch.tensor(flowers, dtype=torch.float32)
    assert fitted["inputs"]["mean"][0] == pytest.approx(float(unscaled[:, 0].mean()), rel=0.05)


def _section(fitted: dict) -> dict:
    return {key: value for key, value in fitted["data"].items() if value is not None}


def test_a_regression_keeps_the_scale_of_its_targets(train, flowers: np.ndarray, tmp_path: Path):
    task = ("data.task=regression", "data.target=height", "data.features=[width]", "data.num_outputs=1")
    result = train(*CSV, *task, "data.num_features=1", "data.num_classes=null")
    assert result.exit_code == 0, result.status.error
    outputs, fitted = rebuilt(tmp_path / "run", flowers[:, :1])
    assert fitted["targets"]["names"] == ["height"]
    train_rows, _, test = split(parse_source(_section(fitted)), 150)
    assert fitted["targets"]["mean"] == pytest.approx([flowers[train_rows, 1].mean()])
    assert fitted["targets"]["std"] == pytest.approx([flowers[train_rows, 1].std()])
    scaled = (flowers[test, 1] - fitted["targets"]["mean"]) / fitted["targets"]["std"]
    r2 = 1 - ((outputs[test, 0].numpy() - scaled) ** 2).sum() / ((scaled - scaled.mean()) ** 2).sum()
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


def _accuracy(fitted: dict, outputs: torch.Tensor, kinds: np.ndarray) -> float:
    """That of the part to test on, as the run's own split takes it."""
    test = split(parse_source(_section(fitted)), len(kinds), kinds)[2]
    return float((outputs.argmax(1).numpy()[test] == kinds[test]).mean())


def test_the_lines_give_back_the_accuracy_on_arrays_of_sequences(train, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 40)
    steps = (random.normal(size=(120, 5, 4)) + kinds[:, None, None]).astype(np.float32)
    np.savez(tmp_path / "steps.npz", x=steps, y=kinds)
    data = ("data=npz", "data.path=steps.npz", "data.input.shape=[5,4]", "data.num_outputs=3")
    result = train(*data, "model=rnn", "model.layers.rnn.hidden_size=8", "trainer.max_epochs=4")
    assert result.exit_code == 0, result.status.error
    outputs, fitted = rebuilt(tmp_path / "run", steps)
    assert result.status.metrics["test/accuracy"] == pytest.approx(_accuracy(fitted, outputs, kinds), abs=1e-7)


def test_the_lines_give_back_the_accuracy_on_pictures(train, tmp_path: Path):
    random = np.random.default_rng(0)
    kinds = np.repeat([0, 1], 30)
    pixels = np.clip(random.normal(100 + 30 * kinds[:, None, None, None], 80, (60, 8, 8, 3)), 0, 255).astype(np.uint8)
    for number, (kind, picture) in enumerate(zip(kinds, pixels, strict=True)):
        (tmp_path / "all" / f"kind{kind}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "all" / f"kind{kind}" / f"{number:02}.png")
    result = train("model=cnn", "data=image_folder", f"data.path={tmp_path}/all", "data.size=8")
    assert result.exit_code == 0, result.status.error
    # As Pillow gives them, channels last, divided by `levels`; the model reads channels first.
    names: dict[str, Any] = {
        "json": json,
        "torch": torch,
        "mf": mf,
        "np": np,
        "run": tmp_path / "run",
        "rows": pixels / 255.0,
    }
    exec(LINES, names)
    with torch.no_grad():
        outputs = names["model"](torch.tensor(np.moveaxis(names["scaled"], -1, 1), dtype=torch.float32))
    expected = _accuracy(names["fitted"], outputs, kinds)
    assert result.status.metrics["test/accuracy"] == pytest.approx(expected, abs=1e-7)


def test_the_lines_give_back_the_accuracy_on_the_digits(train, tmp_path: Path):
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    result = train("data=digits_rows", "model=rnn", "trainer.max_epochs=1")
    assert result.exit_code == 0, result.status.error
    outputs, fitted = rebuilt(tmp_path / "run", digits.images)
    expected = _accuracy(fitted, outputs, digits.target)
    assert result.status.metrics["test/accuracy"] == pytest.approx(expected, abs=1e-7)

"""A new task or source of data is one class; registered, it trains through the same door as those shipped."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from pydantic import PositiveInt
from torch.nn import functional
from torchmetrics import MeanAbsoluteError

from modelforge.config.compose import compose
from modelforge.results import collect
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.registry import SOURCES, register_data
from modelforge.train.data.source import SplitSource
from modelforge.train.data.split import split
from modelforge.train.job import execute
from modelforge.train.tasks.registry import TASKS, register_task
from modelforge.train.tasks.task import Task
from tests.train.conftest import CONF, SMALL

ROOT = Path(__file__).parents[2]
SIZES = ("data.num_steps=4", "data.num_train=64", "data.num_val=32", "data.num_test=32")


@pytest.fixture
def robust() -> Iterator[None]:
    @register_task("robust_regression")
    class RobustRegression(Task):
        """Huber loss, and the mean absolute error."""

        target_kind: ClassVar = "number"
        metric: ClassVar = "mae"
        lower_is_better: ClassVar = ("loss", "mae")

        def loss(self, outputs, batch):
            return functional.huber_loss(outputs, batch[1])

        def meter(self, data):
            return MeanAbsoluteError()

        def count(self, meter, outputs, batch):
            meter.update(outputs, batch[1])

        def reason(self, data):
            return f"the data has {data.num_outputs} numbers"

        def metric_in_words(self, examples):
            return "mean absolute error"

    yield
    TASKS.remove("robust_regression")


@pytest.mark.usefixtures("robust")
def test_a_task_is_one_class(train, tmp_path: Path, capsys):
    adding = ("model=lstm", "data=adding", *SIZES)
    result = train(*adding, "data.task=robust_regression", "trainer.max_epochs=1")
    assert result.exit_code == 0
    assert set(result.status.metrics) == {"val/mae", "test/mae", "test/loss"}
    assert result.status.optimized_metric == "val/mae"
    assert capsys.readouterr().out.splitlines()[-1].startswith("test mean absolute error ")
    train(*adding, "data.task=robust_regression", "optimizer.lr=0.1", folder="other")
    rows = collect(tmp_path).rows
    assert rows[0].metrics["val/mae"] < rows[1].metrics["val/mae"]
    (problem,) = train(
        *adding, "data.task=robust_regression", "model.layers.head.out_features=2", folder="x"
    ).status.error
    assert problem["message"] == "the model outputs (2,), but the data has 1 numbers, so it must be (1,)"
    (problem,) = train(*adding, "data.task=robust", folder="y").status.error
    assert problem["message"] == "unknown task `robust`"


@pytest.fixture
def blobs() -> Iterator[None]:
    @register_data("blobs")
    class Blobs(SplitSource):
        """Points around the corners of a cube."""

        target_kinds: ClassVar = ("class", "input")

        size: PositiveInt = 300
        """How many there are."""

        def read(self) -> Examples:
            random = np.random.default_rng(self.split_seed)
            labels = random.integers(0, self.num_outputs, self.size)
            points = (np.eye(3)[labels] + 0.1 * random.standard_normal((self.size, 3))).astype(np.float32)
            return Examples.of(Arrays(points[rows], labels[rows]) for rows in split(self, self.size, labels))

    yield
    SOURCES.remove("blobs")


@pytest.mark.usefixtures("blobs")
def test_a_source_of_data_is_one_class(tmp_path: Path):
    shutil.copytree(CONF, tmp_path / "conf")
    section = {"type": "blobs", "task": "classification", "num_outputs": 3, "input": {"shape": [3]}}
    (tmp_path / "conf" / "data" / "blobs.yaml").write_text(json.dumps(section))

    def run(*overrides: str):
        every = ["model=mlp", "data=blobs", *SMALL, *overrides]
        folder = tmp_path / str(len(overrides))
        return execute(lambda: compose(tmp_path / "conf", every), folder, tuple(every), show_plan=False)

    result = run("trainer.max_epochs=1")
    assert result.exit_code == 0
    assert result.status.metrics["test/accuracy"] > 0.5
    (problem,) = run("+data.batch_size=16", "+data.sizes=3").status.error
    assert (problem["message"], problem["hint"]) == ("`data` has no key `sizes`", "did you mean `size`?")


def test_tasks_and_sources_are_not_known_by_name():
    """Names stand where they are registered, and in what a message tells a user to write."""
    names = {*TASKS.names(), *SOURCES.names()}
    compared = {
        (str(path.relative_to(ROOT)), value.value)
        for path in (ROOT / "modelforge" / "train").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare | ast.MatchValue)
        for value in ast.walk(node)
        if isinstance(value, ast.Constant) and value.value in names
    }
    assert not compared

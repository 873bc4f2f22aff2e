"""Sections that name things of a kind: what is on, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from lightning import Callback
from lightning.pytorch.loggers import Logger
from pydantic import PositiveInt

import modelforge as mf
from modelforge.train.callbacks.registry import CALLBACKS, CallbackSettings, parse_callbacks
from modelforge.train.loggers.registry import LOGGERS, LoggerSettings, parse_loggers
from modelforge.train.named import missing_packages


class Counter(Callback):
    def __init__(self, every: int) -> None:
        self.every = every
        self.num_epochs = 0

    def state_dict(self) -> dict[str, int]:
        return {"num_epochs": self.num_epochs}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.num_epochs = state_dict["num_epochs"]

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.num_epochs += self.every


class Lines(Logger):
    """Keeps what it gets in a file."""

    @property
    def name(self) -> str:
        return "lines"

    @property
    def version(self) -> str:
        return ""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def write(self, line: str) -> None:
        with open(self.path, "a") as file:
            file.write(f"{line}\n")

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.write(f"{step} {sorted(metrics)}")

    def log_hyperparams(self, params: Any, *arguments: Any, **keywords: Any) -> None:
        self.write(f"lr {params['optimizer.lr']}")


@pytest.fixture
def own() -> Iterator[list[Counter]]:
    made: list[Counter] = []

    @mf.register_callback("count_epochs")
    class CountEpochs(CallbackSettings):
        """Counts."""

        every: PositiveInt = 1
        """What an epoch counts."""

        def make(self, context: Any) -> Counter:
            made.append(Counter(self.every))
            return made[-1]

    @mf.register_logger("lines")
    class LinesSettings(LoggerSettings):
        """Keeps lines."""

        file: str = "lines.txt"
        """Its name."""

        def make(self, context: Any) -> Lines:
            return Lines(context.folder / self.file)

        def close(self, logger: Any, *, finished: bool) -> None:
            logger.write(f"finished {finished}")

    yield made
    CALLBACKS.remove("count_epochs")
    LOGGERS.remove("lines")


def test_a_callback_and_a_logger_are_one_class_each(train, tmp_path: Path, own: list[Counter]):
    settings = ("+callbacks.count_epochs.every=2", "+logger.lines={}", "trainer.log_every_n_steps=0")
    assert train(*settings).exit_code == 0
    lines = (tmp_path / "run" / "lines.txt").read_text().splitlines()
    assert lines == [
        "lr 0.002",
        "19 ['epoch', 'val/accuracy', 'val/loss']",
        "19 ['epoch', 'train/accuracy', 'train/loss']",
        "39 ['epoch', 'val/accuracy', 'val/loss']",
        "39 ['epoch', 'train/accuracy', 'train/loss']",
        "40 ['epoch', 'test/accuracy', 'test/loss']",
        "finished True",
    ]
    resume = f"ckpt={tmp_path / 'run' / 'checkpoints' / 'last.ckpt'}"
    train(*settings, "trainer.max_epochs=3", resume, folder="next")
    assert [counter.num_epochs for counter in own] == [4, 6]
    (problem,) = train("+callbacks.count_epochs.evry=2", folder="wrong").status.error
    assert (problem["path"], problem["hint"]) == ("callbacks.count_epochs.evry", "did you mean `every`?")


def test_what_is_on_and_what_is_off():
    assert [*parse_loggers({"csv": True, "tensorboard": {}, "wandb": None, "mlflow": False})] == ["csv", "tensorboard"]
    assert parse_callbacks(None) == parse_callbacks({}) == {}


def test_a_class_must_be_finished_and_documented():
    with pytest.raises(TypeError, match="does not implement make"):
        mf.register_callback("half")(type("Half", (CallbackSettings,), {"__doc__": "Half."}))
    with pytest.raises(TypeError, match="is not a subclass of LoggerSettings"):
        mf.register_logger("no")(Lines)  # pyright: ignore  # that is the point
    with pytest.raises(ValueError, match="a callback `ema` exists already"):
        mf.register_callback("ema")(
            type("Ema", (CallbackSettings,), {"__doc__": "Another.", "make": lambda self, context: Callback()})
        )


def test_a_package_that_is_missing_is_named_with_the_way_to_get_it():
    class Needy(CallbackSettings):
        """Needs much."""

        packages: ClassVar = ("json", "no_such_package")

        def make(self, context: Any) -> Callback:
            return Callback()

    (problem,) = missing_packages("callbacks", {"needy": Needy()})
    assert (problem.key, problem.message) == (
        "callbacks.needy",
        "`needy` needs the package `no_such_package`, which is not installed",
    )
    assert problem.hint == "install `no_such_package`"

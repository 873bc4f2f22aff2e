"""`Subject`: one variant of a claim with one seed. It is planned, built, probed and trained once, when asked for."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modelforge.building.build import build
from modelforge.calibration.calibrate import calibrate
from modelforge.config.compose import Config, compose
from modelforge.core.errors import ForgeError, Problem
from modelforge.planning.plan import Plan
from modelforge.signal.jacobian import Jacobian
from modelforge.signal.measured import Probe
from modelforge.signal.predict import Prediction, predict
from modelforge.signal.probe import probe
from modelforge.train.data.read import read
from modelforge.train.job import execute
from modelforge.train.prepare import Job, located, prepare
from modelforge.train.trained_run import load_run

NUM_EXAMPLES = 64
"""Examples of a batch that is measured."""
Batch = Literal["noise", "data"]
When = Literal["start", "trained"]


@dataclass(frozen=True)
class Training:
    """What a training left."""

    model: nn.Module | None
    """With the values of the best epoch; None if the training diverged."""
    metrics: Mapping[str, float]
    """Of the test part; empty if the training diverged."""
    epochs: tuple[Mapping[str, float], ...]
    """The metrics of each epoch."""


@dataclass(frozen=True)
class Subject:
    """One variant with one seed."""

    conf: Path | None
    """The folder of configs; None for the default one."""
    overrides: tuple[str, ...]
    folder: Path
    """Where it trains."""
    calibration: str | None = None
    """The method that calibrates the network before it is measured."""
    _probes: dict[tuple[Batch, When], Probe] = field(default_factory=dict[tuple[Batch, When], Probe], repr=False)

    @cached_property
    def config(self) -> Config:
        """The composed config: metrics go to a file, nothing is printed, and no page is written."""
        return self._composed()

    def _composed(self, *more: str) -> Config:
        config = compose(self.conf, (*self.overrides, *more))
        trainer = {**config.values.get("trainer", {}), "enable_progress_bar": False}
        quiet = {"logger": {"csv": True}, "trainer": trainer, "diagnose": False}
        return replace(config, values={**config.values, **quiet})

    @cached_property
    def job(self) -> Job:
        """The checked config.

        Raises:
            ForgeError: something in it is wrong.
        """
        with located(self.config):
            return prepare(self.config)

    @property
    def plan(self) -> Plan:
        """The network."""
        return self.job.plan

    @cached_property
    def prediction(self) -> Prediction:
        """What to expect at the start on noise."""
        return predict(self.plan, batch_size=NUM_EXAMPLES)

    @cached_property
    def start(self) -> nn.Module:
        """The network with its initial values."""
        model = build(self.plan, seed=self.job.settings.seed)
        if self.calibration is not None:
            calibrate(model, self.batch("data"), self.calibration)
        return model

    def model(self, when: When) -> nn.Module:
        """The network at the start, or trained.

        Raises:
            ForgeError: the training diverged, so that there is none.
        """
        if when == "start":
            return self.start
        if self.training.model is None:
            message = "a trained network is measured, but the training diverged"
            raise ForgeError([Problem("MF052", "optimizer.lr", message, "lower `optimizer.lr`")])
        return self.training.model

    def batch(self, kind: Batch) -> Tensor:
        """Independent numbers of mean 0 and variance 1 in the shape of an example, or the first training examples."""
        source = self.job.settings.data
        if kind == "data":
            examples = read(source).train
            inputs, _ = examples.batch(np.arange(min(NUM_EXAMPLES, len(examples))))
            return torch.as_tensor(inputs)
        generator = torch.Generator().manual_seed(self.job.settings.seed)
        (shape,) = (one.shape for one in source.inputs.values())
        return torch.randn(NUM_EXAMPLES, *shape, generator=generator)

    def probed(self, batch: Batch, when: When) -> Probe:
        """What is measured of the network on a batch."""
        if (batch, when) not in self._probes:
            seed = self.job.settings.seed
            self._probes[batch, when] = probe(self.model(when), self.batch(batch), seeds=seed, jacobian=False)
        return self._probes[batch, when]

    @cached_property
    def jacobian(self) -> Jacobian | None:
        """The network's Jacobian at the start on noise."""
        return probe(self.start, self.batch("noise"), seeds=self.job.settings.seed).jacobian

    @cached_property
    def training(self) -> Training:
        """Trains as `train.py` does.

        Raises:
            ForgeError: the training failed.
            KeyboardInterrupt: it was interrupted.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.config if self.calibration is None else self._calibrated()
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            result = execute(lambda: config, self.folder, config.overrides, show_plan=False)
        if result.exit_code > 128:
            raise KeyboardInterrupt
        epochs = _epochs(self.folder / "metrics.csv")
        if result.status.state == "diverged":
            return Training(None, {}, epochs)
        if result.exit_code:
            raise ForgeError(_problem(error) for error in result.status.error)
        return Training(load_run(self.folder).model, result.status.metrics, epochs)

    def _calibrated(self) -> Config:
        """The config of a training that starts from the calibrated values."""
        file = self.folder / "calibrated.safetensors"
        save_file(self.start.state_dict(), file)
        return self._composed(f"+weights={{path: '{file}'}}")


def _problem(error: Mapping[str, Any]) -> Problem:
    """A problem from the data of it that a status holds."""
    return Problem(error["code"], error["path"], error["message"], error["hint"])


def _epochs(file: Path) -> tuple[Mapping[str, float], ...]:
    """The rows of a run's metrics that validations wrote."""
    if not file.is_file():
        return ()
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [{name: float(cell or math.nan) for name, cell in row.items()} for row in csv.DictReader(lines)]
    return tuple(row for row in rows if not math.isnan(row.get("val/loss", math.nan)))

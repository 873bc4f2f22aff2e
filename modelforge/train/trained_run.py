"""`Run`: a finished run folder as a model with its preprocessing, to predict from new data and to evaluate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from modelforge.building.build import build
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.limits import MAX_CONFIG_BYTES
from modelforge.core.quoting import listed, sentence
from modelforge.core.regular_files import read_text
from modelforge.core.shown import Shown
from modelforge.core.suggestions import did_you_mean
from modelforge.core.tensors import mapped
from modelforge.core.words import plural
from modelforge.language import parse
from modelforge.planning.plan import plan as make_plan
from modelforge.results.comparison import reported
from modelforge.train.data.batches import Batch, Batched, read_by
from modelforge.train.data.digest import HANDLING, digest
from modelforge.train.data.parts import Array, Part
from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from modelforge.train.evaluation import Evaluation, metric_lines
from modelforge.train.metrics import counted, mean_loss
from modelforge.train.precision import Arithmetic, arithmetic_of
from modelforge.train.preprocessing import read_preprocessing
from modelforge.train.resume import BEST, LAST, load_checkpoint
from modelforge.train.run_config import other_code, placed_in
from modelforge.train.settings import Settings, parse_settings
from modelforge.train.tasks.report import Report
from modelforge.train.tasks.task import widened

if TYPE_CHECKING:
    from torchmetrics import Metric

MODEL = "model."
"""What stands before a parameter's name in a checkpoint."""
FLOAT32 = torch.finfo(torch.float32).eps
"""The relative distance of neighbouring numbers of float32."""


@dataclass(frozen=True)
class NewData:
    """A file or folder that was read for a finished run."""

    raw: Any
    """What `Source.raw` gives."""
    part: Part
    """What the model takes."""
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """A run that was read from its folder; prints as its folder, its checkpoint and what it reported.

    Example:
        ```python
        run = mf.load_run("runs/mlp-xavier_uniform/2026-01-31/12-00-00")
        columns = run.predict({"width": [1.0], "height": [2.0]})
        ```
    """

    folder: Path
    config: Mapping[str, Any]
    """The composed config, every interpolation resolved."""
    settings: Settings
    fitted: Mapping[str, Any]
    """What was measured on the training part: scales, names of classes, an alphabet."""
    model: nn.Module
    """With the values of the best checkpoint, in eval mode."""
    checkpoint: Path
    reported: Mapping[str, float]
    """The metrics that the run reported at its end; empty where it did not get there."""
    arithmetic: Arithmetic
    """The numbers in which it computes, by `trainer.precision`."""
    warnings: tuple[Problem, ...] = ()
    """What the user should know of the run: that its code has changed."""

    def __str__(self) -> str:
        model = plural(sum(parameter.numel() for parameter in self.model.parameters()), "parameter")
        return "\n".join([f"{self.folder}: {model} of {self.checkpoint.name}", *metric_lines(self.reported)])

    def _brief(self) -> str:
        return f"{self.folder}, {self.checkpoint.name}"

    @property
    def source(self) -> Source:
        """The declaration of the data."""
        return self.settings.data

    def predict(self, raw: Any) -> Mapping[str, Array]:
        """What the model predicts from new data as it comes: unscaled, with names, in any order of columns.

        Args:
            raw: What `source.encode` takes: a pyarrow Table, a DataFrame or a mapping of columns for a table, files or
                arrays for pictures, a text, arrays.

        Returns:
            Columns by name, a row for each example: classes and their probabilities, or numbers in the data's units.

        Raises:
            ForgeError: a column is missing, a shape is another, or a value cannot be encoded.
        """
        part = self.source.encode(raw, self.fitted)
        _warn((*self.warnings, *_warnings(part)))
        return self.predictions(part)

    def read(self, path: Path, *, labelled: bool = False) -> NewData:
        """A file or folder of new data, as it is and as the model takes it.

        Args:
            path: The file or folder.
            labelled: Whether to read the targets as well.

        Raises:
            ForgeError: it cannot be read or encoded.
        """
        raw = self.source.raw(path)
        doubts = tuple(self.source.doubts(path))
        try:
            part = self.source.encode(raw, self.fitted, labelled=labelled)
        except ForgeError as error:
            raise ForgeError([*error.problems, *doubts]) from None
        return NewData(raw, part, (*self.warnings, *doubts, *_warnings(part)))

    def predictions(self, part: Part) -> Mapping[str, Array]:
        """What `predict` gives, of examples that are encoded."""
        if not len(part):
            raise ForgeError([Problem("MF150", "", "the new data has no examples", "give at least one")])
        return MappingProxyType(dict(self.settings.data.task.predictions(self.outputs(part), self.fitted)))

    def outputs(self, part: Part) -> Tensor:
        """The model's outputs for all examples of a part, on the CPU."""
        return torch.cat([widened(outputs) for outputs, _ in self._run(part, self.source.batch_size)])

    def evaluate(self, overrides: Mapping[str, Any] = MappingProxyType({})) -> Evaluation:
        """Metrics and report of the run's test part, or of other data with targets.

        Args:
            overrides: Keys of the `data` section with other values, such as `path`: the whole file is then evaluated.

        Raises:
            ForgeError: the data is not there, not as declared, or no longer what the run was trained on.
        """
        source = self._overridden(overrides)
        part, of, found = self._part(source, overrides)
        if not len(part):
            raise ForgeError([Problem("MF150", "", f"{of} has no examples", "give at least one")])
        task, data = self.source.task, self.source
        if len(part) < (least := task.min_examples(data)):
            message = (
                f"`{task.metric}` cannot be computed from {plural(len(part), 'example')}: it takes {least} at least"
            )
            raise ForgeError([Problem("MF150", "", message, "give more")])
        meters: dict[str, Metric] = {task.metric: task.meter(data)}
        meters |= {name: make() for name, make in self.settings.factories.items()}
        loss, kept, targets = mean_loss(), list[Tensor](), list[Array]()
        for outputs, batch in self._run(part, source.batch_size):
            counted(task, meters, loss, outputs, batch)
            if task.reports:
                kept.append(widened(outputs))
                targets.append(batch[1].numpy())
        metrics, failed = _computed({**meters, "loss": loss}, task.metric, len(part))
        report = task.report(torch.cat(kept), np.concatenate(targets), self.fitted, data) if kept else Report()
        num_batches = -(-len(part) // min(data.batch_size, source.batch_size))
        rounding = self.arithmetic.rounding(self.model, self._device) + num_batches * FLOAT32
        return Evaluation(metrics, report, len(part), of, (*found, *failed), rounding, not overrides.keys() - HANDLING)

    def _part(self, source: Source, overrides: Mapping[str, Any]) -> tuple[Part, str, tuple[Problem, ...]]:
        """What to evaluate, what it is in words, and warnings about it."""
        if source.reads and source.reads in overrides:
            where = getattr(source, source.reads)
            if not where:
                message = f"`data.{source.reads}` names nothing to evaluate"
                raise ForgeError([Problem("MF150", f"data.{source.reads}", message, "leave it out for the test part")])
            new = self.read(Path(where), labelled=True)
            return new.part, f"`{where}`", new.warnings
        examples = read(source)
        if digest(examples) != self.fitted.get("digest") and not (overrides.keys() - HANDLING):
            message = "the data is no longer what the run was trained on: its digest differs"
            hint = f"restore it, or evaluate all of a file: `data.{source.reads or 'path'}=...`"
            raise ForgeError([Problem("MF150", f"data.{source.reads or 'type'}", message, hint)])
        return examples.test, "the test part", self.warnings

    def _overridden(self, overrides: Mapping[str, Any]) -> Source:
        if not overrides:
            return self.source
        others = {*type(self.source).model_fields} - {"type", "task", "num_workers"}
        allowed = {"batch_size", self.source.reads} if self.source.reads else others
        if wrong := [key for key in overrides if key.partition(".")[0] not in allowed]:
            message = f"`data.{wrong[0]}` cannot be changed for an evaluation: the model was trained with it"
            raise ForgeError([Problem("MF150", f"data.{wrong[0]}", message, did_you_mean(wrong[0], allowed))])
        values = {**self.config, "data": {**self.config["data"], **overrides}}
        settings, problems = parse_settings(values)
        if settings is None:
            raise ForgeError(problems)
        return settings.data

    @property
    def _device(self) -> torch.device:
        return next((one.device for one in self.model.parameters()), torch.device("cpu"))

    def _run(self, part: Part, size: int) -> Iterator[tuple[Tensor, Batch]]:
        """The outputs of each batch, with the batch, in the order of the examples, as a step computes them."""
        batched = Batched(part)
        device = self._device
        with torch.inference_mode(), self.arithmetic.on(device):
            for first in range(0, len(part), size):
                inputs, targets = batched.__getitems__(range(first, min(first + size, len(part))))
                moved = mapped(lambda one: one.to(device), inputs)
                outputs = read_by(self.model, moved).cpu()
                if outputs.isnan().any():
                    row = first + int(outputs.isnan().flatten(1).any(1).nonzero()[0]) + 1
                    message = f"the model's output for example {row:,} is not a number"
                    raise ForgeError(
                        [Problem("MF150", "", message, "check that the weights and the new data hold finite numbers")]
                    )
                yield outputs, (inputs, targets)


def load_run(folder: str | Path, *, device: torch.device | str = "cpu") -> Run:
    """The model of a run folder with its preprocessing.

    Nothing in the folder can run code: the config is YAML, preprocessing JSON and safetensors, the checkpoint is read
    with `weights_only`. Layers and sources of one's own must be registered before.

    Args:
        folder: What `train.py` wrote: with config.yaml, preprocessing.json and checkpoints/.
        device: Where the model is to live.

    Raises:
        ForgeError: the folder is not a run, or not whole.
    """
    folder = Path(folder)
    config = _config(folder)
    kept = read_preprocessing(folder)
    path, checkpoint = _checkpoint(folder)
    with placed_in(folder):
        settings, problems = parse_settings({**config, "data": kept["data"], "ckpt": None})
        if settings is None:
            raise ForgeError(problems)
        plan = make_plan(parse({key: value for key, value in config.items() if key != "weights"}))
    try:
        model = build(plan, device=device)
    except ValueError as error:  # of the device
        raise ForgeError([Problem("MF150", "--device", sentence(error))]) from None
    arithmetic = arithmetic_of(config.get("trainer"))
    model.to(arithmetic.weights)  # before it gets the values, which may have more digits than float32
    state = {
        name.removeprefix(MODEL): value for name, value in checkpoint["state_dict"].items() if name.startswith(MODEL)
    }
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        misfit = _no_run(path, f"it does not fit the model of config.yaml: {sentence(error)}")
        raise ForgeError([*misfit.problems, *other_code(folder)]) from None
    return Run(
        folder=folder,
        config=MappingProxyType(config),
        settings=settings,
        fitted=MappingProxyType({name: value for name, value in kept.items() if name != "data"}),
        model=model.eval(),
        checkpoint=path,
        reported=MappingProxyType(reported(folder)),
        arithmetic=arithmetic,
        warnings=other_code(folder),
    )


def _warnings(part: Part) -> tuple[Problem, ...]:
    """The warnings about new data; parts of one's own have none."""
    return getattr(part, "warnings", ())


def _warn(problems: Iterable[Problem]) -> None:
    for problem in problems:
        warnings.warn(str(problem), stacklevel=3)


def _computed(meters: Mapping[str, Metric], own: str, number: int) -> tuple[dict[str, float], list[Problem]]:
    """The values of metrics, and warnings about further ones that cannot be computed: they are NaN, as in a training.

    Raises:
        ForgeError: there are too few examples for the task's own.
    """
    found, failed = dict[str, float](), list[Problem]()
    for name, meter in meters.items():
        try:
            found[name] = float(meter.compute())
        except Exception as error:  # of all kinds: it is torchmetrics' code, or the user's
            message = f"`{name}` cannot be computed from {plural(number, 'example')}: {sentence(error)}"
            if name == own:
                raise ForgeError([Problem("MF150", "", message, "give more")]) from None
            found[name] = math.nan
            failed.append(Problem("MW225", f"metrics.{name}", message, "it is NaN; give what it needs", part="key"))
    return found, failed


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not folder.is_dir():
        raise _no_run(folder, "there is no such folder")
    try:
        values = yaml.safe_load(read_text(path, MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise _no_run(folder, f"its config.yaml cannot be read: {sentence(error)}", _nearest(folder)) from None
    if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
        raise _no_run(folder, "its config.yaml has no `data` section")
    return {str(key): value for key, value in values.items()}


def _checkpoint(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """The best checkpoint, else the last one."""
    found = [path for name in (BEST, LAST) if (path := folder / "checkpoints" / name).is_file()]
    if not found:
        raise _no_run(folder, "it has no checkpoint: its training did not get to the end of an epoch")
    return found[0], load_checkpoint(found[0])


def _nearest(folder: Path) -> str:
    """The hint where a folder of runs is named in place of one."""
    runs = sorted(path.parent for path in folder.glob("*/config.yaml"))[:20]
    return f"it holds runs: {listed(map(str, runs), 3, quote='`')}" if runs else ""


def _no_run(path: Path, reason: str, hint: str = "") -> ForgeError:
    return ForgeError([Problem("MF151", str(path), f"`{path}` is not a complete run: {reason}", hint)])

"""The `metrics` section: further metrics of validation and test, by their torchmetrics name or one's own."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted, sentence, shortened
from modelforge.core.registry import Registry
from modelforge.train.arguments import check_arguments, misuse
from modelforge.train.data.batches import Batch
from modelforge.train.tasks.task import Data, Mode, Task, widest

if TYPE_CHECKING:
    from torchmetrics import MeanMetric, Metric

AnyMetric = TypeVar("AnyMetric", bound="type[Metric]")
METRICS = Registry["type[Metric]"]("a metric", "modelforge.metrics", decorator="mf.register_metric")
"""Metrics of one's own, by name."""
METRIC_HINT = "as in `f1: {type: F1Score, average: macro}`"
MODULES = ("torchmetrics.classification", "torchmetrics.regression")
FILLED = MappingProxyType(
    {
        "num_classes": "num_outputs",
        "num_labels": "num_outputs",
        "ignore_index": "ignored_class",
    }
)
"""Arguments of metrics that the data gives, and the field of its section."""

LOWER = ("BinaryEER", "MulticlassEER", "MultilabelEER", "TweedieDevianceScore")
HIGHER = (
    *(f"{family}NegativePredictiveValue" for family in ("Binary", "Multiclass", "Multilabel")),
    *(f"{family}Specificity" for family in ("Binary", "Multiclass", "Multilabel")),
    *("KendallRankCorrCoef", "PearsonCorrCoef"),
)
"""The better directions of torchmetrics' metrics of one number that state none."""


def register_metric(name: str) -> Callable[[AnyMetric], AnyMetric]:
    """Makes a `torchmetrics.Metric` known as `metrics.any_name=name`; its constructor's arguments are the settings.

    `update` gets the predictions and the targets of a batch, as the task scores them; `higher_is_better` must
    state the direction.

    Raises:
        TypeError: the class is not a metric.
        ValueError: another class has the name.
    """

    def register(cls: AnyMetric) -> AnyMetric:
        if not (inspect.isclass(cls) and all(hasattr(cls, part) for part in ("update", "compute", "reset"))):
            raise TypeError(f"{cls!r} is not a subclass of torchmetrics.Metric")
        METRICS.add(name, cls)
        return cls

    return register


@dataclass(frozen=True, slots=True)
class MetricFactory:
    """One metric of the section, its arguments checked."""

    kind: type[Metric]
    arguments: Mapping[str, Any]
    of_numbers: bool = False
    """Whether it compares numbers: then it sums in float64, since many subtract sums of squares from each other."""

    def __call__(self) -> Metric:
        """A new counter."""
        metric = self.kind(**self.arguments)
        return metric.set_dtype(widest()) if self.of_numbers else metric

    @property
    def mode(self) -> Mode:
        """The better direction."""
        return _direction(self.kind) or "max"  # a metric of one number without a direction is refused


def parse_metrics(section: Any, task: Task, data: Data) -> tuple[Mapping[str, MetricFactory], list[Problem]]:
    """The metrics that a `metrics` section declares, and all that is wrong with it.

    Example:
        >>> from modelforge.train.tasks.registry import parse_task
        >>> class Digits:
        ...     num_outputs, ignored_class = 10, None
        >>> section = {"f1": {"type": "F1Score", "average": "macro"}}
        >>> factories, _ = parse_metrics(section, parse_task("classification"), Digits)
        >>> factories["f1"].kind.__name__, dict(factories["f1"].arguments)
        ('MulticlassF1Score', {'num_classes': 10, 'average': 'macro'})

    Args:
        section: From the name in the logs to a metric's name, or to a mapping with its `type` and arguments.
        task: Its `family` completes names: `F1Score` is `MulticlassF1Score` for classes.
        data: Gives the number of classes, labels or targets.
    """
    if not isinstance(section, Mapping):
        return {}, [misuse("metrics", f"`metrics` must be a mapping, but is {quoted(section)}")]
    factories: dict[str, MetricFactory] = {}
    problems: list[Problem] = []
    for name, settings in section.items():
        if settings is None:
            continue
        factory, more = _parse(str(name), settings, task, data)
        problems += more
        if factory is not None:
            factories[str(name)] = factory
    return MappingProxyType(factories), problems


def unfit_metrics(factories: Mapping[str, MetricFactory], task: Task, data: Data) -> Iterator[Problem]:
    """The problems of metrics that cannot score the task's outputs, give more than one number, or have no direction.

    Each is computed once, of two examples that have the shapes of the real ones.
    """
    batch = _two_examples(task, data)
    for name, factory in factories.items():
        kind = factory.kind.__name__
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of classes that two examples do not have
                metric = factory()
                metric.update(*task.scored(*batch))
                value = metric.compute()
        except Exception as error:  # of all kinds: it is torchmetrics' code, or the user's
            yield misuse(f"metrics.{name}", f"{kind} cannot score the outputs of this task: {sentence(error)}")
            continue
        if not (isinstance(value, Tensor | int | float) and torch.as_tensor(value).numel() == 1):
            shape = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            averages = isinstance(value, Tensor) and "average" in inspect.signature(factory.kind).parameters
            hint = "write `average: macro`" if averages else ""
            yield misuse(f"metrics.{name}", f"{kind} must give one number here, but gives {shape}", hint)
        elif _direction(factory.kind) is None:
            message = f"{kind} does not say whether more or less is better"
            yield misuse(f"metrics.{name}", message, "set `higher_is_better` in its class")


def mean_loss() -> MeanMetric:
    """A new counter of losses, each of which counts by the weight of its batch; NaN stays NaN."""
    from torchmetrics import MeanMetric

    return MeanMetric(nan_strategy=math.nan)


def guard(meter: Any, failed: Callable[[str], object]) -> None:
    """Makes a metric NaN where it cannot be computed, such as from one example, and calls `failed` with the reason."""
    compute = meter.compute

    def computed() -> Any:
        try:
            return compute()
        except Exception as error:  # of all kinds: it is torchmetrics' code, or the user's
            failed(f"{type(meter).__name__}: {sentence(error)}")
            meter._computed = torch.tensor(math.nan)  # its cache: no process asks the others a second time
            return meter._computed

    meter.compute = computed


def counted(task: Task, meters: Mapping[str, Metric], loss: MeanMetric, outputs: Tensor, batch: Batch) -> None:
    """Adds one batch of a test to the task's metric, further ones, and the loss, as a run counts them."""
    loss.update(task.loss(outputs, batch).detach(), task.weight(batch))
    for name, meter in meters.items():
        if name == task.metric:
            task.count(meter, outputs, batch)
        else:
            meter.update(*task.scored(outputs, batch))


def _direction(kind: type[Metric]) -> Mode | None:
    """The better direction of a metric; None where it states none."""
    states = kind.higher_is_better
    if states is None and kind.__module__.startswith("torchmetrics."):
        states = {**dict.fromkeys(LOWER, False), **dict.fromkeys(HIGHER, True)}.get(kind.__name__)
    return None if states is None else "max" if states else "min"


def _two_examples(task: Task, data: Data) -> tuple[Tensor, Batch]:
    """Outputs and a batch of two examples, each of one step where real ones have several."""
    steps = (2, *(1 for _ in data.positions))
    due = task.output(data).shape[len(steps) :]
    outputs = torch.rand((*steps, *map(int, due)), generator=torch.Generator().manual_seed(0))
    inputs = tuple(torch.zeros((2, *map(int, one.shape[1:])), dtype=getattr(torch, one.dtype)) for one in data.given)
    match task.target_kind:
        case "class" | "token":
            targets = torch.tensor([0, data.num_outputs - 1]).view(steps)
        case "labels":
            targets = torch.arange(2 * data.num_outputs).view(2, -1) % 2
        case "number":
            targets = torch.arange(2.0 * data.num_outputs).view(*steps, -1)
        case "input":
            targets = torch.zeros(2)
            inputs = (outputs.flip(0),)
    return outputs, (inputs[0] if len(inputs) == 1 else inputs, targets)


def _parse(name: str, settings: Any, task: Task, data: Data) -> tuple[MetricFactory | None, list[Problem]]:
    key = f"metrics.{name}"
    if name in (task.metric, "loss"):
        return None, [misuse(key, f"`{name}` is logged already", "choose another name", part="key")]
    given = settings if isinstance(settings, Mapping) else {"type": settings}
    named = given.get("type")
    if not isinstance(named, str):
        return None, [misuse(key, f"`{name}` must be the name of a metric, or a mapping with a `type`", METRIC_HINT)]
    known = known_metrics()
    kind = METRICS.get(named) if named in METRICS else known.get(named) or known.get(f"{task.family}{named}")
    where = f"{key}.type" if isinstance(settings, Mapping) else key
    if kind is None:
        names = [one.removeprefix(task.family) for one in known if one.startswith(task.family)]
        return None, [misuse(where, f"unknown metric `{shortened(named)}`", METRICS.suggest(named, names))]
    accepted = inspect.signature(kind).parameters
    found = {argument: getattr(data, field) for argument, field in FILLED.items() if argument in accepted}
    filled = {argument: value for argument, value in found.items() if value is not None}
    values = {str(argument): value for argument, value in given.items() if argument != "type"}
    arguments, problems = check_arguments(kind, {**filled, **values}, key, reserved={})
    if problems:
        return None, problems
    if task.target_kind == "labels":
        from modelforge.train.label_means import over_present

        kind = over_present(kind, values)
    factory = MetricFactory(kind, MappingProxyType(arguments), task.target_kind in ("number", "input"))
    try:
        factory()
    except (TypeError, ValueError, ModuleNotFoundError) as error:
        return None, [misuse(key, f"{kind.__name__} refuses its arguments: {sentence(error)}")]
    return factory, []


def known_metrics() -> Mapping[str, type[Metric]]:
    """The metrics of torchmetrics by name, without those that only choose among others by a `task` argument."""
    from torchmetrics import Metric

    return {
        name: kind
        for module in map(import_module, MODULES)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Metric) and "task" not in inspect.signature(kind.__new__).parameters
    }

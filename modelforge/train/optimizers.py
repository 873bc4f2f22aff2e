"""The `optimizer` and `scheduler` sections → factories for what torch.optim has, by its own names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch.optim import lr_scheduler

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import quoted, shortened
from modelforge.core.suggestions import did_you_mean
from modelforge.inits.schemes.width import LEARNING_RATE
from modelforge.train.arguments import check_arguments, misuse

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from modelforge.planning.assign import ParameterPlan

T = TypeVar("T")
RULES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sgd": frozenset({"SGD"}),
        "adam": frozenset({"Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop"}),
    }
)
"""The rules that an initializer's learning rates are for, and the optimizers that follow them: steps in proportion to
the gradient, or of a size that its scale does not change. Width affects all others (by sign, norm or spectrum) in other
ways."""
ABSOLUTE_RATES = ("base_lr", "max_lr")
"""Arguments of schedulers that take the place of the optimizer's learning rate."""
WITHOUT = MappingProxyType(
    {
        "SparseAdam": "it takes sparse gradients only, and no layer here makes them",
        "LambdaLR": "it takes a function, and a config is data",
        "MultiplicativeLR": "it takes a function, and a config is data",
        "SequentialLR": "it takes other schedulers",
        "ChainedScheduler": "it takes other schedulers",
    }
)


@dataclass(frozen=True, slots=True)
class OptimizerFactory:
    """Makes the optimizer that a config names; its arguments are checked already."""

    kind: type[Optimizer]
    arguments: Mapping[str, Any]
    mup: bool = False
    """Whether learning rates follow the initializers, as width-aware ones ask for."""
    rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Factors of the learning rate by the path of a parameter."""

    def __call__(self, parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> Optimizer:
        """The optimizer of named parameters: one group a learning rate."""
        groups: dict[float, list[torch.nn.Parameter]] = {}
        for path, parameter in parameters:
            groups.setdefault(self.rates.get(path, 1.0), []).append(parameter)
        listed = [{"params": group, **self._options(rate)} for rate, group in groups.items()]
        return _construct(self.kind, "optimizer", self.arguments, lambda given: self.kind(listed, **given))

    def _options(self, rate: float) -> dict[str, float]:
        """What a group has of its own where its learning rate is multiplied."""
        if rate == 1:
            return {}
        options = {"lr": self._value("lr") * rate}
        if self._decays_by_rate:
            # A step takes lr · decay off each weight: that stays what was asked for.
            options["weight_decay"] = self._value("weight_decay") / rate
        return options

    @property
    def _decays_by_rate(self) -> bool:
        """Whether a step takes lr · decay off each weight. Elsewhere decay is part of a gradient that is normalised."""
        return self.kind in (torch.optim.SGD, torch.optim.AdamW) or bool(self.arguments.get("decoupled_weight_decay"))

    def _value(self, name: str) -> Any:
        return self.arguments.get(name, inspect.signature(self.kind).parameters[name].default)

    def following(self, parameters: Iterable[ParameterPlan]) -> tuple[OptimizerFactory, list[Problem]]:
        """The same with the learning rates that the initializers state, where `mup` asks for them."""
        if not self.mup:
            return self, []
        own = next((rule for rule, names in RULES.items() if self.kind.__name__ in names), None)
        if own is None:
            message = f"`mup` knows no learning rates for {self.kind.__name__}"
            hint = f"choose one of {', '.join(sorted(frozenset().union(*RULES.values())))}"
            return self, [misuse("optimizer.type", message, hint)]
        stated = {item.path: item.numbers for item in parameters if LEARNING_RATE in item.numbers}
        meant = {numbers["optimizer"] for numbers in stated.values()}
        if not stated:
            message = "`mup` takes learning rates from the initializers, but none states any"
            hint = "`init` must be a width-aware scheme: `mup` or `spectral`"
            return self, [misuse("optimizer.mup", message, hint)]
        if meant != {own}:
            other = min(meant - {own})
            message = f"the initializers state learning rates for {other}, but the optimizer is {self.kind.__name__}"
            return self, [misuse("optimizer.type", message, f"give them `optimizer: {own}`")]
        rates = {path: float(numbers[LEARNING_RATE]) for path, numbers in stated.items()}
        return replace(self, rates=MappingProxyType(rates)), []


@dataclass(frozen=True, slots=True)
class SchedulerFactory:
    """Makes the scheduler that a config names, and the interval at which Lightning steps it."""

    kind: type[LRScheduler]
    arguments: Mapping[str, Any]
    interval: str = "epoch"
    monitor: str | None = None

    def __call__(self, optimizer: Optimizer, validates_every: int | None = 1) -> dict[str, Any]:
        """The scheduler of an optimizer; where it follows a metric, it is stepped after each validation."""
        scheduler = _construct(
            self.kind, "scheduler", self.arguments, lambda given: self.kind(optimizer, **_by_group(given, optimizer))
        )
        timing = {"scheduler": scheduler, "interval": self.interval}
        return timing | ({"monitor": self.monitor, "frequency": validates_every or 1} if self.monitor else {})


def _by_group(arguments: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """A scheduler's arguments, with its learning rates in the ratio of those of the optimizer's groups."""
    lr = optimizer.defaults["lr"]
    ratios = [group["lr"] / lr if lr else 1.0 for group in optimizer.param_groups]
    own = {
        name: value for name, value in arguments.items() if name in ABSOLUTE_RATES and isinstance(value, int | float)
    }
    return {**arguments, **{name: [value * ratio for ratio in ratios] for name, value in own.items()}}


def optimizers() -> dict[str, type[Optimizer]]:
    """Every optimizer that a config may name, by its torch name."""
    return _public(torch.optim, torch.optim.Optimizer)


def schedulers() -> dict[str, type[LRScheduler]]:
    """Every learning-rate scheduler that a config may name, by its torch name."""
    return _public(lr_scheduler, lr_scheduler.LRScheduler)


def parse_optimizer(section: Any) -> tuple[OptimizerFactory | None, list[Problem]]:
    """Checks an `optimizer` section, `{type: AdamW, lr: 1e-3}`.

    Example:
        >>> factory, problems = parse_optimizer({"type": "AdamW", "lr": 1e-3, "betas": [0.9, 0.95]})
        >>> factory.arguments["betas"], problems
        ((0.9, 0.95), [])
    """
    own, rest = _split(section, "mup")
    mup = own.get("mup", False)
    kind, arguments, problems = _parse(rest, "optimizer", optimizers(), {"params": "they are the model's"})
    if not isinstance(mup, bool):
        problems.append(misuse("optimizer.mup", f"`mup` must be true or false, but is {quoted(mup)}"))
    if kind is None or problems:
        return None, problems
    factory = OptimizerFactory(kind, arguments, mup)
    return factory, _try(lambda: factory([("example", _example())]))


def parse_scheduler(
    section: Any, metrics: Mapping[str, Literal["min", "max"]], trainer: Any = None
) -> tuple[SchedulerFactory | None, list[Problem]]:
    """Checks a `scheduler` section, `{type: StepLR, step_size: 10, interval: epoch}`; None means none.

    Args:
        section: The section.
        metrics: The metrics that a scheduler may follow, each with its better direction.
        trainer: The `trainer` section, which sets when there is a validation.
    """
    if section is None:
        return None, []
    own, rest = _split(section, "interval", "monitor")
    interval, monitor = own.get("interval", "epoch"), own.get("monitor")
    kind, arguments, problems = _parse(rest, "scheduler", schedulers(), {"optimizer": "it is the config's optimizer"})
    if interval not in ("epoch", "step"):
        message = f"`interval` must be 'epoch' or 'step', but is {quoted(interval)}"
        problems.insert(0, misuse("scheduler.interval", message))
    problems += _wrong_monitor(kind, arguments, interval, monitor, metrics, trainer)
    for name in (name for name in ABSOLUTE_RATES if name in arguments):
        given = arguments[name]
        if not all(rate >= 0 for rate in (given if isinstance(given, Sequence) else [given])):
            problems.append(misuse(f"scheduler.{name}", f"`{name}` must be at least 0, but is {quoted(given)}"))
    if kind is None or problems:
        return None, problems
    factory = SchedulerFactory(kind, arguments, interval, monitor)
    return factory, _try(lambda: factory(torch.optim.SGD([_example()], lr=0.1, momentum=0.9)))


def _wrong_monitor(
    kind: Any, arguments: Mapping[str, Any], interval: str, monitor: Any, metrics: Mapping[str, str], trainer: Any
) -> Iterator[Problem]:
    """What keeps a scheduler from following a metric."""
    follows = kind is lr_scheduler.ReduceLROnPlateau
    if monitor is None:
        if follows:
            yield misuse("scheduler", "ReduceLROnPlateau needs `monitor`", "add `monitor: val/loss`", part="key")
    elif monitor not in metrics:
        message = f"`monitor` must be {' or '.join(map(repr, metrics))}, but is {quoted(monitor)}"
        hint = "for any task: `scheduler.monitor=val/loss scheduler.mode=min`" if "mode" in arguments else ""
        yield misuse("scheduler.monitor", message, hint)
    elif follows:
        trainer = trainer if isinstance(trainer, Mapping) else {}
        yield from _plateau(arguments.get("mode", "min"), interval, monitor, metrics[monitor], trainer)
    elif kind is not None:
        message = f"`monitor` has no effect: {kind.__name__} steps by time alone"
        yield misuse("scheduler.monitor", message, "leave it out: `~scheduler.monitor`")


def _plateau(mode: str, interval: str, monitor: str, right: str, trainer: Mapping[str, Any]) -> Iterator[Problem]:
    if mode in ("min", "max") and mode != right:
        better = "lower" if right == "min" else "higher"
        message = f"`mode` is {mode!r}, but {better} `{monitor}` is better"
        yield misuse("scheduler.mode", message, f"write `scheduler.mode={right}`")
    if interval == "step":
        message = "ReduceLROnPlateau follows validations, and there is none after each step"
        yield misuse("scheduler.interval", message, "write `scheduler.interval=epoch`")
    if trainer.get("limit_val_batches", 1) == 0:
        message = f"`scheduler.monitor` is `{monitor}`, but there are no validations"
        yield misuse("trainer.limit_val_batches", message, "leave it out, or choose another scheduler")
    if "check_val_every_n_epoch" in trainer and trainer["check_val_every_n_epoch"] is None:
        message = "ReduceLROnPlateau is stepped after epochs, but validations do not come with them"
        yield misuse("trainer.check_val_every_n_epoch", message, "write `trainer.check_val_every_n_epoch=1`")


def _parse(
    section: Any, path: str, known: Mapping[str, type[T]], reserved: Mapping[str, str]
) -> tuple[type[T] | None, dict[str, Any], list[Problem]]:
    if not isinstance(section, Mapping):
        return None, {}, [misuse(path, f"`{path}` must be a mapping with a `type`, but is {quoted(section)}")]
    name = section.get("type")
    if name is None:
        return None, {}, [misuse(path, f"this {path} has no `type`", "add `type: ...`", part="key")]
    if not isinstance(name, str) or name not in known:
        hint = WITHOUT.get(str(name)) or did_you_mean(str(name), known)
        return None, {}, [misuse(f"{path}.type", f"unknown {path} `{shortened(str(name))}`", hint)]
    values = {str(key): value for key, value in section.items() if key != "type"}
    arguments, problems = check_arguments(known[name], values, path, reserved=reserved)
    return known[name], arguments, problems


def _try(make: Callable[[], object]) -> list[Problem]:
    """The problems that a constructor itself finds, before there is a model."""
    try:
        make()
    except ForgeError as error:
        return list(error.problems)
    return []


def _example() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(1, 1))


def _construct(kind: type[Any], path: str, arguments: Mapping[str, Any], make: Callable[[Mapping[str, Any]], T]) -> T:
    """What `make` makes.

    Raises:
        ForgeError: the constructor refuses; the argument without which it would not, or would for another reason, is
            to blame.
    """
    try:
        return make(arguments)
    except (TypeError, ValueError) as error:
        reason = str(error)
    parameters = inspect.signature(kind).parameters
    blamed = [
        name
        for name in arguments
        if parameters[name].default is not inspect.Parameter.empty
        and _refusal(make, {key: value for key, value in arguments.items() if key != name}) != reason
    ]
    where = f"{path}.{blamed[0]}" if len(blamed) == 1 else path
    raise ForgeError([misuse(where, f"{kind.__name__} refuses its arguments: {reason}")])


def _refusal(make: Callable[[Mapping[str, Any]], object], arguments: Mapping[str, Any]) -> str:
    try:
        make(arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def _public(module: Any, base: type[T]) -> dict[str, type[T]]:
    classes = inspect.getmembers(module, lambda one: inspect.isclass(one) and issubclass(one, base) and one is not base)
    return {name: one for name, one in classes if not name.startswith("_") and name not in WITHOUT}


def _split(section: Any, *names: str) -> tuple[Mapping[str, Any], Any]:
    """The keys of a section that are modelforge's own, and the others."""
    if not isinstance(section, Mapping):
        return {}, section
    own = {name: section[name] for name in names if name in section}
    return own, {key: value for key, value in section.items() if key not in own}

"""Checked arguments → a `lightning.Trainer`, or what Lightning refuses of them."""

from __future__ import annotations

import logging
import os
import re
import shutil
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.precision import HalfPrecision
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from torch import nn

from modelforge.core.errors import Problem
from modelforge.core.quoting import MAX_MESSAGE, sentence
from modelforge.core.torch_state import num_cores
from modelforge.core.words import plural
from modelforge.train.arguments import misuse
from modelforge.train.checkpoints import AtomicIO
from modelforge.train.optimizers.optimizer import OptimizerFactory
from modelforge.train.parallel.launch import Launch, launch_of
from modelforge.train.trainer_settings import for_lightning, is_sharded

COMPILERS = ("g++", "clang++")
ABSENT = re.compile(r"No supported gpu backend found|Accelerator` can not run on your system")
"""What Lightning says of an accelerator that the machine does not have."""

# Hints about small data, data in memory, a resumed run, and one cycle over whole epochs.
QUIET = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*The dirpath has changed from .*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*isinstance.treespec, LeafSpec.. is deprecated.*",
    ".*You requested to overfit but enabled train dataloader shuffling.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # `best.ckpt` by another metric
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*GPU available but not used.*",
    ".*module.s. in eval mode at the start of training.*",  # norms of which all is frozen
    ".*FSDP2-wrapped module .* returned a view tensor.*",  # no layer of modelforge works in place
    ".*AMP with fp16 is not supported on CPU.*",  # `substituted` says it
    ".*OneCycleLR.* scheduler is using 'interval': 'epoch'.*",
)


class NarrowModel(HalfPrecision):
    """Converts the model alone: Lightning's narrows targets and the sums of metrics too, which then stop growing."""

    def convert_module(self, module: nn.Module) -> nn.Module:
        model = module.model
        assert isinstance(model, nn.Module)
        model.to(dtype=self._desired_input_dtype)
        return module

    def convert_input(self, data: Any) -> Any:
        return data  # `read_by` converts what the model reads

    @contextmanager
    def forward_context(self) -> Generator[None]:
        yield  # the default dtype stays


OLD_NAMES = MappingProxyType({"16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true"})
"""Precisions of which Lightning has another name now."""


def with_precision(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for Lightning, with the plugin that stands for a `precision` of the whole model, as `bf16-true`."""
    given = _with_new_name(arguments)
    if given.get("precision") in ("bf16-true", "16-true"):
        return {**given, "precision": None, "plugins": [NarrowModel(given["precision"])]}
    return given


def _with_new_name(arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = for_lightning(arguments)
    name = OLD_NAMES.get(str(given.get("precision")))
    return given if name is None else {**given, "precision": name}


def substituted(arguments: Mapping[str, Any], device: torch.device) -> Iterator[Problem]:
    """The warning about a precision in place of which another one is used on a device."""
    precision = arguments.get("precision")
    if device.type == "cpu" and OLD_NAMES.get(str(precision), precision) == "16-mixed":
        message = "the CPU has no `16-mixed`: torch lacks layers in float16 there, so that `bf16-mixed` is used"
        hint = "write `trainer.precision=bf16-mixed`"
        yield Problem("MW220", "trainer.precision", message, hint, severity="warning")


class Launched(LightningEnvironment):
    """The environment of processes that are started already."""

    def __init__(self, launch: Launch) -> None:
        super().__init__()
        self.launch = launch

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def world_size(self) -> int:
        return self.launch.world_size

    def global_rank(self) -> int:
        return self.launch.rank

    def set_global_rank(self, rank: int) -> None:
        """Leaves it as it is."""

    def local_rank(self) -> int:
        return self.launch.local_rank

    def node_rank(self) -> int:
        return self.launch.node_rank

    def teardown(self) -> None:
        """Leaves the environment of the process as it is."""


@dataclass(frozen=True, slots=True)
class Size:
    """The processes of a training."""

    number: int
    """Of all nodes."""
    nodes: int
    device: torch.device
    """Of this process."""
    strategy: str
    """Empty for one process on its own; else `ddp` or `fsdp`."""

    @property
    def is_parallel(self) -> bool:
        """Whether the process is to be in a group, alone or with others."""
        return bool(self.strategy)


def size_of(arguments: Mapping[str, Any], launch: Launch | None = None) -> Size:
    """The processes that the checked arguments of a trainer mean on this machine, for the process of a launch."""
    trainer = _bare(arguments, launch or Launch(0, 1, 0, 0, "", 0, ""))
    single = isinstance(trainer.strategy, SingleDeviceStrategy)
    strategy = "" if single else "fsdp" if is_sharded(arguments) else "ddp"
    return Size(trainer.num_devices * trainer.num_nodes, trainer.num_nodes, trainer.strategy.root_device, strategy)


def _bare(arguments: Mapping[str, Any], launch: Launch) -> Trainer:
    """A trainer that is made to see whether Lightning takes its arguments."""
    given: dict[str, Any] = {**_with_new_name(arguments), "enable_progress_bar": False}
    if is_sharded(arguments):
        given["strategy"] = _sharded(1)
    with quiet():
        return Trainer(**given, logger=False, enable_checkpointing=False, plugins=[Launched(launch)])


def make_trainer(
    arguments: Mapping[str, Any],
    *,
    folder: Path,
    loggers: list[Logger],
    callbacks: list[Callback],
    launch: Launch | None = None,
    some_thaw: bool = False,
) -> Trainer:
    """A trainer that writes to `folder`; `check_trainer` has found nothing wrong with its arguments.

    Args:
        arguments: The checked section.
        folder: The run folder.
        loggers: What keeps the metrics.
        callbacks: What is done while training.
        launch: Of this process among several; None for one on its own.
        some_thaw: Whether parameters are trained in some epochs only.
    """
    given = with_precision(arguments)
    plugins: list[Any] = [*given.pop("plugins", ()), AtomicIO()]
    if launch is not None:
        plugins.append(Launched(launch))
        given |= {"strategy": _strategy(arguments, launch, some_thaw=some_thaw), "use_distributed_sampler": False}
    return Trainer(
        **{**given, "enable_progress_bar": arguments.get("enable_progress_bar", True)},
        default_root_dir=folder,
        logger=loggers,
        plugins=plugins,
        callbacks=callbacks,
        enable_model_summary=False,
        enable_autolog_hparams=False,
    )


def _sharded(size: int) -> Strategy:
    from modelforge.train.parallel.sharding import Sharded

    return Sharded(size)


def _strategy(arguments: Mapping[str, Any], launch: Launch, *, some_thaw: bool) -> Strategy:
    if is_sharded(arguments):
        return _sharded(launch.world_size)
    unused = some_thaw or str(arguments.get("strategy")).endswith("_true")
    return DDPStrategy(find_unused_parameters=unused)


def check_trainer(arguments: Mapping[str, Any], optimizer: OptimizerFactory | None = None) -> list[Problem]:
    """What Lightning refuses of a `trainer` section on this machine, and what this means for an optimizer.

    Args:
        arguments: The checked section.
        optimizer: That of the training.
    """
    try:
        size = size_of(arguments)
    except Exception as error:  # of all kinds: it asks the machine, too
        return [refused(error, arguments)]
    unfit = [] if optimizer is None else _unfit(optimizer, size)
    return [*_check_compiler(arguments), *unfit, *_check_size(size, arguments)]


def _unfit(optimizer: OptimizerFactory, size: Size) -> Iterator[Problem]:
    """The problems of an optimizer with the device and the number of processes."""
    if optimizer.capturable and size.device.type == "cpu":
        message = "`capturable` records the steps of a GPU, but the training is on the CPU"
        yield misuse("optimizer.capturable", message, "leave it out")
    if optimizer.evaluates_again and size.number > 1:
        step = f"{optimizer.kind.__name__} evaluates a batch as often as the loss tells it to"
        message = f"{step}, and each of {size.number} processes has a loss of its own"
        yield misuse("optimizer.type", message, "choose another, or write `trainer.devices=1`")


def _check_size(size: Size, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of processes that are not there, or more than this machine has cores for."""
    launch = launch_of()
    each = size.number // size.nodes
    if launch is not None and launch.world_size != size.number:
        meant = f"`trainer.devices` x `trainer.num_nodes` is {size.number}"
        message = f"{launch.launcher} started {plural(launch.world_size, 'process')}, but {meant}"
        rest, odd = divmod(launch.world_size, size.nodes)
        hint = f"write `trainer.devices={rest}`" if not odd else "start as many on each node as it has devices"
        yield misuse("trainer.devices", message, f"{hint}; one process alone needs no {launch.launcher}")
    elif launch is None and size.nodes > 1:
        message = f"`num_nodes` is {size.nodes}, but this process can start others on its own machine only"
        hint = "start it on every node: `torchrun --nnodes ...`, or `srun` in a Slurm job"
        yield misuse("trainer.num_nodes", message, hint)
    elif size.device.type == "cpu" and each > num_cores():
        message = f"`devices` is {each}, but this machine has {plural(num_cores(), 'core')}"
        yield misuse("trainer.devices", message, f"at most {num_cores()}, or `trainer.accelerator=gpu`")
    if size.number > 1 and arguments.get("overfit_batches"):
        message = f"`overfit_batches` repeats the batches of one process, and here are {size.number}"
        yield misuse("trainer.overfit_batches", message, "write `trainer.devices=1`")
    replicas = arguments.get("num_replicas", 1)
    if size.number % replicas:
        message = f"{size.number} processes cannot hold {replicas} replicas of the model"
        yield misuse("trainer.num_replicas", message, "choose a divisor of the number of processes")


def _check_compiler(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of a machine without what torch.compile needs."""
    if arguments.get("compile") and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        message = f"`compile` needs a C++ compiler, but this machine has none of {', '.join(COMPILERS)}"
        yield misuse("trainer.compile", message, "install one, or write `trainer.compile=false`")


def refused(error: Exception, arguments: Mapping[str, Any]) -> Problem:
    """What Lightning refuses, in its own words, at the first argument that these name, if they name one."""
    text = sentence(error, MAX_MESSAGE)
    if ABSENT.search(text):
        message = f"this machine has no `{arguments.get('accelerator')}` that torch can use"
        return misuse("trainer.accelerator", message, "`trainer.accelerator=auto` takes what it has")
    # `devices` is an English word too, `max_epochs` is not.
    names = {key: rf"\b{key}\b" if "_" in key else rf"`{key}`|\b{key}=" for key in arguments}
    named = {at.start(): key for key, name in names.items() if (at := re.search(name, text))}
    key = f"trainer.{named[min(named)]}" if named else "trainer"
    return misuse(key, f"Lightning refuses {'this' if named else 'these settings'}: {text}")


def complaint(error: Exception, arguments: Mapping[str, Any]) -> Problem | None:
    """What Lightning refuses when a training starts; None for an error that is not about the arguments."""
    problem = refused(error, arguments)
    is_one = isinstance(error, MisconfigurationException)
    return problem if is_one or (isinstance(error, ValueError) and problem.key != "trainer") else None


def device_of(trainer: Trainer) -> str:
    """The device that a trainer uses, with its name where it has one."""
    device, number = trainer.strategy.root_device, trainer.world_size
    if number > 1:
        return f"{number} x {torch.cuda.get_device_name(device) if device.type == 'cuda' else device}"
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


@contextmanager
def quiet() -> Generator[None]:
    """Lightning without its hints; all its other warnings still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)

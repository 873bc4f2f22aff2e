"""The `trainer` section → checked arguments of `lightning.Trainer`, and `compile`.

Imports no Lightning, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.train.arguments import check_arguments, misuse

RESERVED = MappingProxyType(
    {
        "logger": "choose with the `logger` group: logger=csv",
        "callbacks": "choose with the `callbacks` group: callbacks=early_stopping",
        "plugins": "a config is data and cannot name code",
        "default_root_dir": "it is the run folder: hydra.run.dir=...",
        "enable_checkpointing": "checkpoints/best.ckpt and last.ckpt are part of every run",
        "enable_model_summary": "modelforge shows its own table",
        "enable_autolog_hparams": "the run folder holds the whole config",
        "model_registry": "it belongs to a service that modelforge does not use",
        "barebones": "it switches off what a run's folder is made of",
        "reload_dataloaders_every_n_epochs": "the data does not change",
        "limit_predict_batches": "a training predicts nothing: `modelforge predict RUN FILE`",
        "use_distributed_sampler": "modelforge deals the examples to the processes itself, each of them once",
    }
)

CLIPPING = ("norm", "value")
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "fsdp")
"""What starts several processes, or none: a copy of the model in each (`ddp`), or a part of it (`fsdp`)."""
LAUNCHED = ("ddp_spawn", "ddp_fork", "ddp_notebook")
"""Lightning's names for processes that are copies of this one."""
SHARDED_PRECISIONS = ("32", "32-true", "bf16", "bf16-mixed", "bf16-true", "16-true")
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps", "tpu")


Number = int | float
Batches = int | float | None
Precision = Literal[
    64, 32, 16, "64", "32", "16", "bf16", "64-true", "32-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed",
    "transformer-engine", "transformer-engine-float16",
]  # fmt: skip


def Trainer(  # messages call it as Lightning does
    *,
    accelerator: str = "auto",
    strategy: str = "auto",
    devices: list[int] | str | int = "auto",
    num_nodes: int = 1,
    precision: Precision | None = None,
    fast_dev_run: int | bool = False,
    max_epochs: int | None = None,
    min_epochs: int | None = None,
    max_steps: int = -1,
    min_steps: int | None = None,
    max_time: str | dict[str, int] | None = None,
    limit_train_batches: Batches = None,
    limit_val_batches: Batches = None,
    limit_test_batches: Batches = None,
    overfit_batches: Number = 0.0,
    val_check_interval: int | float | str | dict[str, int] | None = None,
    check_val_every_n_epoch: int | None = 1,
    num_sanity_val_steps: int | None = None,
    log_every_n_steps: int | None = None,
    enable_progress_bar: bool | None = None,
    accumulate_grad_batches: int = 1,
    gradient_clip_val: Number | None = None,
    gradient_clip_algorithm: str | None = None,
    deterministic: bool | Literal["warn"] | None = None,
    benchmark: bool | None = None,
    inference_mode: bool = True,
    profiler: str | None = None,
    detect_anomaly: bool = False,
    sync_batchnorm: bool = False,
    compile: bool = False,
    num_replicas: int = 1,
) -> None:
    """The arguments of `lightning.Trainer` that a config may give, and `OWN`; a test compares them with Lightning's."""


OWN = frozenset({"compile", "num_replicas"})
"""Keys of the `trainer` section that are not Lightning's."""


def for_lightning(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without `OWN`."""
    return {name: value for name, value in arguments.items() if name not in OWN}


def parse_trainer(section: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Checks a `trainer` section."""
    if not isinstance(section, Mapping):
        return {}, [misuse("trainer", f"`trainer` must be a mapping, but is {quoted(section)}")]
    arguments, problems = check_arguments(Trainer, section, "trainer", reserved=RESERVED)
    return arguments, [*problems, *_what_no_machine_takes(arguments)]


def num_processes(arguments: Mapping[str, Any]) -> int | None:
    """The number of processes that train together; None where it depends on the machine, as with `devices: auto`."""
    devices = _count(arguments.get("devices", "auto"))
    on_cpu = arguments.get("accelerator") == "cpu" and arguments.get("devices", "auto") == "auto"
    return devices * arguments.get("num_nodes", 1) if devices is not None else 1 if on_cpu else None


def is_sharded(arguments: Mapping[str, Any]) -> bool:
    """Whether each process holds a part of the model."""
    return arguments.get("strategy") == "fsdp"


def _what_no_machine_takes(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    accelerator = arguments.get("accelerator")
    if isinstance(accelerator, str) and accelerator not in ACCELERATORS:
        hint = did_you_mean(accelerator, ACCELERATORS)
        yield misuse("trainer.accelerator", f"there is no accelerator `{accelerator}`", hint)
    devices = arguments.get("devices")
    if _count(devices) == 0:
        message = f"`devices` of Trainer must be at least 1, but is {quoted(devices)}"
        yield misuse("trainer.devices", message, "to train without a GPU: `trainer.accelerator=cpu`")
    algorithm = arguments.get("gradient_clip_algorithm")
    if algorithm not in (None, *CLIPPING):
        message = f"`gradient_clip_algorithm` of Trainer must be 'norm' or 'value', but is {quoted(algorithm)}"
        yield misuse("trainer.gradient_clip_algorithm", message, did_you_mean(algorithm, CLIPPING))
    for name, least in (("accumulate_grad_batches", 1), ("log_every_n_steps", 0)):
        given = arguments.get(name)
        if given is not None and given < least:
            message = f"`{name}` of Trainer must be at least {least}, but is {quoted(given)}"
            yield misuse(f"trainer.{name}", message)
    for name in ("gradient_clip_val", "check_val_every_n_epoch"):
        given = arguments.get(name)
        if given is not None and given <= 0:
            message = f"`{name}` of Trainer must be greater than 0, but is {quoted(given)}"
            yield misuse(f"trainer.{name}", message, f"`trainer.{name}=null` switches it off")
    yield from _what_no_processes_take(arguments)


def _what_no_processes_take(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    strategy = arguments.get("strategy", "auto")
    if strategy in LAUNCHED:
        hint = "`trainer.strategy=ddp` starts new processes; copies of one would share its threads and its files"
        yield misuse("trainer.strategy", f"there is no strategy `{strategy}`", hint)
    elif strategy not in STRATEGIES:
        hint = did_you_mean(strategy, STRATEGIES)
        yield misuse("trainer.strategy", f"there is no strategy `{strategy}`", hint)
    for name in ("num_nodes", "num_replicas"):
        if (given := arguments.get(name, 1)) < 1:
            yield misuse(f"trainer.{name}", f"`{name}` of Trainer must be at least 1, but is {given}")
    number, replicas = num_processes(arguments), arguments.get("num_replicas", 1)
    if replicas > 1 and not is_sharded(arguments):
        message = f"`num_replicas` is {replicas}, but only a sharded model has replicas"
        yield misuse("trainer.num_replicas", message, "write `trainer.strategy=fsdp`, or leave it out")
    elif number is not None and replicas > 1 and number % replicas:
        message = f"{number} processes cannot hold {replicas} replicas of the model"
        yield misuse("trainer.num_replicas", message, "choose a divisor of the number of processes")
    if is_sharded(arguments):
        precision = arguments.get("precision")
        if precision is not None and str(precision) not in SHARDED_PRECISIONS:
            hint = f"one of {', '.join(name for name in SHARDED_PRECISIONS if '-' in name)}"
            yield misuse("trainer.precision", f"a sharded model cannot be trained in `{precision}`", hint)
        if arguments.get("compile"):
            hint = "write `trainer.compile=false`, or `trainer.strategy=ddp`"
            yield misuse("trainer.compile", "a sharded model cannot be compiled", hint)


def _count(devices: Any) -> int | None:
    """The number of devices; None where it depends on the machine, as with `auto`."""
    if isinstance(devices, list):
        return len(devices)
    number = int(devices) if isinstance(devices, int) or (isinstance(devices, str) and devices.isdecimal()) else None
    return None if number is None or number < 0 else number

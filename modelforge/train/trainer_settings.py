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
    }
)

CLIPPING = ("norm", "value")
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
    limit_predict_batches: Batches = None,
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
    use_distributed_sampler: bool = True,
    profiler: str | None = None,
    detect_anomaly: bool = False,
    sync_batchnorm: bool = False,
    compile: bool = False,
) -> None:
    """The arguments of `lightning.Trainer` that a config may give, and `OWN`; a test compares them with Lightning's."""


OWN = frozenset({"compile"})
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


def one_process(key: str, value: Any, number: int) -> Problem:
    """The problem with an argument that makes Lightning start other processes."""
    message = f"a run trains in one process, but `{key}` = {quoted(value)} starts {number}"
    hint = "its order of examples, its dropout and its checkpoints are those of one; several runs at once: `-m`"
    return misuse(f"trainer.{key}", message, hint)


def _what_no_machine_takes(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    accelerator = arguments.get("accelerator")
    if isinstance(accelerator, str) and accelerator not in ACCELERATORS:
        hint = did_you_mean(accelerator, ACCELERATORS)
        yield misuse("trainer.accelerator", f"there is no accelerator `{accelerator}`", hint)
    devices = arguments.get("devices")
    number = _count(devices)
    if not number:
        message = f"`devices` of Trainer must be at least 1, but is {quoted(devices)}"
        yield misuse("trainer.devices", message, "to train without a GPU: `trainer.accelerator=cpu`")
    if number > 1:
        yield one_process("devices", devices, number)
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
    nodes = arguments.get("num_nodes", 1)
    if nodes > 1:
        yield one_process("num_nodes", nodes, nodes)


def _count(devices: Any) -> int:
    """The number of devices; 1 where it depends on the machine, as with `auto`."""
    if isinstance(devices, list):
        return len(devices)
    return int(devices) if isinstance(devices, int) or (isinstance(devices, str) and devices.isdecimal()) else 1

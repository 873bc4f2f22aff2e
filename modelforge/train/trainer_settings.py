"""The `trainer` section → checked arguments of `lightning.Trainer`. Imports neither torch nor Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelforge.errors import Problem
from modelforge.train.lightning_source import trainer_signature
from modelforge.train.signature import check_arguments

RESERVED = MappingProxyType(
    {
        "logger": "choose with the `logger` group: logger=csv",
        "callbacks": "a config is data and cannot name code",
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


def parse_trainer(section: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Checks a `trainer` section against the signature of `lightning.Trainer`.

    Raises:
        ModuleNotFoundError: Lightning is not installed.
    """
    if not isinstance(section, Mapping):
        return {}, [Problem("MF051", "trainer", f"`trainer` must be a mapping, but is {section!r}")]
    return check_arguments(trainer_signature(), section, "trainer", reserved=RESERVED)

"""A checkpoint → whether this config may resume from it. Checkpoints are read with `weights_only`: data, no code."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from modelforge.errors import ForgeError, Problem

KEY = "modelforge_config"
SECTIONS = ("model", "init", "data", "optimizer", "scheduler", "seed")
"""What must not change on the way; the trainer, loggers and tags may."""
NUM_SHOWN = 8


class KeepConfig(Callback):
    """Puts the config that made the weights into every checkpoint."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {section: values.get(section) for section in SECTIONS}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lightning calls this with what it is about to write."""
        checkpoint[KEY] = self.values


def check_resumable(path: Path, values: Mapping[str, Any]) -> None:
    """Sees to it that `path` is a checkpoint of this very config.

    Raises:
        ForgeError: there is no such file, it is no checkpoint of modelforge, or the config says something else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _refusal(
            f"there is no checkpoint `{path}`", "look into the run's folder: checkpoints/last.ckpt"
        ) from None
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refusal(f"`{path}` cannot be read as a checkpoint: {reason}") from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise _refusal(f"`{path}` is not a checkpoint of modelforge", "resume from checkpoints/last.ckpt of a run")
    then = checkpoint[KEY]
    problems = [
        Problem(
            "MF051",
            key,
            f"the checkpoint was made with `{key}` = {_show(before)}, but this config says {_show(now)}",
            "resume with the settings of the run that made it (its config.yaml and status.json say them)",
        )
        for section in SECTIONS
        for key, before, now in _differences(section, then.get(section), values.get(section))
    ]
    if problems:
        raise ForgeError(problems[:NUM_SHOWN])


_ABSENT = object()


def _differences(path: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from _differences(f"{path}.{key}", before.get(key, _ABSENT), now.get(key, _ABSENT))
    elif before != now:
        yield path, before, now


def _show(value: Any) -> str:
    return "nothing" if value is _ABSENT or value is None else repr(value)


def _refusal(message: str, hint: str = "") -> ForgeError:
    return ForgeError([Problem("MF051", "ckpt", message, hint)])

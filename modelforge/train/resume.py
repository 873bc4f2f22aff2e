"""A checkpoint → whether this config may resume from it, and where. Read with `weights_only`: data, no code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modelforge.config import Config
from modelforge.errors import ForgeError, Problem, quoted

KEY = "modelforge_config"
SECTIONS = ("model", "init", "weights", "data", "optimizer", "scheduler", "seed")
"""What must not change on the way; the trainer, loggers and tags may."""
HINT = "resume with the settings of the run that made it: they are in its config.yaml"
LAST = "last.ckpt"
NUM_SHOWN = 8
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Position:
    """How far a training had come: in epoch `epoch` (from 0), after `num_batches` batches of it."""

    epoch: int = 0
    num_batches: int = 0


def check_resumable(path: Path, config: Config) -> Position:
    """Sees to it that `path` is a checkpoint of this very config.

    Returns:
        Where to go on.

    Raises:
        ForgeError: there is no such file, it is no checkpoint of modelforge, or the config says something else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _refusal(config, f"there is no checkpoint `{path}`", "a run has one at checkpoints/last.ckpt") from None
    except IsADirectoryError:
        raise _refusal(config, f"`{path}` is a folder, not a checkpoint", _inside(path)) from None
    except Exception as error:  # the unpickler meets a foreign file with errors of all kinds
        raise _refusal(config, f"`{path}` cannot be read as a checkpoint", "it is damaged or something else") from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise _refusal(config, f"`{path}` is not a checkpoint of modelforge", "a run has one at checkpoints/last.ckpt")
    problems = [
        Problem("MF051", key, f"the checkpoint was made with `{key}` = {before}, but this config says {now}", HINT)
        for section in SECTIONS
        for key, before, now in _differences(section, checkpoint[KEY].get(section), config.values.get(section))
    ]
    if problems:
        raise ForgeError(config.origins.locate(problem) for problem in problems[:NUM_SHOWN])
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    return Position(checkpoint["epoch"], progress["processed"])


def _inside(folder: Path) -> str:
    """The way out for whoever names a run's folder in place of its checkpoint."""
    found = next((at for at in (folder / "checkpoints" / LAST, folder / LAST) if at.is_file()), None)
    return f"a run has one at checkpoints/{LAST}" if found is None else f"its last checkpoint: `ckpt={found}`"


def _differences(path: str, before: Any, now: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from _differences(f"{path}.{key}", before.get(key, _ABSENT), now.get(key, _ABSENT))
    elif before != now:
        yield path, _show(before), _show(now)


def _show(value: Any) -> str:
    return "nothing" if value is _ABSENT or value is None else quoted(value)


def _refusal(config: Config, message: str, hint: str) -> ForgeError:
    return ForgeError([config.origins.locate(Problem("MF051", "ckpt", message, hint))])

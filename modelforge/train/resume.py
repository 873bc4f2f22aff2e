"""A checkpoint → whether this config may resume from it, and where. Read with `weights_only`: data, no code."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import replacing
from modelforge.core.quoting import shortened
from modelforge.core.regular_files import NotRegular, check_regular, open_regular
from modelforge.results.comparison import changes
from modelforge.runs.status import read, resume_command
from modelforge.train.arguments import misuse
from modelforge.train.data.digest import digest
from modelforge.train.data.parts import Examples
from modelforge.train.data.source import Source

KEY = "modelforge_config"
PROCESSES = "modelforge_processes"
"""The key in a checkpoint of the number of processes that trained."""
ACCUMULATED = "modelforge_accumulated"
"""The key in a checkpoint of the number of batches of a step."""
DATA = "modelforge_data"
"""The key in a checkpoint of the digest of what it was trained on."""
SECTIONS = ("model", "init", "weights", "dtype", "data", "optimizer", "scheduler", "freeze", "seed")
"""What must not change on the way."""
MAY_CHANGE = ("trainer", "checkpoint", "callbacks", "logger", "tags")
FREE = ("data.num_workers",)
"""What may change of the former, since it leaves the numbers as they are."""
LAST = "last.ckpt"
BEST = "best.ckpt"
STATE = "Checkpoints"
"""The key in a checkpoint of what the callback of that name keeps."""
ASK = "a run has one at checkpoints/last.ckpt"
NUM_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Position:
    """How far a training had come: in epoch `epoch` (from 0), after `num_batches` batches of it."""

    epoch: int = 0
    num_batches: int = 0


@dataclass(frozen=True, slots=True)
class Batches:
    """The examples of a step."""

    size: int = 1
    """Of one process."""
    processes: int = 1

    @property
    def all(self) -> int:
        """Of all processes."""
        return self.size * self.processes


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins: at nothing, or where a checkpoint left off."""

    ckpt: Path | None = None
    position: Position = Position()
    best_score: float | None = None
    """Of the best epoch so far; None where there is none, or its values are lost."""
    best_step: int = 0
    best: Path | None = None
    """The file with its values."""
    data: str | None = None
    """The digest of what it was trained on; None where no checkpoint says."""
    warning: Problem | None = None


def check_resumable(path: Path, config: Config, metric: str, batches: Batches = Batches()) -> Start:
    """Checks that `path` is a checkpoint of this very config.

    Other numbers of processes may go on from it, with batches that make as many examples of a step, or, between two
    epochs, with the same batches.

    Args:
        path: The checkpoint.
        config: What is to be trained.
        metric: By which the best epoch is chosen.
        batches: Those that are to come.

    Returns:
        Where to go on.

    Raises:
        ForgeError: there is no such file, it is not a checkpoint of modelforge, or the config is another.
    """
    checkpoint = load_checkpoint(path)
    try:
        hint = _settings_of(path, config)
        before = _as_dealt_to(batches, checkpoint, config)
        found = (it for name in SECTIONS for it in _differences(name, before.get(name), config.values.get(name)))
        if problems := [misuse(key, message, hint) for key, message in islice(found, NUM_SHOWN)]:
            raise ForgeError(problems)
        start = Start(path, _position(checkpoint["loops"]["fit_loop"]), data=checkpoint.get(DATA))
        problem = _within_epoch(start.position, batches, checkpoint)
        if problem := problem or _within_step(start.position, checkpoint, config):
            raise ForgeError([problem])
        for unit, done in (("epochs", start.position.epoch), ("steps", _count(checkpoint["global_step"]))):
            most = (config.values.get("trainer") or {}).get(f"max_{unit}")
            if isinstance(most, int) and 0 <= most < done:
                message = f"`{path}` comes from a run of {done:,} {unit} already, but `trainer.max_{unit}` is {most:,}"
                hint = "it counts from the start of the run: give more"
                raise ForgeError([misuse(f"trainer.max_{unit}", message, hint)])
        state = checkpoint["callbacks"].get(STATE)
        return start if state is None else _with_best(start, checkpoint, metric)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _refusal(f"`{path}` is damaged: it does not hold the position of its run", ASK) from error


def check_data(start: Start, examples: Examples, source: Source) -> None:
    """Checks that the data is what the checkpoint was trained on; `examples.fitted` has its digest.

    Raises:
        ForgeError: it is not. Data that is not twice the same has no digest to compare.
    """
    now = examples.fitted["digest"]
    if start.data in (None, now) or digest(examples) != now:
        return
    message = f"the data is no longer what `{start.ckpt}` was trained on: its digest differs"
    hint = "restore it, or start a new run from the values of that one: `weights=run weights.path=RUN`, without `ckpt`"
    raise ForgeError([misuse(f"data.{source.reads or 'type'}", message, hint)])


def behind_its_epoch(start: Start, trainer: Mapping[str, Any], num_batches: int | None) -> Iterator[Problem]:
    """The problem of a checkpoint from behind the end of an epoch as it is limited now: the first would be too long.

    Args:
        start: Where the run goes on.
        trainer: The checked section.
        num_batches: Of an epoch that is to come; None where that is not known.
    """
    done = start.position.num_batches
    if done and num_batches is not None and num_batches <= done:
        name = "overfit_batches" if trainer.get("overfit_batches") else "limit_train_batches"
        message = f"the checkpoint is from the middle of an epoch, after {done:,} batches, but `{name}` ends it after"
        yield misuse(f"trainer.{name}", f"{message} {num_batches:,}", "leave it out, or give more than that")


def adopt(start: Start, folder: Path) -> None:
    """Puts the checkpoint that a run goes on from, and the best of its run, where this run keeps its own.

    Raises:
        ForgeError: nothing can be written there.
    """
    for source, name in ((start.best, BEST), (start.ckpt, LAST)):
        target = folder / name
        if source is not None and source.resolve() != target.resolve():
            with open_regular(source) as old, replacing(target) as new:
                shutil.copyfileobj(old, new)


def load_checkpoint(path: Path) -> Mapping[str, Any]:
    """The content of a checkpoint of modelforge; its tensors stay in the file."""
    try:
        check_regular(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                    raise _refusal(f"`{path}` is not a checkpoint of modelforge", ASK)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise _refusal(f"there is no checkpoint `{path}`", ASK) from None
    except NotRegular as error:
        raise _refusal(f"`{path}` is {error.kind}, not a checkpoint", _inside(path)) from None
    except ForgeError:
        raise
    except Exception as error:  # the unpickler meets a foreign file with errors of all kinds
        raise _refusal(f"`{path}` cannot be read as a checkpoint", "it is damaged or something else") from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise _refusal(f"`{path}` is not a checkpoint of modelforge", ASK)
    return checkpoint


def _as_dealt_to(batches: Batches, checkpoint: Mapping[str, Any], config: Config) -> Mapping[str, Any]:
    """The config of a checkpoint, with the batch size of this one where a step has as many examples."""
    before, now = checkpoint[KEY], config.values.get("data")
    if _before(checkpoint, batches).all != batches.all or not isinstance(now, Mapping) or "batch_size" not in now:
        return before
    return {**before, "data": {**before["data"], "batch_size": now["batch_size"]}}


def _within_epoch(position: Position, batches: Batches, checkpoint: Mapping[str, Any]) -> Problem | None:
    """The problem of a checkpoint within an epoch whose steps had another number of examples."""
    was, now = _before(checkpoint, batches).all, batches.all
    if was == now or not position.num_batches:
        return None
    message = f"the checkpoint is from the middle of an epoch in steps of {was:,} examples, but now a step has {now:,}"
    size, odd = divmod(was, batches.processes)
    hint = f"write `data.batch_size={size}`" if not odd else "train in as many processes as before"
    return misuse("data.batch_size", message, hint)


def _within_step(position: Position, checkpoint: Mapping[str, Any], config: Config) -> Problem | None:
    """The problem of a checkpoint after batches that are not whole steps of those to come: the first would be cut."""
    name = "accumulate_grad_batches"
    now = (config.values.get("trainer") or {}).get(name, 1)
    was = _count(checkpoint.get(ACCUMULATED, now))
    if was == now or position.num_batches % now == 0:
        return None
    done = f"the checkpoint is from the middle of an epoch, after {position.num_batches:,} batches"
    message = f"{done}, which are not whole steps of {now:,} batches"
    return misuse(f"trainer.{name}", message, f"write `trainer.{name}={was}`, as before")


def _before(checkpoint: Mapping[str, Any], now: Batches) -> Batches:
    """The batches of a checkpoint's run; the data's own size where its config has none, as it has now."""
    return Batches(_count(checkpoint[KEY]["data"].get("batch_size", now.size)), _count(checkpoint.get(PROCESSES, 1)))


def _position(loop: Mapping[str, Any]) -> Position:
    progress = loop["epoch_progress"]["current"]
    begun, done = _count(progress["started"]), _count(progress["processed"])
    batches = _count(loop["epoch_loop.batch_progress"]["current"]["processed"])
    return Position(done, batches if begun > done else 0)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(value)
    return value


def _with_best(start: Start, checkpoint: Mapping[str, Any], metric: str) -> Start:
    """The start with the best epoch so far, if its values are in a file beside the checkpoint, or in this one."""
    state = checkpoint["callbacks"][STATE]
    if not isinstance(state["history"], list):
        raise TypeError(state)
    if state["best_score"] is None:
        return start
    if state["metric"] != metric:
        message = f"the best epoch so far was chosen by `{shortened(str(state['metric']))}`, and now it is `{metric}`"
        return replace(start, warning=_warning(message))
    score, step = float(state["best_score"]), _count(state["best_step"])
    assert start.ckpt is not None
    for path in (start.ckpt.with_name(BEST), start.ckpt):
        if _holds(path, {"metric": metric, "best_score": score, "best_step": step}):
            return replace(start, best_score=score, best_step=step, best=path)
    message = f"`{start.ckpt.with_name(BEST)}` does not hold the best epoch so far, whose weights are lost"
    return replace(start, warning=_warning(message))


def _holds(path: Path, best: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is of the best epoch."""
    try:
        found = load_checkpoint(path)
        state = found["callbacks"][STATE]
        return (
            found["global_step"] == best["best_step"]
            and best.items() <= {**state, "history": None, "steps": None}.items()
        )
    except (ForgeError, LookupError, TypeError, AttributeError):
        return False


def _warning(message: str) -> Problem:
    hint = "best.ckpt will be the best of the epochs from here on"
    return Problem("MW210", "ckpt", message, hint, severity="warning")


def _inside(folder: Path) -> str:
    """The hint where a run's folder is named in place of its checkpoint."""
    found = next((at for at in (folder / "checkpoints" / LAST, folder / LAST) if at.is_file()), None)
    return ASK if found is None else f"its last checkpoint: `ckpt={found}`"


def _settings_of(checkpoint: Path, config: Config) -> str:
    """How to go on with the settings of the run that made a checkpoint, and those of this config that may change."""
    try:
        status = read(checkpoint.parent.parent)
        now = {_key(override): override for override in config.overrides if _key(override).startswith(MAY_CHANGE)}
        before = (override for override in status["overrides"] if _key(override) not in now)
        command = resume_command([*before, *now.values()], str(checkpoint), status.get("repeats"))
        return f"with the settings of the run that made it: `{command}`"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return "resume with the settings of the run that made it: they are in its config.yaml"


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _differences(name: str, before: Any, now: Any) -> Iterator[tuple[str, str]]:
    """The keys of a section with other values, each with a message."""
    for change in changes(name, before, now):
        if change.name in FREE:
            continue
        old, new = change.before or "nothing", change.now or "nothing"
        yield change.name, f"the checkpoint was made with `{change.name}` = {old}, but this config says {new}"


def _refusal(message: str, hint: str) -> ForgeError:
    return ForgeError([misuse("ckpt", message, hint)])

"""`Status`: what one run did, as `status.json` in its folder. Written whole or not at all; imports no torch."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.limits import MAX_STATUS_BYTES
from modelforge.core.regular_files import read_text
from modelforge.runs.liveness import SILENCE, STATUS, is_alive, machine

State = Literal["running", "finished", "failed", "diverged", "interrupted"]
DONE = ("finished", "diverged")
"""States with a result: to run such a job again would give the same."""
PLAIN = re.compile(r"(?![+-]|\.?\d)[\w./+-]+", re.ASCII)
_ESCAPED = re.compile(r"(\\*)('|\$\{|\Z)")


@dataclass(frozen=True)
class Status:
    """One run from start to end; `begin` makes the first, `end` the last."""

    state: State
    seed: int = 0
    overrides: tuple[str, ...] = ()
    """What the command line (or the sweep) set, as Hydra writes it."""
    repeats: str | None = None
    """The folder of the run that it repeats, as it was named after `--from`."""
    job: Mapping[str, Any] | None = None
    """Number and hash of the frozen job that it runs; None outside a sweep."""
    attempt: int = 1
    """How often the job was begun, this time included."""
    config_hash: str = ""
    """Of the composed config; equal for equal runs."""
    optimized_metric: str = ""
    lower_is_better: tuple[str, ...] = ("loss",)
    """Metrics, without their stage, that improve downwards."""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """Final values; one that is not finite is left out: JSON cannot hold it."""
    pruned: bool = False
    """Whether a search ended it before its last epoch: its metrics are those of fewer epochs."""
    error: tuple[Mapping[str, Any], ...] = ()
    """Problems as data, where the run did not finish."""
    warnings: tuple[Mapping[str, Any], ...] = ()
    """Warnings as data, also those that a job of a multirun does not print."""
    started: str = ""
    ended: str | None = None
    seconds: float | None = None
    fit_seconds: float | None = None
    """Training and test alone, where both were done; `seconds` holds imports and composition too."""
    tags: tuple[str, ...] = ()
    host: str = ""
    machine: str = ""
    """The running system: containers on one host have it in common."""
    pid: int = 0

    def end(
        self,
        state: State,
        *,
        metrics: Mapping[str, float] | None = None,
        pruned: bool = False,
        error: tuple[Mapping[str, Any], ...] = (),
        warnings: tuple[Mapping[str, Any], ...] = (),
        fit_seconds: float | None = None,
    ) -> Status:
        """The same run, over."""
        now = datetime.now(UTC)
        seconds = (now - datetime.fromisoformat(self.started)).total_seconds()
        finite = {name: value for name, value in (metrics or {}).items() if math.isfinite(value)}
        return replace(
            self,
            state=state,
            metrics=finite,
            pruned=pruned,
            error=error,
            warnings=warnings,
            ended=now.isoformat(),
            seconds=round(seconds, 3) if seconds >= 0 else None,  # the clock was set back
            fit_seconds=None if fit_seconds is None else round(fit_seconds, 3),
        )

    def to_dict(self) -> dict[str, Any]:
        """The status as plain data, as the file holds it."""
        return asdict(self)


def begin(overrides: tuple[str, ...] = (), repeats: str | None = None) -> Status:
    """The status of a run that starts now, in this process; the fields of its config are filled in later."""
    return Status(
        "running",
        overrides=overrides,
        repeats=repeats,
        started=datetime.now(UTC).isoformat(),
        host=socket.gethostname(),
        machine=machine(),
        pid=os.getpid(),
    )


def write(status: Status, folder: Path) -> None:
    """Puts `status.json` into `folder`: a reader sees the old file or the new one, never half of one.

    Raises:
        ForgeError: it cannot be written.
    """
    write_atomically(folder / STATUS, _text(status))


def write_end(status: Status, folder: Path) -> None:
    """The same for the last status of a run. On a full disk it is written over the first one, if that has room, or not
    at all.
    """
    try:
        write(status, folder)
    except ForgeError:
        brief = replace(status, error=tuple({**problem, "traceback": None} for problem in status.error[:1]))
        with suppress(OSError), (folder / STATUS).open("r+b") as file:
            file.write(_text(brief).encode())
            file.truncate()


def _text(status: Status) -> str:
    return json.dumps(status.to_dict(), indent=2, allow_nan=False) + "\n"


def read(folder: Path) -> dict[str, Any]:
    """The status of the run in `folder` as plain data; its state is `killed` where its process is gone or silent.

    Raises:
        OSError, ValueError, LookupError, TypeError: there is none, or it is damaged.
    """
    status = json.loads(read_text(folder / STATUS, MAX_STATUS_BYTES))
    if status["state"] == "running" and not is_alive(folder, status.get("machine", "")):
        status["state"] = "killed"
    return status


def read_state(folder: Path) -> str | None:
    """The state of the run that `folder` holds, None where it holds none."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return read(folder)["state"]
    return None


def check_idle(folder: Path) -> None:
    """Checks that no run of another machine, whose lock may not be visible here, writes to `folder`.

    Raises:
        ForgeError: one does.
    """
    with suppress(OSError, ValueError, LookupError, TypeError):
        status = read(folder)
        if status["state"] == "running" and status.get("machine") != machine():
            message = f"another run is writing to `{folder}`, on `{status['host']}`"
            hint = f"wait for it, or choose another folder; if it was killed, its folder is free after {SILENCE:.0f} s"
            raise ForgeError([Problem("MF051", "hydra.run.dir", message, hint)])


def resume_command(overrides: Iterable[str], ckpt: str, repeats: str | None = None) -> str:
    """What goes on with the run of these overrides from a checkpoint.

    Args:
        overrides: What the command line of the run set.
        ckpt: The checkpoint.
        repeats: The run that it repeats.

    Example:
        >>> print(resume_command(["model=lstm", "ckpt=old.ckpt"], "runs/a/last.ckpt"))
        python train.py model=lstm ckpt=runs/a/last.ckpt
        >>> print(resume_command([], "sweeps/0,gain=1/last.ckpt"))
        python train.py 'ckpt='"'"'sweeps/0,gain=1/last.ckpt'"'"''
    """
    settings = [override for override in overrides if not override.startswith("ckpt=")]
    source = ["--from", repeats] if repeats else []
    return f"python train.py {shlex.join([*source, *settings, f'ckpt={as_hydra_reads(ckpt)}'])}"


def as_hydra_reads(text: str) -> str:
    """A text as the value of an override, in quotes where Hydra would read it as something else.

    Example:
        >>> print(as_hydra_reads("runs/a"), as_hydra_reads("1e3"), as_hydra_reads("null"), as_hydra_reads("a b"))
        runs/a '1e3' 'null' 'a b'
    """
    if PLAIN.fullmatch(text) and text.lower() not in ("true", "false", "null", "nan", "inf"):
        return text
    # Backslashes count only before what they could escape.
    return "'" + _ESCAPED.sub(lambda found: found[1] * 2 + (found[2] and f"\\{found[2]}"), text) + "'"

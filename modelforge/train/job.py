"""One Hydra job: trains, always leaves a true `status.json`, and shows no traceback for a user's mistake."""

from __future__ import annotations

import hashlib
import json
import math
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from pathlib import Path
from typing import Any

import yaml

from modelforge.config import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import unwritable, write_atomically
from modelforge.core.frozen import plain
from modelforge.core.project import shown
from modelforge.core.quoting import printable
from modelforge.core.words import plural
from modelforge.report.stream import complain
from modelforge.runs import environment
from modelforge.runs.liveness import claimed, heartbeat
from modelforge.runs.status import State, Status, begin, check_idle, read_state, resume_command, write, write_end
from modelforge.train.arguments import misuse
from modelforge.train.interrupt import Interrupted, Interrupts
from modelforge.train.later import put_off_extras
from modelforge.train.terminal import loading, screen


@dataclass(frozen=True)
class Result:
    """How a job ended: 0 for finished, 1 for a mistake or a divergence, 128 + n after signal n."""

    exit_code: int
    status: Status

    @property
    def metric(self) -> float:
        """The optimized metric, NaN where the job did not get that far."""
        return self.status.metrics.get(self.status.optimized_metric, math.nan)


def execute_in(
    folder: Path,
    compose: Callable[[], Config],
    overrides: tuple[str, ...],
    *,
    show_plan: bool = True,
    overwrites: bool = False,
    without_effect: Callable[[Config], Iterable[Problem]] = lambda config: (),
    repeats: str | None = None,
) -> Result:
    """Does what `execute` does, in a folder that no other run has, or gets while it lasts.

    Raises:
        ForgeError: another run is writing there, or, unless it `overwrites`, one finished there.
    """
    if not overwrites and read_state(folder) == "finished":
        message = f"`{shown(folder)}` already holds a finished run"
        raise ForgeError([misuse("hydra.run.dir", message, "choose another folder, or remove this one")])
    with claimed(folder):
        check_idle(folder)
        return execute(compose, folder, overrides, show_plan=show_plan, without_effect=without_effect, repeats=repeats)


def execute(
    compose: Callable[[], Config],
    folder: Path,
    overrides: tuple[str, ...] = (),
    *,
    show_plan: bool = True,
    without_effect: Callable[[Config], Iterable[Problem]] = lambda config: (),
    repeats: str | None = None,
    job: Mapping[str, Any] | None = None,
    attempt: int = 1,
) -> Result:
    """Trains what `compose` returns in `folder`; progress goes to stdout, problems to stderr.

    Args:
        compose: Gives the config; called once the status is `running`, so that its problems are kept there.
        folder: The run folder.
        overrides: What the command line set, for the status.
        show_plan: Whether to print the model's table.
        without_effect: Gives the warnings about the command line, which were printed before.
        repeats: The folder of the run that it repeats, for the status.
        job: Number and hash of the frozen job that it runs, for the status.
        attempt: How often the job was begun, this time included.

    Raises:
        Exception: a bug of ours or of a library's, after the status is written.
    """
    put_off_extras()
    console = screen()

    def say(line: str) -> None:
        console.print(printable(line), markup=False, soft_wrap=True)

    noted: list[Problem] = []

    def end(state: State, **facts: Any) -> Status:
        return status.end(state, warnings=tuple(problem.to_dict() for problem in noted), **facts)

    status = replace(begin(overrides, repeats), job=job, attempt=attempt)
    try:
        write(status, folder)
        with heartbeat(folder), Interrupts(say) as interrupts:
            environment.write(environment.here(), folder)
            config = compose()
            noted += without_effect(config)
            status = _describe(status, config.values)
            write_atomically(folder / "config.yaml", yaml.safe_dump(plain(config.values), sort_keys=False))
            with loading("lightning"):
                from modelforge.train.fit import fit
                from modelforge.train.settings import judged_by
            status = replace(status, **judged_by(config.values))
            write(status, folder)
            outcome = fit(
                config, folder, console=console, interrupts=interrupts, note=noted.append, show_plan=show_plan
            )
            ended, exit_code = end("finished", metrics=outcome.metrics, fit_seconds=outcome.seconds), 0
            write(ended, folder)
    except Interrupted as error:
        ended, exit_code = end("interrupted"), error.exit_code
        write_end(ended, folder)
        say(f"interrupted  ·  {shown(folder)}")
        if (last := folder / "checkpoints" / "last.ckpt").exists():
            say(f"resume with: {resume_command(status.overrides, shown(last), repeats)}")
    except BaseException as error:
        wrong = error if isinstance(error, ForgeError) else _full_disk(error, folder)
        if wrong is None:
            bug = {"code": None, "message": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            write_end(end("failed", error=(bug,)), folder)
            raise
        state = "diverged" if any(problem.code == "MF052" for problem in wrong.problems) else "failed"
        ended, exit_code = end(state, error=tuple(problem.to_dict() for problem in wrong.problems)), 1
        write_end(ended, folder)
        complain(wrong)
    else:
        say("  ·  ".join([*outcome.words, *_count(noted), f"{outcome.seconds:.1f} s", shown(folder)]))
    return Result(exit_code, ended)


def _full_disk(error: BaseException, folder: Path) -> ForgeError | None:
    """What a library meets that writes into the folder, as TensorBoard does; None for anything else."""
    if not isinstance(error, OSError) or error.errno not in (ENOSPC, EDQUOT, EFBIG, EIO, EROFS):
        return None
    return ForgeError([unwritable(shown(folder), os.strerror(error.errno).lower())])


def _count(warnings: Sequence[Problem]) -> list[str]:
    """How many warnings there are, and of which kinds; nothing where there are none.

    Example:
        >>> _count([Problem("MW203", "", "a", num=2), Problem("MW101", "", "b"), Problem("MW203", "", "c")])
        ['4 warnings (MW101, MW203)']
    """
    number = sum(problem.num for problem in warnings)
    codes = ", ".join(sorted({problem.code for problem in warnings}))
    return [f"{plural(number, 'warning')} ({codes})"] if warnings else []


def _describe(status: Status, values: Mapping[str, Any]) -> Status:
    """The status with the seed and the tags of a config that is not checked yet."""
    seed, tags = values.get("seed", 0), values.get("tags") or ()
    text = json.dumps(plain(values), default=str)
    return replace(
        status,
        config_hash=hashlib.sha256(text.encode()).hexdigest(),
        seed=seed if isinstance(seed, int) else 0,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list | tuple) else (),
    )

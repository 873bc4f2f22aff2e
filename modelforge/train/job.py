"""One Hydra job: trains, always leaves a true `status.json`, and shows no traceback for a user's mistake."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from modelforge.config.compose import Config
from modelforge.config.overrides import parse
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import unwritable, write_atomically
from modelforge.core.frozen import plain
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.project import shown
from modelforge.core.quoting import printable
from modelforge.core.words import plural
from modelforge.report.stream import complain
from modelforge.runs import environment
from modelforge.runs.jobs import FREE
from modelforge.runs.liveness import claimed, heartbeat
from modelforge.runs.status import State, Status, begin, check_idle, read_state, resume_command, write, write_end
from modelforge.train.arguments import misuse
from modelforge.train.aside import set_aside
from modelforge.train.interrupt import Interrupted, Interrupts
from modelforge.train.terminal import loading, screen

if TYPE_CHECKING:
    from modelforge.train.fit import Outcome

CHECKPOINTS = "checkpoints"
"""The folder in that of a run for its checkpoints."""


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
        if _has_checkpoints_of_another_run(folder, overrides):
            if overwrites:
                shutil.rmtree(folder / CHECKPOINTS)
            else:
                place = set_aside([folder / CHECKPOINTS], folder)
                message = f"`{shown(folder)}` holds the checkpoints of a run that did not finish"
                print(printable(f"{message}: they are now in {shown(place)}, and this run starts anew"), flush=True)
        return execute(compose, folder, overrides, show_plan=show_plan, without_effect=without_effect, repeats=repeats)


def _has_checkpoints_of_another_run(folder: Path, overrides: tuple[str, ...]) -> bool:
    """Whether there are checkpoints in a run folder, and a run of these overrides goes on from none of them."""
    places = folder / CHECKPOINTS
    keys = [one for one in parse(overrides) if one.key_or_group == "ckpt" and isinstance(one.value(), str)]
    goes_on = bool(keys) and Path(str(keys[-1].value())).resolve().parent == places.resolve()
    return not goes_on and any(places.glob("*.ckpt"))


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
    siblings: Sequence[Path] = (),
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
        siblings: The folders of other jobs, beside which the run's results will stand.

    Raises:
        Exception: a bug of ours or of a library's, after the status is written.
    """
    import_extras_late()
    record = _Record(folder, replace(begin(overrides, repeats), job=job, attempt=attempt), screen())
    try:
        outcome = record.train(compose, without_effect, show_plan=show_plan, siblings=siblings)
    except (Interrupted, KeyboardInterrupt) as error:  # the latter in the moment before `Interrupts`
        record.end("interrupted")
        record.say(f"interrupted  ·  {shown(folder)}")
        if job is None and (last := folder / CHECKPOINTS / "last.ckpt").exists():
            record.say(f"resume with: {resume_command(overrides, shown(last), repeats)}")
        code = error.exit_code if isinstance(error, Interrupted) else 128 + signal.SIGINT
        return Result(code, record.status)
    except BaseException as error:
        wrong = error if isinstance(error, ForgeError) else _full_disk(error, folder)
        if wrong is None:
            bug = {"code": None, "message": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            record.end("failed", error=(bug,))
            if isinstance(error, SystemExit):  # code of a plugin ends itself, and no process of ours
                traceback.print_exc()
                return Result(1, record.status)
            raise
        state = "diverged" if any(problem.code == "MF052" for problem in wrong.problems) else "failed"
        record.end(state, error=tuple(problem.to_dict() for problem in wrong.problems))
        complain(wrong)
        return Result(1, record.status)
    record.say("  ·  ".join([*outcome.words, *_count(record.noted), f"{outcome.seconds:.1f} s", shown(folder)]))
    return Result(0, record.status)


@dataclass
class _Record:
    """The status of a run while it lasts, in its folder too."""

    folder: Path
    status: Status
    console: Console
    noted: list[Problem] = field(default_factory=list[Problem])
    """Warnings."""

    def say(self, line: str) -> None:
        """Prints a line where the progress is shown."""
        self.console.print(printable(line), markup=False, soft_wrap=True)

    def train(
        self,
        compose: Callable[[], Config],
        without_effect: Callable[[Config], Iterable[Problem]],
        *,
        show_plan: bool,
        siblings: Sequence[Path],
    ) -> Outcome:
        """Trains; the status is `running` meanwhile, and `finished` afterwards."""
        with Interrupts(self.say) as interrupts, heartbeat(self.folder):
            write(self.status, self.folder)
            environment.write(environment.here(), self.folder)
            config = compose()
            self.noted += without_effect(config)
            self.status = _describe(self.status, config.values)
            write_atomically(self.folder / "config.yaml", yaml.safe_dump(plain(config.values), sort_keys=False))
            with loading("lightning"):
                from modelforge.train.fit import fit
                from modelforge.train.settings import judged_by
            self.status = replace(self.status, **judged_by(config.values))
            write(self.status, self.folder)
            outcome = fit(
                config,
                self.folder,
                console=self.console,
                interrupts=interrupts,
                note=self.noted.append,
                show_plan=show_plan,
                siblings=siblings,
            )
            ended = self._ended("finished", metrics=outcome.metrics, fit_seconds=outcome.seconds, pruned=outcome.pruned)
            write(ended, self.folder)
        self.status = ended
        return outcome

    def end(self, state: State, **facts: Any) -> None:
        """Notes that the run is over without finishing."""
        self.status = self._ended(state, **facts)
        write_end(self.status, self.folder)

    def _ended(self, state: State, **facts: Any) -> Status:
        return self.status.end(state, warnings=tuple(problem.to_dict() for problem in self.noted), **facts)


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
    # Where a run goes on from does not change what it computes, either.
    same = {name: None if name == "ckpt" else value for name, value in plain(values).items() if name not in FREE}
    text = json.dumps(same, default=str)
    return replace(
        status,
        config_hash=hashlib.sha256(text.encode()).hexdigest(),
        seed=seed if isinstance(seed, int) else 0,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list | tuple) else (),
    )

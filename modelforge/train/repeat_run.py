"""`train.py --from RUN`: a finished run once more, from its own config.yaml, and whether its numbers come out again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from modelforge.config.compose import Config
from modelforge.core.ctrl_c import raise_at_ctrl_c
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.plugins import load_plugins
from modelforge.core.quoting import listed, printable, shortened
from modelforge.report.stream import complain, exiting
from modelforge.results.comparison import Change, Comparison, changes, compare, surroundings
from modelforge.runs import environment
from modelforge.runs.liveness import STATUS
from modelforge.runs.status import read, resume_command
from modelforge.train.arguments import misuse
from modelforge.train.command_line import check_config
from modelforge.train.job import execute_in
from modelforge.train.parallel.launch import launch_of
from modelforge.train.run_config import CONFIG, compose_run
from modelforge.train.terminal import check_folder, keep_streams

FLAG = "--from"
FREE = ("ckpt", "checkpoint", "tags", "logger", "num_workers", "enable_progress_bar")
"""Settings, by the first or the last part of their key, that leave the numbers of a run as they are."""
NUM_SHOWN = 8


def repeat(arguments: Sequence[str], conf: str | Path | None = None) -> None:
    """Repeats the run that `--from` names, and exits: with 1 where its numbers do not come out again.

    Values that are set after it change the run: its numbers are shown then, and not judged. Of several processes that
    torchrun or Slurm started, all but the first train along with that from here on, and exit.

    Args:
        arguments: As in `sys.argv[1:]`; without `--from`, nothing is done.
        conf: The folder of configs: the plugins of the project around it are imported. None for no project.
    """
    raise_at_ctrl_c()
    with exiting():
        launch = launch_of()
    import_extras_late()
    if launch is not None and launch.rank:
        from modelforge.train.parallel.worker import exit_now, run_worker

        exit_now(run_worker(launch))
    if not any(argument.partition("=")[0] == FLAG for argument in arguments):
        return
    keep_streams()
    check_folder()
    with exiting():
        source, overrides = _parsed(arguments)
        if conf is not None:
            load_plugins(Path(conf).parent)
        sys.exit(_repeat(source, overrides))


def _parsed(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """The run folder and the overrides."""
    rest, named = list[str](), list[str]()
    waiting = iter(arguments)
    for argument in waiting:
        flag, equals, value = argument.partition("=")
        if flag == FLAG:
            named.append(value if equals else next(waiting, ""))
        elif argument.startswith("-"):
            message = f"`{FLAG}` repeats one run, and takes no other flag, but gets `{argument}`"
            raise ForgeError([Problem("MF073", argument, message, "only overrides may follow: `optimizer.lr=0.01`")])
        else:
            rest.append(argument)
    if len(named) != 1 or not named[0]:
        hint = f"`python train.py {FLAG} runs/...`"
        raise ForgeError([Problem("MF073", FLAG, f"`{FLAG}` needs one run folder", hint)])
    return Path(named[0]), rest


def _repeat(source: Path, overrides: list[str]) -> int:
    """The exit status of a run that repeats `source`."""
    before = _finished(source)
    config = _composed(source, overrides, before)
    changed = [*_changes(before, config.values)]
    folder = Path(_folder(config))
    check_config(config)
    print(f"repeats {printable(str(source))}")
    for change in changed:
        print(printable(f"  {change}"))
    if others := [*surroundings(environment.read(source), environment.here().to_dict())]:
        message = f"`{source}` was made with other versions: {listed(others, NUM_SHOWN)}"
        own = any(change.name == "code" for change in others)
        hint = "the project's own modules are others: any number may differ" if own else "the last digits may differ"
        complain(Problem("MW213", FLAG, message, hint, severity="warning"))
    result = execute_in(folder, lambda: config, tuple(overrides), repeats=str(source))
    if result.exit_code:
        return result.exit_code
    found = compare(source, folder)
    if changed:
        for name, (old, new) in found.metrics.items():
            print(printable(f"{name}: {old:.6g} in {source}, {new:.6g} here"))
        return 0
    if found.differences:
        raise ForgeError(_problems(found, source, folder))
    what = f"{found.num_lines} lines of metrics.csv, {found.num_parameters} initial values"
    print(printable(f"the same numbers as {source}: {len(found.metrics)} metrics, {what}"))
    return 0


def _finished(source: Path) -> Mapping[str, Any]:
    """The values of the config of a finished run.

    Raises:
        ForgeError: there is no such run, or it has not finished.
    """
    if not (source / CONFIG).is_file() or not (source / STATUS).is_file():
        what = "holds no run" if source.is_dir() else "is a file" if source.exists() else "does not exist"
        inside = next((path.parent for path in sorted(source.glob(f"*/{STATUS}"))), None) if source.is_dir() else None
        hint = f"one of its runs: `{FLAG} {inside}`" if inside else "name the folder of a run: runs/..."
        raise ForgeError([Problem("MF073", FLAG, f"`{source}` {what}, but `{FLAG}` repeats a run", hint)])
    try:
        status = read(source)
        state, words = str(status["state"]), [str(word) for word in status["overrides"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ForgeError([Problem("MF073", FLAG, f"the status of `{source}` cannot be read")]) from error
    if state != "finished":
        last = source / "checkpoints" / "last.ckpt"
        message = f"`{source}` did not finish (its status is `{state}`), so there is no result to compare with"
        hint = f"to finish it: `{resume_command(words, str(last), status.get('repeats'))}`" if last.is_file() else ""
        raise ForgeError([Problem("MF073", FLAG, message, hint)])
    return compose_run(source).values


def _composed(source: Path, overrides: list[str], before: Mapping[str, Any]) -> Config:
    """The config of a run, with other values than `before`.

    A run that was resumed is repeated from its beginning, which gives the same numbers.

    Raises:
        ForgeError: an override cannot be applied.
    """
    resumed = before.get("ckpt") and not any(text.startswith("ckpt=") for text in overrides)
    config = compose_run(source, [*(["ckpt=null"] if resumed else []), *overrides])
    chosen = [
        text
        for text in overrides
        if isinstance(before.get(key := text.partition("=")[0].lstrip("+")), Mapping)
        and isinstance(config.values.get(key), str)
        and key != "init"
    ]
    if chosen:
        raise ForgeError(_no_group(text, source) for text in chosen)
    return config


def _no_group(text: str, source: Path) -> Problem:
    key = text.partition("=")[0]
    message = f"`{shortened(text)}` chooses a file of `conf/`, but the values here are those of `{source / CONFIG}`"
    return Problem(
        "MF001",
        key,
        message,
        f"set single values (`{key}.NAME=...`), or start a run without `{FLAG}`",
        Place(override=text),
    )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """What was set to another value, and may change the numbers."""
    for change in changes("", before, now):
        parts = change.name.split(".")
        if parts[0] not in FREE and parts[-1] not in FREE:
            yield change


def _folder(config: Config) -> str:
    key = "hydra.run.dir"
    given = [text.partition("=")[2] for text in config.overrides if text.startswith(f"{key}=")]
    if not given:
        return f"runs/repeated/{datetime.now():%Y-%m-%d_%H-%M-%S_%f}"
    folder = str(config.hydra["run"]["dir"])
    if "${" in folder:
        raise ForgeError([misuse(key, f"`{key}` of a repeated run must be a plain path, but is `{folder}`")])
    return folder


def _problems(found: Comparison, source: Path, folder: Path) -> Iterator[Problem]:
    others = [*surroundings(environment.read(source), environment.read(folder))]
    hint = f"other versions: {listed(others, NUM_SHOWN)}" if others else ""
    for change in found.differences[:NUM_SHOWN]:
        message = f"{change.name} was {change.before or 'absent'} in `{source}`, and is {change.now or 'absent'} here"
        yield Problem("MF074", FLAG, message, hint)
    if (rest := len(found.differences) - NUM_SHOWN) > 0:
        yield Problem("MF074", FLAG, f"{rest} more numbers differ", hint)

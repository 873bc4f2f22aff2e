"""check_command_line: a run that would be refused is refused first, with place and way out, and leaves no folder."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryFile

from hydra._internal.utils import get_args_parser

from modelforge.config.compose import Config, compose, open_config
from modelforge.config.folder_name import FOLDER_NAME, MAX_NAME
from modelforge.config.in_place import in_place
from modelforge.config.loader import guard_hydra
from modelforge.config.origins import Origins
from modelforge.config.overrides import parse
from modelforge.config.sweeps import compose_jobs, read_sweep, sweep_words, unread
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.plugins import load_plugins
from modelforge.report.stream import Stream, complain, exiting
from modelforge.runs.jobs import read_sweep_file
from modelforge.runs.status import as_hydra_reads
from modelforge.train.arguments import misuse
from modelforge.train.parallel.launch import launch_of
from modelforge.train.terminal import announce, announce_jobs, check_folder, keep_streams, loading

MULTIRUN = {"-m", "--multirun"}
MAX_COMPOSED = 32
"""Jobs of a multirun that are composed at most before it starts."""


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments with all flags at the end: Hydra reads overrides on one side of its flags only. A block with a
    scheme that is given for `init` takes the place of the group.

    Example:
        >>> overrides_first(["model=mlp", "-m", "init.gain=0.5,1"])
        ['model=mlp', 'init.gain=0.5,1', '-m']
    """
    if (given := _parsed(arguments)) is None:
        return list(arguments)
    flags = list(arguments)
    for override in given.overrides:
        flags.remove(override)
    overrides = in_place(given.overrides)
    if (folder := _resumed(overrides)) is not None:
        overrides.append(f"hydra.sweep.dir={as_hydra_reads(folder)}")
        flags += [] if MULTIRUN.intersection(flags) else ["-m"]
    return [*overrides, *flags]


def _resumed(overrides: Sequence[str]) -> str | None:
    """The folder of the sweep that a command line resumes; None where `check_command_line` is going to refuse it."""
    found = next((word for word in reversed(overrides) if word.lstrip("+").startswith("sweep.resume=")), None)
    value = None
    with suppress(ForgeError):
        value = None if found is None else parse([found])[0].value()
    return value if isinstance(value, str) else None


def check_command_line(conf: str | Path, arguments: Sequence[str]) -> None:
    """Composes what the arguments ask for, and exits with 1 and all problems if that cannot be done.

    A single run is checked as a whole, model and settings, and that this machine can do it. Of a multirun all jobs are
    composed, or, if there are many, every value of each list with the others at their first; what is wrong with a job
    beyond composing it is kept in the job's status. Where the folder for the results cannot be written, neither is
    begun. A setting that has no effect is a warning.

    Args:
        conf: The folder of configs.
        arguments: As in `sys.argv[1:]`. With any other flag (`--help`, `--cfg`, `--config-dir`) Hydra does what it is
            asked for, with configs that are data all the same.
    """
    keep_streams()
    check_folder()
    _guard(arguments)
    flags = {argument for argument in arguments if argument.startswith("-")}
    if flags - MULTIRUN:
        _check_info(Path(conf), arguments)
        sys.stdout, sys.stderr = (Stream(one, escaped=True) for one in (sys.stdout, sys.stderr))  # Hydra prints
        return
    import_extras_late()
    overrides = [argument for argument in arguments if argument not in MULTIRUN]
    with exiting():
        for warning in _check(Path(conf), overrides, multirun=bool(flags)):
            complain(warning)


def _check_info(conf: Path, arguments: Sequence[str]) -> None:
    """Refuses what Hydra's `--info` cannot compose: Hydra would end in a traceback."""
    given = _parsed(arguments)
    elsewhere = given is not None and (given.config_path or given.config_dir or given.config_name)
    if given is not None and given.info is not None and not elsewhere:
        with exiting():
            open_config(conf, parse(given.overrides))


def _check(conf: Path, overrides: list[str], *, multirun: bool) -> list[Problem]:
    """The warnings about what is about to run.

    Raises:
        ForgeError: it cannot.
    """
    if multirun or (sweep_words(overrides) and read_sweep(conf, overrides).multirun):
        return _check_jobs(conf, overrides)
    config = compose(conf, overrides)
    if config.hydra["mode"] == "MULTIRUN":
        return _check_jobs(conf, overrides)
    announce(config)
    load_plugins(conf.parent)
    check_config(config)
    if problems := [*_folder_problems(config, "run")]:
        raise ForgeError(problems)
    return [*unread(config, overrides, multirun=False)]


def _check_jobs(conf: Path, overrides: list[str]) -> list[Problem]:
    if (launch := launch_of()) is not None:
        message = f"{launch.launcher} started {launch.world_size} processes for one run, and a multirun has several"
        hint = f"leave {launch.launcher} out: each job starts its own, as `trainer.devices` says"
        raise ForgeError([misuse("hydra.mode", message, hint)])
    sweep = read_sweep(conf, overrides)
    if (folder := sweep.settings.get("resume")) is not None:
        read_sweep_file(Path(str(folder)))  # a folder without a sweep is refused before anything is made in it
    config = Config({}, Origins.empty(), tuple(overrides), {}, sweep.hydra)
    chosen = [f"sweep.{key}" for key in ("zip", "where", "skip_invalid") if sweep.settings.get(key)]
    if sweep.freezes:  # it composes and checks all jobs itself, and announces those of a sweep that goes on
        if folder is None:
            announce_jobs(config, sweep.num_jobs, "combination" if chosen else "job")
            if problems := [*_folder_problems(config, "sweep")]:
                raise ForgeError(problems)
        load_plugins(conf.parent)
        return [*unread(config, overrides, multirun=True)]
    if chosen:
        raise ForgeError(map(_chooses_no_jobs, chosen))
    configs = compose_jobs(sweep, conf, MAX_COMPOSED)
    announce_jobs(config, sweep.num_jobs if sweep.axes else None)
    if problems := [*_folder_problems(config, "sweep"), *_long_names(configs)]:
        raise ForgeError(problems)
    load_plugins(conf.parent)
    return [*unread(config, overrides, multirun=True)]


def _chooses_no_jobs(key: str) -> Problem:
    message = f"`{key}` chooses among listed jobs, and the sweeper that is chosen does not read it"
    return Problem("MF084", key, message, "leave it out, or choose the default: `hydra/sweeper=freezing`")


def _guard(arguments: Sequence[str]) -> None:
    """Has Hydra read configs as data, and refuses its flags that run code."""
    guard_hydra()
    if (given := _parsed(arguments)) is None:
        return
    flag, hint = "", ""
    if given.experimental_rerun is not None:
        flag, hint = "--experimental-rerun", "it reads a pickle, which can hold code: `ckpt=...` resumes a run"
    elif "://" in (given.config_path or "").removeprefix("file://"):
        flag, hint = "--config-path", "name a folder of configs"
    if flag:
        with exiting():
            raise ForgeError([Problem("MF004", flag, f"`{flag}` is not taken here", hint)])


def _parsed(arguments: Sequence[str]) -> Namespace | None:
    """The arguments as Hydra reads them; None where it refuses them or only prints something."""
    parser = ArgumentParser(parents=[get_args_parser()], add_help=False)
    with suppress(SystemExit), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return parser.parse_intermixed_args(arguments)
    return None


def check_config(config: Config) -> None:
    """Checks a single run as a whole: model, settings, data, and that this machine can do it.

    Raises:
        ForgeError: all that is wrong.
    """
    with loading("torch"):
        from modelforge.train.data.read import look
        from modelforge.train.prepare import located, prepare

    with located(config):
        job = prepare(config)
        look(job.settings.data)
        with loading("lightning"):
            from modelforge.train.trainer import check_trainer
        if problems := check_trainer(job.trainer, job.optimizer):
            raise ForgeError(problems)


def _folder_problems(config: Config, mode: str) -> Iterator[Problem]:
    """Makes the folder that the results go to, as Hydra would a moment later, as far as its name is known by now."""
    name = str(config.hydra[mode]["dir"])
    if not name.strip("./ "):
        message = "the results need a folder of their own"
        yield misuse(f"hydra.{mode}.dir", message, f"write `hydra.{mode}.dir=runs/...`, or leave it out")
        return
    known, dollar, _ = name.partition("${")
    folder = Path(known.rpartition("/")[0] if dollar else known)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        key = f"hydra.{mode}.dir"
        given = next((word for word in config.overrides if word.lstrip("+").startswith(f"{key}=")), None)
        reason = error.strerror.lower() if error.strerror else str(error)
        message = f"nothing can be written to `{folder}`, where the results would go: {reason}"
        problem = misuse(key, message, f"choose another folder: `{key}=...`")
        yield problem.at(Place(override=given) if given else None)


def _long_names(configs: Sequence[Config]) -> Iterator[Problem]:
    """A job whose folder would have a longer name than a file system takes."""
    for config in configs:
        subdir = str(config.hydra["sweep"]["subdir"])
        if FOLDER_NAME in subdir:
            continue
        dirname = str(config.hydra["job"]["override_dirname"])
        for written in ("${hydra:job.override_dirname}", "${hydra.job.override_dirname}"):
            subdir = subdir.replace(written, dirname)
        if (longest := max(len(os.fsencode(part)) for part in subdir.split("/"))) > MAX_NAME:
            message = f"a job's folder would have a name of {longest} bytes, and {MAX_NAME} are possible"
            short = f"'${{{FOLDER_NAME}:${{hydra:job.num}},${{hydra:job.override_dirname}}}}'"
            problem = misuse("hydra.sweep.subdir", message, f"`hydra.sweep.subdir={short}` cuts it")
            yield config.origins.locate(problem)
            return

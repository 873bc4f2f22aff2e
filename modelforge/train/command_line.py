"""check_command_line: a run that would be refused is refused first, with place and way out, and leaves no folder."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

from modelforge.config import Config, compose
from modelforge.config.in_place import in_place
from modelforge.errors import ForgeError, Place, Problem
from modelforge.train.loading import loading

MULTIRUN = {"-m", "--multirun"}
MAX_COMPOSED = 32
"""Configs of a multirun that are composed at most before it starts."""


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments with all flags at the end: Hydra reads overrides on one side of its flags only. A block with a
    scheme that is given for `init` takes the place of the group.

    Example:
        >>> overrides_first(["model=mlp", "-m", "init.gain=0.5,1"])
        ['model=mlp', 'init.gain=0.5,1', '-m']
    """
    from hydra._internal.utils import get_args_parser

    parser = _Silent(parents=[get_args_parser()], add_help=False)
    try:
        overrides: list[str] = parser.parse_intermixed_args(arguments).overrides
    except _NotUnderstood:
        return list(arguments)  # Hydra says why
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return [*in_place(overrides), *flags]


def check_command_line(conf: str | Path, arguments: Sequence[str]) -> None:
    """Composes what the arguments ask for, and exits with 1 and all problems if that cannot be done.

    A single run is checked as a whole, model and settings, and that this machine can do it. Of a multirun every value
    of each list is tried, the others at their first; what is wrong with a job beyond composing it is kept in the job's
    status. Where the folder for the results cannot be written, neither is begun.

    Args:
        conf: The folder of configs.
        arguments: As in `sys.argv[1:]`. With any other flag (`--help`, `--cfg`, `--config-dir`) Hydra is left alone.
    """
    flags = {argument for argument in arguments if argument.startswith("-")}
    if flags - MULTIRUN:
        return
    overrides = [argument for argument in arguments if argument not in MULTIRUN]
    # As keys: what several values have in common is told once.
    problems: dict[Problem, None] = {}
    configs: list[Config] = []
    try:
        for words in islice(_tried(overrides), MAX_COMPOSED) if flags else [overrides]:
            try:
                configs.append(compose(conf, words))
                if not flags:
                    _prepare(configs[0])
            except ForgeError as error:
                problems |= dict.fromkeys(error.problems)
        if not problems:
            problems |= dict.fromkeys(_folder_problems(configs[0], "sweep" if flags else "run"))
    except KeyboardInterrupt:
        sys.exit(130)
    if problems:
        print(ForgeError(problems), file=sys.stderr)
        sys.exit(1)


class _NotUnderstood(Exception):
    pass


class _Silent(ArgumentParser):
    """A parser that raises in place of printing something and leaving."""

    def error(self, message: str) -> NoReturn:
        raise _NotUnderstood(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _NotUnderstood(message)

    def _print_message(self, message: str, file: object = None) -> None:
        pass


def _prepare(config: Config) -> None:
    with loading("torch"):
        from modelforge.train.prepare import prepare
    from modelforge.train.data.read import look

    job = prepare(config)
    try:
        look(job.settings.data)
    except ForgeError as error:
        raise ForgeError(config.origins.locate(problem) for problem in error.problems) from error
    with loading("lightning"):
        from modelforge.train.trainers import check_trainer
    if problems := check_trainer(job.trainer):
        raise ForgeError(config.origins.locate(problem) for problem in problems)


def _folder_problems(config: Config, mode: str) -> Iterator[Problem]:
    """Makes the folder that the results go to, as Hydra would a moment later, as far as its name is known by now."""
    name = str(config.hydra[mode]["dir"])
    if not name.strip("./ "):
        message = "the results need a folder of their own"
        yield Problem("MF051", f"hydra.{mode}.dir", message, f"write `hydra.{mode}.dir=runs/...`, or leave it out")
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
        place = Place(override=given) if given else None
        yield Problem("MF051", key, message, f"choose another folder: `{key}=...`", place)


def _tried(overrides: list[str]) -> Iterator[list[str]]:
    """The first of every list, and then each other value of one list at a time."""
    values = [*_values(overrides)]
    first = [words[0] for words in values]
    yield first
    for index, words in enumerate(values):
        for word in words[1:]:
            yield [*first[:index], word, *first[index + 1 :]]


def _values(overrides: list[str]) -> Iterator[tuple[str, ...]]:
    """Each override as single values; a range or a glob, which Hydra spells out, is left to it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException:
        yield from ((word,) for word in overrides)
        return
    for word, override in zip(overrides, parsed, strict=True):
        if not override.is_sweep_override():
            yield (word,)
        elif override.is_discrete_sweep() and not isinstance(override.value(), Glob):
            key, _, _ = word.partition("=")
            if words := tuple(f"{key}={value}" for value in islice(override.sweep_string_iterator(), MAX_COMPOSED)):
                yield words

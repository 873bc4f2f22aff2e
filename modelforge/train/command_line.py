"""check_command_line: a run that would be refused is refused first, with place and way out, and leaves no folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from modelforge.config import Config, compose
from modelforge.errors import ForgeError, Problem
from modelforge.train.loading import loading

MULTIRUN = {"-m", "--multirun"}
MAX_COMPOSED = 32
"""Configs of a multirun that are composed at most before it starts."""


def check_command_line(conf: str | Path, arguments: Sequence[str]) -> None:
    """Composes what the arguments ask for, and exits with 1 and all problems if that cannot be done.

    A single run is checked as a whole, model and settings. Of a multirun every value of each list is tried, the others
    at their first; what is wrong with a job beyond composing it is kept in the job's status.

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
    for words in islice(_tried(overrides), MAX_COMPOSED) if flags else [overrides]:
        try:
            config = compose(conf, words)
            if not flags:
                _prepare(config)
        except ForgeError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        print(ForgeError(problems), file=sys.stderr)
        sys.exit(1)


def _prepare(config: Config) -> None:
    with loading("torch"):
        from modelforge.train.prepare import prepare
    prepare(config)


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

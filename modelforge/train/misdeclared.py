"""misdeclared: a config whose model does not fit its data section → what the file says that the section should be."""

from __future__ import annotations

from collections.abc import Iterable

from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.train.data.read import read
from modelforge.train.prepare import Job, prepare
from modelforge.train.settings import parse_settings

SHAPE = "MF040"


def prepared(config: Config) -> Job:
    """The job of a config.

    Raises:
        ForgeError: all that is wrong with it. Where a layer refuses the shape of the data, the file is read first: its
            own shape may be another than the declared one, and then the model is not at fault.
    """
    try:
        return prepare(config)
    except ForgeError as error:
        raise ForgeError([*_misdeclared(config, error.problems), *error.problems]) from None


def _misdeclared(config: Config, problems: Iterable[Problem]) -> list[Problem]:
    """The problems of a file with the shape that is declared for it, where a layer refuses that shape."""
    if not any(problem.code == SHAPE for problem in problems):
        return []
    settings, _ = parse_settings(config.values)
    if settings is None or not settings.data.reads:
        return []
    try:
        read(settings.data)
    except ForgeError as error:
        return list(error.problems)
    return []

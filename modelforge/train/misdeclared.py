"""misdeclared: a config whose model does not fit its data section → what the file says that the section should be."""

from __future__ import annotations

from collections.abc import Iterable

from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.train.data.read import read
from modelforge.train.settings import parse_settings

SHAPE = "MF040"


def misdeclared(config: Config, problems: Iterable[Problem]) -> list[Problem]:
    """The problems of a file with the shape that is declared for it, where a layer refuses that shape.

    Without them, a model is blamed for a shape that nobody meant: the default of a section that a file is to fill.
    """
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

"""check_command_line: overrides that Hydra would refuse are refused first, with a place and a way out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from modelforge.config import compose
from modelforge.errors import ForgeError

MULTIRUN = {"-m", "--multirun"}


def check_command_line(conf: str | Path, arguments: Sequence[str]) -> None:
    """Composes what the arguments ask for, and exits with 1 and all problems if that cannot be done.

    Args:
        conf: The folder of configs.
        arguments: As in `sys.argv[1:]`. Of a multirun the first value of each list is tried. With any other flag
            (`--help`, `--cfg`, `--config-dir`) Hydra is left alone.
    """
    flags = {argument for argument in arguments if argument.startswith("-")}
    if flags - MULTIRUN:
        return
    overrides = [argument for argument in arguments if argument not in MULTIRUN]
    try:
        compose(conf, _first_of_each(overrides) if flags else overrides)
    except ForgeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _first_of_each(overrides: list[str]) -> list[str]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException:
        return overrides
    chosen: list[str] = []
    for word, override in zip(overrides, parsed, strict=True):
        if not override.is_sweep_override():
            chosen.append(word)
        elif override.is_discrete_sweep() and not isinstance(override.value(), Glob):
            key, _, _ = word.partition("=")
            chosen.append(f"{key}={next(iter(override.sweep_string_iterator()))}")
    return chosen

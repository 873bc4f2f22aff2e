"""load: a folder of Hydra configs and overrides → `ModelSpec`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelforge.config.compose import compose
from modelforge.language import ModelSpec, parse


def load(conf: str | Path | None = None, overrides: Sequence[str] = ()) -> ModelSpec:
    """Composes and checks a config.

    Args:
        conf: The folder; default `./conf`, or else the one that modelforge ships.
        overrides: Hydra overrides, as on the command line: `["model=lstm", "init.gain=0.5"]`.

    Raises:
        ForgeError: all that is wrong with it, with file and line.
        TypeError: `conf` is not a path, or `overrides` not a list of strings.

    Example:
        >>> load(overrides=["model=lstm", "init=orthogonal"]).layers["rnn"].type
        'LSTM'
    """
    return parse(compose(conf, overrides))

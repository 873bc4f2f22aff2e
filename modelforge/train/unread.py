"""unread: a config and the overrides it was composed with → those that this kind of run does not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelforge.config import Config
from modelforge.config.sweeps import unused_params
from modelforge.core.errors import Place, Problem


def unread(config: Config, overrides: Sequence[str], *, multirun: bool) -> Iterator[Problem]:
    """The settings that have no effect on a single run, or on a multirun, as warnings.

    Args:
        config: The composed config.
        overrides: Those of the command line.
        multirun: Whether it is one.
    """
    kind = "multirun" if multirun else "single run"
    others = ("hydra.run.",) if multirun else ("hydra.sweep.", "hydra.sweeper.", "hydra.launcher.")
    for text in overrides:
        key = text.lstrip("+~").partition("=")[0]
        if f"{key}.".replace("/", ".").startswith(others):
            message = f"`{key}` has no effect on a {kind}"
            hint = "`hydra.sweep.dir` is the folder of a multirun" if multirun else "add `-m` for a multirun"
            yield Problem("MW220", key, message, hint, Place(override=text), severity="warning")
    if not multirun:
        yield from unused_params(config, overrides)

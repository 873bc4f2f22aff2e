"""set_aside: what an earlier run left in a run folder → a folder beside what the next run writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from modelforge.core.errors import ForgeError
from modelforge.core.files import unwritable

ASIDE = "set-aside"
"""The folder in that of a run for what earlier runs left there."""


def set_aside(paths: Iterable[Path], run: Path) -> Path:
    """Moves files and folders of a run folder to a new place in it, which it gives.

    Raises:
        ForgeError: the folder cannot be written.
    """
    place = run / ASIDE / str(1 + sum(1 for _ in run.glob(f"{ASIDE}/*")))
    try:
        place.mkdir(parents=True)
        for path in paths:
            path.rename(place / path.name)
    except OSError as error:
        raise ForgeError([unwritable(str(place), (error.strerror or str(error)).lower())]) from error
    return place

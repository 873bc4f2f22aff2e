"""siblings: the other jobs of a sweep → a warning where they were trained on other data than this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.runs import environment
from modelforge.runs.jobs import SWEEP_FILE, FrozenJob, read_sweep_file

MAX_READ = 100
"""Jobs that are looked at, the nearest by number: each job of a large sweep would read the notes of all others."""
MAX_NAMED = 4


def siblings(folder: Path, job: FrozenJob) -> Sequence[Path]:
    """The run folders of the nearest other jobs of a sweep, in the order of their numbers; none of a search.

    Args:
        folder: The sweep's.
        job: This one.
    """
    if not (folder / SWEEP_FILE).is_file():
        return ()
    others = (one for one in read_sweep_file(folder).jobs if one.number != job.number)
    near = sorted(sorted(others, key=lambda one: abs(one.number - job.number))[:MAX_READ], key=lambda one: one.number)
    return tuple(folder / one.folder for one in near)


def on_other_data(folders: Sequence[Path], data: str, settings: str) -> Iterator[Problem]:
    """The warning about jobs with the same settings of the data that were trained on other data.

    Args:
        folders: Of the other jobs' runs.
        data: The digest of the examples.
        settings: The hash of the settings that say which examples these are.
    """
    notes = {folder: environment.read(folder) for folder in folders}
    others = [
        folder
        for folder, found in notes.items()
        if found.get("data_settings") == settings and found.get("data") not in (None, data)
    ]
    if others:
        named = listed([folder.name for folder in others], MAX_NAMED, quote="`")
        message = f"{plural(len(others), 'other job')} of this sweep had other data, by the same settings: {named}"
        hint = "restore the data, and run what had other data again: results of different data cannot be compared"
        yield Problem("MW213", "data", message, hint, part="key")

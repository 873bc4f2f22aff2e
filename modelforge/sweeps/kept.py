"""check_kept: jobs whose results stay → whether the data and the own code that they come from are still the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.own_code import code_digest
from modelforge.core.quoting import listed
from modelforge.report.stream import complain
from modelforge.runs import environment
from modelforge.runs.jobs import JobEntry, read_job
from modelforge.runs.status import DONE, read_state
from modelforge.train.data.digest import digest
from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from modelforge.train.settings import parse_settings

NUM_SHOWN = 8


def with_result(folder: Path, jobs: Iterable[JobEntry]) -> list[JobEntry]:
    """The jobs that are over, and gave a result."""
    return [job for job in jobs if read_state(folder / job.folder) in DONE]


def check_kept(folder: Path, done: Sequence[JobEntry], say: Callable[[str], object]) -> None:
    """Checks that the results of a sweep's jobs may stand beside those to come; the data is read for that.

    Own code that is another one is a warning: what failed may run again because it was corrected.

    Args:
        folder: The sweep's.
        done: Its jobs with a result.
        say: Takes a line about what was compared.

    Raises:
        ForgeError: the data is no longer what jobs with a result were trained on, or cannot be read.
    """
    origins = {job.number: environment.read(folder / job.folder) for job in done}
    kinds: dict[tuple[str | None, str], list[JobEntry]] = {}
    for job in done:
        found = origins[job.number]
        if isinstance(before := found.get("data"), str):
            kinds.setdefault((found.get("data_settings"), before), []).append(job)
    now: dict[str | None, tuple[Source, str]] = {}
    compared: list[JobEntry] = []
    for (settings, before), alike in kinds.items():
        if settings is None or settings not in now:
            source = _source(read_job(folder, alike[0].number).config)
            now[settings] = source, digest(read(source))
        source, found = now[settings]
        if found == before:
            compared += alike
        elif digest(read(source)) == found:  # else it is never twice the same, and nothing can be said
            raise ForgeError([_other_data(alike, source)])
    if compared:
        say(f"the data is what {_named(sorted(compared, key=lambda job: job.number))} trained on")
    if (warning := _other_code(done, origins)) is not None:
        complain(warning)


def _source(config: Mapping[str, Any]) -> Source:
    settings, problems = parse_settings({**config, "ckpt": None})
    if settings is None:
        raise ForgeError(problems)
    return settings.data


def _other_data(jobs: Sequence[JobEntry], source: Source) -> Problem:
    message = f"the data is no longer what {_named(jobs)} trained on: its digest differs"
    hint = "restore it, or start again in another folder: results from different data cannot be compared"
    return Problem("MF077", f"data.{source.reads or 'type'}", message, hint)


def _other_code(jobs: Sequence[JobEntry], origins: Mapping[int, Mapping[str, Any]]) -> Problem | None:
    """A warning where jobs with a result ran other versions of the project's own modules."""
    now = code_digest()
    changed = [job for job in jobs if "code" in origins[job.number] and origins[job.number]["code"] != now]
    if not changed:
        return None
    message = f"the project's own modules are no longer what {_named(changed)} ran with: their digest differs"
    hint = "these results are kept; if the change affects them, start again in another folder"
    return Problem("MW213", "", message, hint, severity="warning")


def _named(jobs: Sequence[JobEntry]) -> str:
    """Jobs with a result, by their numbers.

    Example:
        >>> _named([JobEntry(3, "", 0, (), "")])
        'job 3'
    """
    numbers = listed([str(job.number) for job in jobs], NUM_SHOWN)
    return f"job {numbers}" if len(jobs) == 1 else f"jobs {numbers}"

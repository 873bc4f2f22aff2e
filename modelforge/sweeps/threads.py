"""How many threads the jobs of a sweep take, which decides how many run at once and what a cluster gives each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import JobEntry, read_job


def most_threads(configs: Iterable[Mapping[str, Any]]) -> int | None:
    """The threads of the job that has the most; None where a job takes one a core.

    >>> most_threads([{"num_threads": 1}, {"num_threads": 4}]), most_threads([{"num_threads": 4}, {}])
    (4, None)
    """
    numbers = [config.get("num_threads") for config in configs]
    known = [number for number in numbers if number is not None]
    return max(known, default=1) if len(known) == len(numbers) else None


def most_written(values: Iterable[object]) -> int | None:
    """The same of values of `num_threads` as an override writes them.

    >>> most_written(["1", "4"]), most_written(["4", "null"])
    (4, None)
    """
    words = [*map(str, values)]
    return max(map(int, words)) if all(word.isdecimal() for word in words) else None


def configs_of(folder: Path, jobs: Iterable[JobEntry]) -> Iterator[Mapping[str, Any]]:
    """The configs of frozen jobs, without those that are damaged: each fails when its turn comes."""
    for job in jobs:
        with suppress(ForgeError):
            yield read_job(folder, job.number).config

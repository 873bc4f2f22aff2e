"""A sweep on disk: `SweepFile`, its sweep.json, and `FrozenJob`, one jobs/0007.yaml. Reads and writes files only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from modelforge._version import __version__
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import SWEEP, unwritable, write_atomically
from modelforge.core.limits import MAX_CONFIG_BYTES, MAX_SWEEP_FILE_BYTES
from modelforge.core.quoting import shortened
from modelforge.core.regular_files import read_text
from modelforge.runs.liveness import machine

SWEEP_FILE = "sweep.json"
"""The list of all jobs, in the sweep's folder; written once, after all job files."""
JOBS_FOLDER = "jobs"
FORMAT_VERSION = "1.0"
"""A reader takes any version with the same number before the dot."""
FREE = ("sweep", "tags")
"""Sections of a config that do not change what a job computes."""
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class JobEntry:
    """One job as sweep.json lists it."""

    number: int
    """From 0; jobs that were left out have none."""
    hash: str
    """Of the config; equal for equal jobs."""
    seed: int
    overrides: tuple[str, ...]
    """What was set for this job, as Hydra writes it."""
    folder: str
    """Of its run, relative to the sweep's folder."""

    @property
    def file(self) -> str:
        """The name of its frozen job, relative to the sweep's folder."""
        return f"{JOBS_FOLDER}/{self.number:04d}.yaml"


@dataclass(frozen=True)
class FrozenJob(JobEntry):
    """One job with its config, as it was when the sweep began: later edits of config files do not reach it."""

    config: Mapping[str, Any]
    """The whole composed config, every interpolation resolved."""

    @property
    def entry(self) -> JobEntry:
        """The same without the config."""
        return JobEntry(self.number, self.hash, self.seed, self.overrides, self.folder)


@dataclass(frozen=True)
class LeftOut:
    """Combinations of values that are not jobs, since a value is invalid."""

    overrides: tuple[str, ...]
    problems: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SweepFile:
    """What sweep.json holds: all jobs of a sweep, and how they were chosen."""

    modelforge: str
    """The version that wrote it."""
    started: str
    """The time in UTC, as ISO 8601 writes it."""
    jobs: tuple[JobEntry, ...]
    overrides: tuple[str, ...] = ()
    """The command line."""
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    """Key → values, as texts, of the keys that have several."""
    zip: tuple[tuple[str, ...], ...] = ()
    where: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    torch: str = ""
    machine: str = ""
    """The system that the sweep was started on; see `liveness.machine`."""
    format_version: str = FORMAT_VERSION

    def job(self, number: int) -> JobEntry | None:
        """The job of a number; None where there is none."""
        found = self.jobs[number] if 0 <= number < len(self.jobs) else None
        if found is not None and found.number == number:
            return found
        return next((job for job in self.jobs if job.number == number), None)


def hash_of(config: Mapping[str, Any]) -> str:
    """The identity of a job: equal for configs that compute the same, whatever their tags and the order of sections.

    Within a section the order counts: it is that of a model's layers.

    Example:
        >>> hash_of({"seed": 1, "tags": ["a"]}) == hash_of({"tags": [], "seed": 1})
        True
        >>> hash_of({"limit": 1}) == hash_of({"limit": 1.0})  # a number of batches, and a share of them
        False
        >>> hash_of({"layers": {"act": 1, "norm": 2}}) == hash_of({"layers": {"norm": 2, "act": 1}})
        False
    """
    texts = {key: _json(value) for key, value in config.items() if key not in FREE}
    return sha256("".join(f"{json.dumps(key)}: {texts[key]}\n" for key in sorted(texts)).encode()).hexdigest()


def new_sweep_file(overrides: Sequence[str], axes: Mapping[str, tuple[Any, ...]] | None = None) -> SweepFile:
    """A sweep without jobs that begins now, on this machine."""
    started = datetime.now(UTC).isoformat()
    return SweepFile(__version__, started, (), tuple(overrides), axes or {}, torch=version("torch"), machine=machine())


def make_jobs_folder(folder: Path) -> None:
    """Makes the folder for jobs in that of a sweep, unless it is there.

    Raises:
        ForgeError: it cannot be made.
    """
    try:
        (folder / JOBS_FOLDER).mkdir(exist_ok=True)
    except OSError as error:
        raise ForgeError([unwritable(str(folder), (error.strerror or str(error)).lower(), SWEEP)]) from error


def write_sweep_file(sweep: SweepFile, folder: Path) -> None:
    """Puts sweep.json into a folder, whole or not at all.

    Raises:
        ForgeError: it cannot be written.
    """
    data = {"format_version": sweep.format_version, **asdict(sweep)}
    write_atomically(folder / SWEEP_FILE, json.dumps(data, indent=1) + "\n", SWEEP)


def read_sweep_file(folder: Path) -> SweepFile:
    """The list of jobs of the sweep in a folder.

    Raises:
        ForgeError: there is none, it is damaged, or of another format.
    """
    path = folder / SWEEP_FILE
    try:
        data: Any = json.loads(read_text(path, MAX_SWEEP_FILE_BYTES))
    except FileNotFoundError:
        what = "holds no sweep" if folder.is_dir() else "is a file" if folder.exists() else "does not exist"
        hint = f"name the folder of a multirun, which has a `{SWEEP_FILE}`: runs/sweeps/..."
        if (folder / JOBS_FOLDER).is_dir():
            what = f"holds no whole sweep: it has `{JOBS_FOLDER}`, but no `{SWEEP_FILE}`, so that no job has begun"
            hint = f"start the sweep again with the same overrides; `hydra.sweep.dir={folder}` may stay"
        raise ForgeError([Problem("MF076", str(folder), f"`{folder}` {what}", hint)]) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, _reason(error), _START_AGAIN) from None
    _check_format(path, data)
    try:
        return _SWEEP.validate_python(data)
    except ValidationError as error:
        raise _damaged(path, _reason(error), _START_AGAIN) from None


def write_job(job: FrozenJob, folder: Path) -> None:
    """Puts a job into the sweep's folder; `folder` has a folder for jobs.

    sweep.json comes after all jobs, so that no reader meets a part of one.

    Raises:
        ForgeError: it cannot be written.
    """
    head = {"format_version": FORMAT_VERSION, **asdict(job.entry), "overrides": [*job.overrides]}
    sections = [_section(name, json.dumps(section, default=str)) for name, section in job.config.items()]
    path = folder / job.file
    try:
        path.write_text("".join([_yaml(head), "config:\n", *sections]), encoding="utf-8")
    except OSError as error:
        raise ForgeError([unwritable(str(path), (error.strerror or str(error)).lower(), SWEEP)]) from error


def read_job(folder: Path, number: int) -> FrozenJob:
    """A frozen job of the sweep in a folder.

    Raises:
        ForgeError: there is none of this number, its file is damaged, or of another format, or was edited.
    """
    path = folder / JOBS_FOLDER / f"{number:04d}.yaml"
    hint = "start a new sweep, or bring the file back from a copy: the other jobs are not affected"
    try:
        data: Any = yaml.load(read_text(path, MAX_CONFIG_BYTES), _LOADER)  # a safe loader
    except FileNotFoundError:
        raise _no_job(folder, number) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise _damaged(path, _reason(error), hint) from None
    _check_format(path, data)
    try:
        job = _JOB.validate_python(data)
    except ValidationError as error:
        raise _damaged(path, _reason(error), hint) from None
    if ".." in Path(job.folder).parts or Path(job.folder).is_absolute():
        raise _damaged(path, f"its run would be in `{shortened(job.folder)}`, outside of the sweep", hint)
    if job.number != number or job.hash != hash_of(job.config):
        message = f"`{path}` was changed after the sweep began: its config does not fit its hash"
        raise ForgeError([Problem("MF076", str(path), message, hint)])
    return job


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)


@lru_cache(maxsize=1_000)
def _section(name: str, text: str) -> str:
    """A section of a config, from its JSON; most jobs of a sweep have most sections in common."""
    return indent(_yaml({name: json.loads(text)}), "  ")


_START_AGAIN = "the runs in it are not affected: `modelforge sweep` shows them; start a new sweep for the other jobs"
_SWEEP = TypeAdapter(SweepFile)
_JOB = TypeAdapter(FrozenJob)


def _no_job(folder: Path, number: int) -> ForgeError:
    jobs = read_sweep_file(folder).jobs
    if any(job.number == number for job in jobs):
        path = folder / JOBS_FOLDER / f"{number:04d}.yaml"
        return _damaged(path, "the file is gone", "bring it back from a copy, or start a new sweep")
    hint = f"its jobs are numbered from {jobs[0].number} to {jobs[-1].number}" if jobs else ""
    return ForgeError([Problem("MF076", str(number), f"the sweep in `{folder}` has no job {number}", hint)])


def _check_format(path: Path, data: Any) -> None:
    version = data.get("format_version") if isinstance(data, dict) else None
    if not isinstance(version, str):
        raise _damaged(path, "it has no `format_version`", _START_AGAIN)
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        message = f"`{path}` has the format {shortened(version)}, and this version of modelforge reads {FORMAT_VERSION}"
        raise ForgeError([Problem("MF076", str(path), message, "use the version of modelforge that wrote it")])


def _damaged(path: Path, reason: str, hint: str) -> ForgeError:
    return ForgeError([Problem("MF076", str(path), f"`{path}` is damaged: {reason}", hint)])


def _reason(error: Exception) -> str:
    """Why a file cannot be read, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"`{'.'.join(map(str, first['loc']))}`: {first['msg'].lower()}"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return shortened(str(error).splitlines()[0] if str(error) else type(error).__name__)

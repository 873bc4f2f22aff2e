"""freeze: the jobs that a sweep has → its folder, with sweep.json and one file a job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelforge.config.compose import Config
from modelforge.config.folder_name import MAX_NAME, folder_name
from modelforge.config.origins import Origins
from modelforge.config.resolve import resolve
from modelforge.config.sweeps import Sweep
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.files import MARK, SWEEP
from modelforge.runs.jobs import (
    JOBS_FOLDER,
    SWEEP_FILE,
    FrozenJob,
    SweepFile,
    hash_of,
    make_jobs_folder,
    new_sweep_file,
    write_job,
    write_sweep_file,
)
from modelforge.runs.liveness import LOCK
from modelforge.sweeps.resume import way_on
from modelforge.sweeps.selection import Candidate, Selection
from modelforge.train.settings import SweepSettings

FROZEN = re.compile(rf"\d{{4,}}\.yaml|\.\d{{4,}}\.yaml{MARK}")
"""The names of frozen jobs, and of their temporary files."""
UNFINISHED = re.compile(rf"\.{re.escape(SWEEP_FILE)}{MARK}")
"""The name of a temporary file of sweep.json."""
SUBDIR = ("hydra", "sweep", "subdir")
STANDARD = "${mf.folder_name:${hydra:job.num},${hydra:job.override_dirname}}"
"""How conf/hydra/default.yaml names the folder of a job."""


@dataclass
class Shared:
    """Keeps one of equal sections: of ten thousand jobs, most sections are equal."""

    sections: dict[str, Any] = field(default_factory=dict[str, Any])

    def kept(self, config: Config) -> Config:
        """What freezing needs of a config, in little memory."""
        values = {name: self._section(name, section) for name, section in config.values.items()}
        hydra = {name: self._section(f"hydra.{name}", config.hydra[name]) for name in ("job", "sweep")}
        return Config(values, Origins.empty(), config.overrides, config.choices, hydra, config.moment)

    def _section(self, name: str, section: Any) -> Any:
        return self.sections.setdefault(f"{name}: {json.dumps(section, default=str)}", section)


def frozen_jobs(candidates: Sequence[Candidate]) -> tuple[list[FrozenJob], list[tuple[Candidate, FrozenJob]]]:
    """The jobs, numbered, and the combinations that are equal to one of them.

    Raises:
        ForgeError: a job's folder would have too long a name, or that of another job.
    """
    jobs: list[FrozenJob] = []
    equal: list[tuple[Candidate, FrozenJob]] = []
    by_hash: dict[str, FrozenJob] = {}
    for candidate in candidates:
        job = _job(candidate, len(jobs))
        if job.hash in by_hash:
            equal.append((candidate, by_hash[job.hash]))
            continue
        by_hash[job.hash] = job
        jobs.append(job)
    if problems := [*_wrong_folders(jobs)]:
        raise ForgeError(problems)
    return jobs, equal


def frozen_job(candidate: Candidate, number: int) -> FrozenJob:
    """One job with a number.

    Raises:
        ForgeError: its folder would have too long a name.
    """
    job = _job(candidate, number)
    if problems := [*_wrong_folders([job])]:
        raise ForgeError(problems)
    return job


def _job(candidate: Candidate, number: int) -> FrozenJob:
    values = _with_number(candidate.config, number)
    seed = values.get("seed", 0)
    seed = seed if isinstance(seed, int) else 0
    folder = _folder(candidate.config, number)
    return FrozenJob(number, hash_of(values), seed, candidate.overrides, folder, values)


def freeze(
    folder: Path,
    jobs: Sequence[FrozenJob],
    sweep: Sweep,
    selection: Selection,
    settings: SweepSettings,
    overrides: Sequence[str],
) -> SweepFile:
    """Writes all jobs, and then the list of them, without which there is no sweep.

    Raises:
        ForgeError: something cannot be written.
    """
    where = (settings.where,) if isinstance(settings.where, str) else settings.where or ()
    axes = {axis.name: tuple(value_of(word) for word in axis.words) for axis in sweep.axes if axis.is_list}
    found = replace(
        new_sweep_file(overrides, axes),
        jobs=tuple(job.entry for job in jobs),
        zip=settings.zip or (),
        where=where,
        left_out=selection.left_out,
    )
    make_jobs_folder(folder)
    for job in jobs:
        write_job(job, folder)
    write_sweep_file(found, folder)
    return found


def remove_unfinished_freeze(folder: Path) -> None:
    """Removes frozen jobs without sweep.json: what froze them was killed before a job began.

    A folder that holds anything else is left as it is.

    Args:
        folder: Of a sweep; no other process writes there.
    """
    jobs = folder / JOBS_FOLDER
    frozen = [*jobs.iterdir()] if jobs.is_dir() and not jobs.is_symlink() else []
    beside = [path for path in folder.iterdir() if path.name not in (LOCK, JOBS_FOLDER)]
    if not all(FROZEN.fullmatch(path.name) for path in frozen):
        return
    if not all(UNFINISHED.fullmatch(path.name) for path in beside):
        return
    with suppress(OSError):  # `check_empty` names what stays
        for path in (*frozen, *beside):
            path.unlink()
        jobs.rmdir()


def check_empty(folder: Path) -> None:
    """Refuses a folder that holds anything: a sweep has one of its own.

    Raises:
        ForgeError: it holds runs, or other files.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if not names:
        return
    message = f"`{folder}` already holds `{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    hint = "choose another folder for this sweep, or remove this one"
    if (folder / "sweep.json").is_file():
        message = f"`{folder}` already holds a sweep"
        hint = f"to go on with it: `{way_on(folder)}`; or choose another folder"
    raise ForgeError([Problem("MF051", SWEEP, message, hint)])


def busy(folder: Path) -> Problem:
    """What is wrong where another process has the folder of a sweep."""
    message = f"another process runs the sweep in `{folder}`"
    hint = "wait for it; or share its work: `modelforge sweep work DIR --any`"
    return Problem("MF078", "hydra.sweep.dir", message, hint)


def value_of(word: str) -> str:
    """The value of an override, as it is written."""
    return word.partition("=")[2]


def _with_number(config: Config, number: int) -> Mapping[str, Any]:
    """The values, with what a config asks Hydra about its job."""
    if "${hydra" not in json.dumps(config.values, default=str):
        return config.values
    return resolve(config.values, _numbered(config.hydra, number), lambda _: True)


def _numbered(hydra: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {**hydra, "job": {**hydra["job"], "num": number, "id": str(number)}}


def _folder(config: Config, number: int) -> str:
    """The name of a job's folder in that of the sweep."""
    subdir = str(config.hydra["sweep"]["subdir"])
    if subdir == STANDARD:
        return folder_name(number, config.hydra["job"]["override_dirname"])
    if "${" not in subdir:
        return subdir
    hydra = _numbered(config.hydra, number)
    return str(resolve({**config.values, "hydra": hydra}, hydra, lambda _: True, moment=config.moment, at=SUBDIR))


def _wrong_folders(jobs: Sequence[FrozenJob]) -> Iterator[Problem]:
    key, standard = "hydra.sweep.subdir", f"`hydra.sweep.subdir='{STANDARD}'`"
    taken: dict[Path, FrozenJob] = {}
    for job in jobs:
        parts = Path(job.folder).parts
        if (longest := max((len(part.encode()) for part in parts), default=0)) > MAX_NAME:
            message = f"a job's folder would have a name of {longest} bytes, and {MAX_NAME} are possible"
            yield Problem("MF051", key, message, f"{standard} cuts it")
            return
        if not parts or ".." in parts or job.folder.startswith("/") or parts[0] in (JOBS_FOLDER, "."):
            message = f"`{job.folder}` cannot be a job's folder: it lies in the sweep's, beside `{JOBS_FOLDER}`"
            yield Problem("MF051", key, message, f"leave `{key}` out")
            return
        if (other := taken.setdefault(Path(job.folder), job)) is not job:
            message = f"the jobs `{' '.join(other.overrides)}` and `{' '.join(job.overrides)}` would have one folder"
            yield Problem("MF051", key, f"{message}, `{job.folder}`", f"{standard} gives each its own")
            return
    for path, job in taken.items():
        if (outer := next((taken[one] for one in path.parents if one in taken), None)) is not None:
            message = f"the folder of a job, `{job.folder}`, would lie in that of another, `{outer.folder}`"
            yield Problem("MF051", key, message, f"{standard} gives each its own")
            return


def equal_jobs(equal: Sequence[tuple[Candidate, FrozenJob]]) -> Iterator[Problem]:
    """One warning about the combinations that make equal configs, with the first of them."""
    if not equal:
        return
    candidate, job = equal[0]
    pairs = [(old, new) for old, new in zip(job.overrides, candidate.overrides, strict=True) if old != new]
    old, new = (" ".join(words) for words in zip(*pairs, strict=True))
    message = f"`{old}` and `{new}` make the same config: one job runs for both"
    problem = Problem("MW222", "", message, "leave one of them out", Place(override=new), severity="warning")
    yield problem if len(equal) == 1 else replace(problem, message=f"{message} ({len(equal):,} such combinations)")

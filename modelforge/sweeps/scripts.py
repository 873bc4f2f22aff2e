"""Scripts that run the frozen jobs of a sweep on a cluster, from the templates of this package. They submit nothing."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import quoted
from modelforge.runs.jobs import read_job, read_sweep_file

Kind = Literal["slurm", "kubernetes", "ray"]
TEMPLATES = Path(__file__).parent / "templates"
FILES = {"slurm": "slurm.sh", "kubernetes": "kubernetes.yaml", "ray": "ray.sh"}
MAX_ARRAY = 1_000
"""Indices of an array of Slurm, as most clusters have it (`MaxArraySize`); jobs beyond go into arrays of their own."""
MAX_PARALLEL = 100
"""Jobs at once, unless the user says otherwise: few schedulers let one user run more."""


def script(kind: Kind, folder: str | Path, *, parallel: int | None = None) -> str:
    """The script that runs the jobs of a sweep, filled in for this folder, project and environment.

    Args:
        kind: What runs the jobs.
        folder: Of the sweep.
        parallel: How many jobs run at once at most; None for a hundred.

    Raises:
        ForgeError: the folder holds no sweep, or its name cannot be written into a script.
    """
    folder = Path(folder)
    jobs = read_sweep_file(folder).jobs
    if not jobs:
        raise ForgeError([Problem("MF076", str(folder), f"the sweep in `{folder}` has no jobs")])
    where, project = str(folder.resolve()), str(Path.cwd())
    for path in (where, project):
        if not path.isprintable():
            raise ForgeError([Problem("MF051", str(folder), f"{quoted(path)} cannot be written into a script")])
    name = re.sub(r"[^a-z0-9-]+", "-", f"sweep-{folder.resolve().name}".lower()).strip("-")[:40].rstrip("-")
    most = min(parallel or MAX_PARALLEL, len(jobs))
    submit, array = _submit([job.number for job in jobs], most)
    shared = {
        "script": FILES[kind],
        "name": name,
        "parallel": most,
        "cpus": _threads(folder, jobs[0].number),
        "completions": 1 + max(job.number for job in jobs),
        "submit": submit,
        "array": array,
    }
    return (TEMPLATES / FILES[kind]).read_text(encoding="utf-8").format(**shared, **_paths(kind, where, project))


def _paths(kind: Kind, folder: str, project: str) -> dict[str, str]:
    """The paths and the command, quoted as the script needs them."""
    if kind == "kubernetes":
        return {"folder": json.dumps(folder), "project": json.dumps(project)}
    command = f"cd {quote(project)} && exec {quote(_modelforge())} sweep work {quote(folder)} --any"
    return {
        "folder": quote(folder),
        "project": quote(project),
        "modelforge": quote(_modelforge()),
        "command": quote(command),
        "log": quote(f"{folder.replace('%', '%%')}/slurm-%a.log"),
    }


def _modelforge() -> str:
    """The command of this environment, as a script of another machine finds it."""
    beside = Path(sys.executable).with_name("modelforge")
    return str(beside) if beside.exists() else shutil.which("modelforge") or "modelforge"


def _threads(folder: Path, number: int) -> int:
    """The threads of a job; one where it takes as many as there are."""
    config: Any = read_job(folder, number).config
    return config.get("num_threads") or 1


def _submit(numbers: Sequence[int], parallel: int) -> tuple[str, str]:
    """The commands that submit all jobs, and the array of the first of them: one has at most `MAX_ARRAY` indices.

    Example:
        >>> print(_submit(range(1_500), 100)[0])
        #   sbatch --array=0-999%100 slurm.sh 0
        #   sbatch --array=0-499%100 slurm.sh 1000
    """
    parts: dict[int, list[int]] = {}
    for number in sorted(numbers):
        first = number - number % MAX_ARRAY
        parts.setdefault(first, []).append(number - first)
    arrays = {first: f"{_array(indices)}%{min(parallel, len(indices))}" for first, indices in parts.items()}
    lines = [f"#   sbatch --array={array} {FILES['slurm']} {first}" for first, array in arrays.items()]
    alone = [*arrays] == [0]
    return f"#   sbatch {FILES['slurm']}" if alone else "\n".join(lines), next(iter(arrays.values()))


def _array(numbers: Sequence[int]) -> str:
    """Numbers as Slurm writes them.

    Example:
        >>> _array([0, 1, 2, 5, 7, 8])
        '0-2,5,7-8'
    """
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    return ",".join("-".join(map(str, span)) for span in spans)

"""Scripts that run the frozen jobs of a sweep on a cluster, from the templates of this package. They submit nothing."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Literal

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import quoted
from modelforge.core.words import plural
from modelforge.runs.jobs import read_sweep_file
from modelforge.sweeps.threads import configs_of, most_threads

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
    shared = {
        "script": FILES[kind],
        "name": name,
        "parallel": most,
        "cpus": most_threads(configs_of(folder, jobs)) or 1,
        "completions": 1 + max(job.number for job in jobs),
    }
    if kind == "slurm":
        shared |= _submission([job.number for job in jobs], most)
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
        "log": quote(f"{folder.replace('%', '%%')}/slurm-%A-%a.log"),
    }


def _modelforge() -> str:
    """The command of this environment, as a script of another machine finds it."""
    beside = Path(sys.executable).with_name("modelforge")
    return str(beside) if beside.exists() else shutil.which("modelforge") or "modelforge"


def _submission(numbers: Sequence[int], parallel: int) -> dict[str, str]:
    """What the script of Slurm says of its arrays: one has at most `MAX_ARRAY` indices, which begin at 0.

    Several arrays run one after the other, so that `parallel` bounds all of them.

    Example:
        >>> print(_submission(range(1_500), 100)["submit"])
        #   part=$(sbatch --parsable --array=0-999%100 slurm.sh 0)
        #   part=$(sbatch --parsable --array=0-499%100 --dependency=afterany:$part slurm.sh 1000)
        # These commands submit all jobs; a part begins when the part before is over. `sbatch slurm.sh` alone fails.
    """
    parts: dict[int, list[int]] = {}
    for number in sorted(numbers):
        first = number - number % MAX_ARRAY
        parts.setdefault(first, []).append(number - first)
    arrays = {first: f"--array={_array(indices)}%{min(parallel, len(indices))}" for first, indices in parts.items()}
    file = FILES["slurm"]
    if [*arrays] == [0]:
        directive = f"#SBATCH {arrays[0]}"
        return {"arrays": "one array", "submit": f"#   sbatch {file}", "array": directive, "first": "0"}
    after = ["", *[" --dependency=afterany:$part"] * (len(arrays) - 1)]
    lines = [
        f"#   part=$(sbatch --parsable {array}{wait} {file} {first})"
        for (first, array), wait in zip(arrays.items(), after, strict=True)
    ]
    how = f"# These commands submit all jobs; a part begins when the part before is over. `sbatch {file}` alone fails."
    return {
        "arrays": plural(len(arrays), "array"),
        "submit": "\n".join([*lines, how]),
        "array": "# --array is in the commands above.",
        "first": "${1:?submit this script with the commands at its head}",
    }


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

"""Scripts for clusters: filled in, valid for those who check such files, and whole where names are awkward."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import FrozenJob, SweepFile, hash_of, write_job, write_sweep_file
from modelforge.sweeps import scripts
from modelforge.sweeps.scripts import Kind, script

NAMES = ("sweep", 'My sweep\'s 50% $(touch x) "{0}"')


@pytest.fixture
def sweep(tmp_path: Path):
    """Makes the folder of a sweep whose jobs have these numbers."""

    def make(numbers, name: str = "sweep", num_threads: Callable[[int], int | None] = lambda number: 2) -> Path:
        folder = tmp_path / name
        (folder / "jobs").mkdir(parents=True)
        jobs = []
        for number in numbers:
            config = {"seed": number, "num_threads": num_threads(number)}
            jobs.append(FrozenJob(number, hash_of(config), number, (f"seed={number}",), f"{number},seed", config))
            write_job(jobs[-1], folder)
        write_sweep_file(SweepFile("0", "2026-11-27T00:00:00+00:00", tuple(job.entry for job in jobs)), folder)
        return folder

    return make


def commands(text: str) -> list[list[str]]:
    """The words of each command of a shell script, as a shell splits them."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("name", NAMES)
def test_slurm_runs_each_job_as_one_task_of_an_array(sweep, name: str):
    folder = sweep([0, 1, 2, 5], name)
    text = script("slurm", folder, parallel=2)
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH --")]
    directives = {name: value for name, _, value in (line.partition("=") for line in lines)}
    assert directives["array"] == "0-2,5%2"
    assert directives["cpus-per-task"] == "2"
    assert shlex.split(directives["output"]) == [f"{folder}/slurm-%A-%a.log".replace("50%", "50%%")]
    *_, (srun, cores, command, *words) = commands(text)
    assert (srun, cores, Path(command).name) == ("srun", "--cpus-per-task=${SLURM_CPUS_PER_TASK:-1}", "modelforge")
    assert words == ["sweep", "work", str(folder), "--index", "$((0 + SLURM_ARRAY_TASK_ID))"]
    assert ["cd", str(Path.cwd())] in commands(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_of_kubernetes_has_an_index_for_each_job(sweep, name: str):
    folder = sweep(range(3), name)
    job = yaml.safe_load(script("kubernetes", folder))
    spec = job["spec"]
    assert (job["kind"], spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Job", "Indexed", 3, 3)
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"] == ["modelforge", "sweep", "work", str(folder), "--index", "$(JOB_COMPLETION_INDEX)"]
    assert container["volumeMounts"] == [{"name": "sweep", "mountPath": str(folder)}]
    rules = spec["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"]["containerName"] == container["name"]
    assert len(job["metadata"]["generateName"]) < 54
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="its schemas are too large for every test")
    kubernetes_validate.validate(job, "1.33", strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_ray_gets_workers_that_take_one_job_after_the_other(sweep, name: str):
    folder = sweep(range(3), name, num_threads=lambda number: None)
    text = script("ray", folder, parallel=2)
    submit = next(words for words in commands(text) if words[:3] == ["ray", "job", "submit"])
    assert submit[submit.index("--entrypoint-num-cpus") + 1] == "1"
    inner = shlex.split(submit[-1])
    assert inner[:2] == ["cd", str(Path.cwd())]
    assert inner[-4:] == ["sweep", "work", str(folder), "--any"]
    assert "$(seq 2)" in text


@pytest.mark.parametrize("kind", ["slurm", "ray"])
@pytest.mark.parametrize("name", NAMES)
def test_a_shell_and_its_checker_take_the_script(sweep, tmp_path: Path, kind, name: str):
    file = tmp_path / "script.sh"
    file.write_text(script(kind, sweep(range(12), name)))
    assert subprocess.run(["bash", "-n", str(file)], check=False).returncode == 0
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(["shellcheck", "-f", "json", "-e", "SC2016", str(file)], capture_output=True, check=False)
    assert json.loads(found.stdout) == []


def test_what_is_no_sweep_gets_no_script(sweep, tmp_path: Path):
    with pytest.raises(ForgeError, match="MF076"):
        script("slurm", tmp_path / "none")
    with pytest.raises(ForgeError, match="has no jobs"):
        script("slurm", sweep([], "empty"))
    with pytest.raises(ForgeError, match="cannot be written into a script"):
        script("slurm", sweep([0], "two\nlines"))


def test_more_jobs_than_an_array_has_are_submitted_in_parts(sweep, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scripts, "MAX_ARRAY", 3)
    text = script("slurm", sweep([0, 1, 2, 3, 5, 6]), parallel=2)
    lines = [line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   ")]
    sbatch = 'sbatch() { echo "$@" >&2; echo 7; }; set -u'
    run = subprocess.run(["bash", "-c", "\n".join([sbatch, *lines])], capture_output=True, text=True, check=True)
    assert run.stderr.splitlines() == [
        "--parsable --array=0-2%2 slurm.sh 0",
        "--parsable --array=0,2%2 --dependency=afterany:7 slurm.sh 3",
        "--parsable --array=0%1 --dependency=afterany:7 slurm.sh 6",
    ], "one part after the other: `--parallel` is of all of them"
    assert "#SBATCH --array" not in text, "of one part only"
    index = text.rpartition("--index ")[2]
    shell = ["bash", "-c", f"SLURM_ARRAY_TASK_ID=2; echo {index}", "slurm.sh"]
    assert subprocess.run([*shell, "3"], capture_output=True, text=True, check=True).stdout == "5\n"
    alone = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert alone.returncode != 0
    assert "submit this script with the commands at its head" in alone.stderr


@pytest.mark.parametrize("kind", ["slurm", "kubernetes", "ray"])
def test_a_job_gets_the_cores_of_the_one_that_takes_the_most(sweep, kind: Kind):
    text = script(kind, sweep(range(3), num_threads=lambda number: 5 if number == 2 else 1))
    assert re.search("(cpus-per-task=|cpu: |entrypoint-num-cpus )5", text)

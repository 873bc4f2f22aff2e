"""submitit: jobs that are lost do not stop the others, and a job's process ends with the status of the job."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import new_sweep_file, write_sweep_file
from modelforge.sweeps.launchers_submitit import Local, Slurm, Waiting, waiting
from tests.sweeps.projects import SMALL, WELL, metrics, multirun, project, statuses


def again(folder: Path, environment: dict[str, str]) -> int:
    """The status with which submitit's worker ends, where it runs a job once more."""
    (pickle,) = folder.glob("*_submitted.pkl")
    job = pickle.name.partition("_")[0]
    variables = {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_JOB_ID": job, "SUBMITIT_LOCAL_GLOBALID": "0",
                 "SUBMITIT_LOCAL_LOCALID": "0", "SUBMITIT_LOCAL_NODEID": "0", "SUBMITIT_LOCAL_NTASKS": "1"}  # fmt: skip
    command = [sys.executable, "-m", "submitit.core._submit", str(folder)]
    done = subprocess.run(command, env=environment | variables, cwd=folder.parents[2], capture_output=True, check=False)
    return done.returncode


@pytest.mark.slow
def test_a_local_sweep_ends_and_each_process_says_how(tmp_path: Path):
    place = project(tmp_path / "project")
    engine = "hydra/launcher=submitit_local"
    words = (*SMALL, engine, "callbacks=dies", "callbacks.dies.how=well,killed,failed", "hydra.sweep.dir=sweep")
    code, out, err = multirun(place, *words)
    assert code == 1, err
    assert "1 finished, 1 failed, 1 killed" in out
    assert "Traceback" not in err
    root = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": root}
    ends = {}
    for log in sorted((place / "sweep" / ".submitit").glob("*/*_log.out")):
        (number,) = re.findall(r"^\[(\d)\]", log.read_text(), re.MULTILINE)
        ends[int(number)] = again(log.parent, environment)
    assert ends == {0: 0, 1: -9, 2: 1}
    code, out, err = multirun(place, "sweep.resume=sweep", engine, **{WELL: "1"})
    assert code == 0, err
    found = metrics(place / "sweep")
    assert all(values == found[0] for values in found.values())
    assert len(found) == 3
    assert {status["state"] for status in statuses(place / "sweep").values()} == {"finished"}


def launcher_of(kind: str, folder: Path) -> Waiting:
    from hydra_plugins.hydra_submitit_launcher import config, submitit_launcher

    settings = OmegaConf.to_container(OmegaConf.structured(getattr(config, f"{kind}QueueConf")))
    settings |= {"submitit_folder": str(folder / "%j"), "name": "sweep", "cpus_per_task": 2}
    del settings["_target_"]
    launcher = getattr(submitit_launcher, f"{kind}Launcher")(**settings)
    launcher.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}})
    return waiting(launcher)


def slurm_launcher(folder: Path) -> Slurm:
    launcher = launcher_of("Slurm", folder)
    assert isinstance(launcher, Slurm)
    launcher.params["array_parallelism"] = 4
    return launcher


def a_command(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, text: str = "") -> None:
    """Puts a command where a shell looks first."""
    (folder / name).touch(0o755)
    (folder / name).write_text(text)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_slurm_gets_one_array_with_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from submitit.slurm import slurm

    a_command(tmp_path, "srun", monkeypatch)
    executor = slurm_launcher(tmp_path)._executor()
    text = slurm._make_sbatch_string(
        command="work", folder=tmp_path / "%j", map_count=10, **executor._executor.parameters
    )
    assert "#SBATCH --array=0-9%4" in text
    assert "#SBATCH --cpus-per-task=2" in text
    assert re.search("^srun .*--cpus-per-task=2 .*work$", text, re.MULTILINE), "sbatch's number is not that of srun"
    assert "#SBATCH --job-name=sweep" in text


def test_what_slurm_does_not_take_is_said_with_the_way_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "a sweep"
    launcher = slurm_launcher(folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ForgeError, match=r"MF077.* cannot be submitted: Could not detect \"srun\"") as found:
        launcher.launch([["seed=1", "sweep.job=0"]], 0)
    hint = found.value.problems[0].hint
    assert shlex.split(re.findall("`(.*)`", hint)[0]) == ["python", "train.py", f"sweep.resume='{folder}'"]
    write_sweep_file(new_sweep_file(["init.gain=interval(1,2)"]), folder)
    with pytest.raises(ForgeError) as found:
        launcher.launch([["seed=1", "sweep.job=0"]], 0)
    assert "hydra/sweeper=optuna`" in found.value.problems[0].hint, "a search goes on as a search"
    monkeypatch.undo()
    a_command(tmp_path, "srun", monkeypatch)
    a_command(tmp_path, "sbatch", monkeypatch, "#!/bin/sh\necho 'sbatch: error: invalid partition: cpu' >&2\nexit 1\n")
    with pytest.raises(ForgeError, match=r"MF077.* cannot be submitted: .*invalid partition: cpu"):
        launcher.launch([["seed=1", "sweep.job=0"]], 0)


class Broken:
    """A job, or what runs it, of which nothing can be asked."""

    def submit(self, *arguments: object) -> Broken:
        return self

    def done(self, *arguments: object) -> bool:
        raise OSError("a stale file handle")


def test_an_error_while_jobs_are_waited_for_is_not_one_of_their_submission(tmp_path: Path, monkeypatch):
    launcher = launcher_of("Local", tmp_path)
    assert isinstance(launcher, Local)
    monkeypatch.setattr(launcher, "_executor", Broken)
    with pytest.raises(OSError, match="a stale file handle"):
        launcher.launch([["seed=1", "sweep.job=0"]], 0)
    monkeypatch.setattr(Broken, "submit", Broken.done)
    with pytest.raises(ForgeError, match=r"MF077.* cannot be submitted: a stale file handle"):
        launcher.launch([["seed=1", "sweep.job=0"]], 0)

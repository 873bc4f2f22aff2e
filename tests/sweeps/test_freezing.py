"""Composed configs → numbered jobs, each with a folder and a hash; and what a launcher gets of them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from modelforge.config.sweeps import read_sweep
from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import JOBS_FOLDER, FrozenJob, hash_of, read_job, read_sweep_file, write_job
from modelforge.runs.liveness import LOCK
from modelforge.sweeps.freezing import STANDARD, Shared, check_empty, equal_jobs, frozen_jobs, remove_unfinished_freeze
from modelforge.sweeps.frozen_loader import FrozenLoader, words_for
from modelforge.sweeps.selection import select
from modelforge.train.settings import SweepSettings

CONFIG = """
defaults: [_self_, init: a]
seed: 0
name: job ${hydra:job.num} of ${init.scheme}
model: {width: "${arg:width}"}
"""


def frozen(folder: Path, *overrides: str):
    conf = folder / "conf"
    for name, text in {"config.yaml": CONFIG, "init/a.yaml": "scheme: a\n", "init/b.yaml": "scheme: b\n"}.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text(text)
    sweep = read_sweep(conf, [f"hydra.sweep.subdir='{STANDARD}'", *overrides])
    found = select(sweep, SweepSettings(), conf, "config", lambda config: (config, ()), Shared().kept)
    return frozen_jobs(found.jobs)


def test_jobs_have_numbers_folders_and_hashes(tmp_path: Path):
    jobs, equal = frozen(tmp_path, "init=a,b", "seed=1,2")
    assert [(job.number, job.seed, job.folder) for job in jobs] == [
        (0, 1, "0,init=a,seed=1"), (1, 2, "1,init=a,seed=2"), (2, 1, "2,init=b,seed=1"), (3, 2, "3,init=b,seed=2"),
    ]  # fmt: skip
    assert [job.config["name"] for job in jobs] == [f"job {n} of {'aabb'[n]}" for n in range(4)]
    assert jobs[0].config["model"] == {"width": "${arg:width}"}
    assert all(job.hash == hash_of(job.config) for job in jobs)
    assert len({job.hash for job in jobs}) == 4
    assert equal == []


def test_models_that_differ_in_the_order_of_layers_are_two_jobs(tmp_path: Path):
    jobs, equal = frozen(tmp_path, "+model.layers={act:R,norm:N},{norm:N,act:R}")
    assert [list(job.config["model"]["layers"]) for job in jobs] == [["act", "norm"], ["norm", "act"]]
    assert equal == []
    for job in jobs:
        (tmp_path / JOBS_FOLDER).mkdir(exist_ok=True)
        write_job(job, tmp_path)
        assert read_job(tmp_path, job.number) == job


def test_a_folder_may_be_called_after_any_value_of_its_job(tmp_path: Path):
    jobs, _ = frozen(tmp_path, "seed=2,1", "hydra.sweep.subdir='${init.scheme}/${seed}-${hydra:job.num}'")
    assert [job.folder for job in jobs] == ["a/2-0", "a/1-1"]
    with pytest.raises(ForgeError, match=r"hydra\.sweep\.subdir"):
        frozen(tmp_path, "seed=2,1", "hydra.sweep.subdir='${nowhere}'")


def test_equal_combinations_are_one_job(tmp_path: Path):
    conf = ("name=x", "seed=1", "+tags=[a],[b],[c]")
    jobs, equal = frozen(tmp_path, *conf)
    assert len(jobs) == 1
    (problem,) = equal_jobs(equal)
    assert (problem.code, problem.severity) == ("MW222", "warning")
    assert "(2 such combinations)" in problem.message


@pytest.mark.parametrize(
    ("subdir", "message"),
    [
        ("${hydra:job.override_dirname}", "a name of 3"),
        ("all", "would have one folder, `all`"),
        ("../${hydra:job.num}", "cannot be a job's folder"),
        ("jobs/${hydra:job.num}", "cannot be a job's folder"),
    ],
)
def test_folders_that_jobs_cannot_have(tmp_path: Path, subdir: str, message: str):
    with pytest.raises(ForgeError, match=message):
        frozen(tmp_path, "seed=1,2", f"+note={'x' * 300}", f"hydra.sweep.subdir='{subdir}'")


def test_no_job_lies_in_the_folder_of_another(tmp_path: Path):
    """A job that begins again clears its folder."""
    with pytest.raises(ForgeError, match="`name=x/y`, would lie in that of another, `name=x`"):
        frozen(tmp_path, "name=x,x/y", "hydra.sweep.subdir='${hydra:job.override_dirname}'")


def test_a_launcher_gets_the_frozen_job(tmp_path: Path):
    """Also in another process, whatever the texts of the config hold."""
    values = {"seed": 3, "text": "${nowhere} and \\${x", "model": {"width": "${arg:width}"}, "sweep": {"where": None}}
    job = FrozenJob(7, hash_of(values), 3, ("seed=3", "text='${nowhere}'"), "7,seed=3", values)
    (tmp_path / "jobs").mkdir()
    write_job(job, tmp_path)
    loader = pickle.loads(pickle.dumps(FrozenLoader(tmp_path, None)))
    hydra = {"overrides": {"task": [], "hydra": []}, "sweep": {"dir": "x", "subdir": "y"}, "job": {"num": 0}}
    master = OmegaConf.create({"seed": 0, "hydra": hydra})
    config = loader.load_sweep_config(master, words_for([job])[0])
    assert config.text == values["text"]
    assert config.seed == 3
    assert config.sweep.job.number == 7
    assert Path(config.sweep.job.folder) == tmp_path
    assert [*config.hydra.overrides.task] == [*job.overrides]
    assert (config.hydra.sweep.dir, config.hydra.sweep.subdir) == (str(tmp_path), "7,seed=3")
    assert master.seed == 0
    assert HydraConfig.instance().cfg is None


def test_what_a_freeze_that_was_killed_left_does_not_hinder_a_new_one(tmp_path: Path):
    jobs, _ = frozen(tmp_path / "conf", "seed=1,2")
    folder = tmp_path / "sweep"
    (folder / JOBS_FOLDER).mkdir(parents=True)
    write_job(jobs[0], folder)
    with pytest.raises(ForgeError, match="holds no whole sweep") as caught:
        read_sweep_file(folder)
    assert "start the sweep again" in caught.value.problems[0].hint
    mark = "modelforge-0123abcd"
    temporary = (folder / f".sweep.json.{mark}", folder / JOBS_FOLDER / f".0001.yaml.{mark}")
    for path in (*temporary, folder / LOCK):
        path.touch()
    for others in (folder / JOBS_FOLDER / "notes.txt", folder / "0,seed=1", folder / f".status.json.{mark}"):
        others.touch()
        remove_unfinished_freeze(folder)
        assert all(path.exists() for path in (*temporary, others)), "all of it stays where there is something else"
        with pytest.raises(ForgeError, match="already holds"):
            check_empty(folder)
        others.unlink()
    remove_unfinished_freeze(folder)
    check_empty(folder)
    assert [path.name for path in folder.iterdir()] == [LOCK]

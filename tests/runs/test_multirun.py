"""train.py as a command: a sweep in which one job diverges, exit codes, and what must not be imported."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from modelforge.results import collect

TRAIN = Path(__file__).parents[2] / "train.py"
SMALL = ("model=mlp", "trainer.max_epochs=1", "logger=none")


def states(root: Path) -> dict[str, str]:
    return {path.parent.name: json.loads(path.read_text())["state"] for path in root.rglob("status.json")}


def test_a_sweep_of_three_jobs_of_which_one_diverges(command, tmp_path: Path, capfd):
    root = tmp_path / "sweep"
    assert command("-m", *SMALL, "optimizer.lr=1e-3,1e30,1e-2", f"hydra.sweep.dir={root}") == 0
    rest = "model=mlp,optimizer.lr={},trainer.max_epochs=1"
    assert states(root) == {
        f"0,{rest.format('0.001')}": "finished",
        f"1,{rest.format('1e+30')}": "diverged",
        f"2,{rest.format('0.01')}": "finished",
    }
    out, err = capfd.readouterr()
    assert "2 finished, 1 diverged" in out
    assert "error[MF052]: training diverged at step 1" in err
    assert "Traceback" not in out + err
    rows = (root / "sweep.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["finished", "finished", "diverged"]


def test_mistakes_in_one_job_do_not_stop_the_others_of_hydras_sweeper(command, tmp_path: Path, capfd):
    root = tmp_path / "sweep"
    values = ("optimizer.betas=[0.9],[0.9,0.99]", "hydra/sweeper=basic")
    assert command("-m", *SMALL, *values, f"hydra.sweep.dir={root}") == 1
    assert sorted(states(root).values()) == ["failed", "finished"]
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_sweep_in_which_all_is_well(command, tmp_path: Path):
    root = tmp_path / "sweep"
    assert command(*SMALL, "-m", "seed=0,1", f"hydra.sweep.dir={root}") == 0  # the flag may stand anywhere
    metrics = [json.loads(path.read_text())["metrics"] for path in root.rglob("status.json")]
    assert metrics[0] != metrics[1]
    assert command("-m", *SMALL, "seed=0,1", f"hydra.sweep.dir={root}") == 1  # the folder is taken


def test_a_long_command_line_makes_short_names(command, tmp_path: Path):
    root = tmp_path / "sweep"
    long = [f"model.layers.hidden{index}.out_features=1{index}" for index in (1, 2)]
    many = ["data.split_seed=0", "optimizer.betas=[0.9,0.99]", "optimizer.lr=0.00123456789"]
    assert (
        command("-m", *SMALL, *long, *many, "optimizer.weight_decay=0.0123456789,0.1", f"hydra.sweep.dir={root}") == 0
    )
    assert sorted(name.split(",")[0] for name in states(root)) == ["0", "1"]


def test_a_broken_off_multirun_knows_the_jobs_that_never_began(command, tmp_path: Path, monkeypatch):
    root = tmp_path / "sweep"

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("hydra._internal.core_plugins.basic_launcher"), "run_job", killed)
    assert command("-m", *SMALL, "seed=0,1", f"hydra.sweep.dir={root}") == 130
    rows = collect(root).rows
    assert [(row.state, row.overrides["seed"], row.reason) for row in rows] == [
        ("missing", "0", "it never began"),
        ("missing", "1", "it never began"),
    ]


def test_a_finished_run_is_not_overwritten(command, tmp_path: Path, capfd):
    assert command(*SMALL, f"hydra.run.dir={tmp_path}") == 0
    before = (tmp_path / "status.json").read_bytes()
    assert command(*SMALL, "seed=1", f"hydra.run.dir={tmp_path}") == 1
    assert (tmp_path / "status.json").read_bytes() == before
    assert "already holds a finished run" in capfd.readouterr().err


def test_a_single_mistake_exits_with_1(command, tmp_path: Path, capfd):
    assert command(*SMALL, "+optimizer.lrr=1", f"hydra.run.dir={tmp_path / 'run'}") == 1
    out, err = capfd.readouterr()
    assert "did you mean `lr`?" in err
    assert "Traceback" not in out + err
    assert not (tmp_path / "run").exists()


def test_a_dry_run_leaves_no_metrics_and_no_checkpoints(command, tmp_path: Path, capfd):
    assert command("debug=fdr", f"hydra.run.dir={tmp_path}") == 0
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".ckpt", ".csv") or "tfevents" in path.name]
    assert "test accuracy" in capfd.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_sentence(command, tmp_path: Path, capfd):
    (tmp_path / "file").write_text("")
    assert command(*SMALL, f"hydra.run.dir={tmp_path / 'file' / 'run'}") == 1
    out, err = capfd.readouterr()
    assert err.startswith("error[MF051]: nothing can be written to ")
    assert "Traceback" not in out + err


@pytest.mark.parametrize("flag", ["--help", "--cfg=job"])
def test_help_is_light(flag: str):
    """The command line answers without torch."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{str(TRAIN)!r}, {flag!r}]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as exit: assert not exit.code\n"
        "assert not {'torch', 'lightning', 'sklearn'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TRAIN.parent, check=False)
    assert done.returncode == 0, done.stderr
    assert "xavier" in done.stdout


@pytest.mark.slow
def test_ctrl_c_saves_and_leaves_quietly(tmp_path: Path):
    folder = tmp_path / "run"
    arguments = [*SMALL, "trainer.max_epochs=100000", f"hydra.run.dir={folder}"]
    process = subprocess.Popen(
        [sys.executable, str(TRAIN), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    last = folder / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == ""
    assert f"ckpt={last}" in out
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted"

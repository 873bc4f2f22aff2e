"""A run that is broken off and resumed leaves what an undisturbed one does, to the bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Timer

from modelforge.runs.status import read_state
from modelforge.train import checkpoints
from modelforge.train.hooks.interrupts import SaveOnInterrupt
from modelforge.train.job import Result
from modelforge.train.learner import Learner
from modelforge.train.resume import KEY
from tests.train.runs import DROPOUT, assert_equal, child, differences, last, resuming

STOPS = [
    (Learner, "training_step", 14, signal.SIGTERM),
    (Learner, "training_step", 10, signal.SIGHUP),  # the last batch of an epoch
    (Learner, "training_step", 17, None),  # killed
    (Learner, "validation_step", 1, signal.SIGTERM),  # before the first batch
    (Learner, "validation_step", 6, signal.SIGINT),
    (Learner, "validation_step", 7, None),
    (checkpoints.Checkpoints, "on_train_epoch_end", 2, None),
    (SaveOnInterrupt, "on_train_end", 1, signal.SIGTERM),
    (Learner, "test_step", 1, signal.SIGTERM),
]


KINDS = [
    ("scheduler=plateau", "scheduler.patience=0", "+scheduler.threshold=10.0"),
    ("+trainer.val_check_interval=0.5",),
    ("trainer.accumulate_grad_batches=3", "trainer.check_val_every_n_epoch=2"),
    ("+trainer.max_steps=25", "scheduler=cosine", "scheduler.warmup=5"),
    ("+trainer.max_steps=25", "+trainer.val_check_interval=0.5"),  # validated after the last step, within an epoch
    ("+trainer.limit_train_batches=7", "+trainer.max_steps=18"),
    (
        "freeze={hidden1.*: 1, hidden2.weight: 2}",
        "optimizer.no_decay=[bias]",
        "scheduler=wsd",
        "optimizer.layer_decay=0.5",
    ),
    ("callbacks=[ema,lr_monitor,gradient_norm]", "callbacks.ema.start_step=12", "trainer.log_every_n_steps=3"),
    ("callbacks=ema", "+trainer.val_check_interval=0.5", "trainer.accumulate_grad_batches=2"),
    ("callbacks=[swa,early_stopping]", "callbacks.swa.start=0.25", "callbacks.swa.lr=0.001"),
    ("callbacks=early_stopping", "callbacks.early_stopping.min_delta=1.0", "+trainer.val_check_interval=0.5"),
    ("data.num_workers=2", "checkpoint.every_n_steps=3"),
    ("trainer.precision=64-true", "callbacks=[swa]", "callbacks.swa.start=0.25", "callbacks.swa.lr=0.013"),
    ("trainer.precision=bf16-true", "callbacks=ema", "trainer.gradient_clip_val=0.5"),
    ("trainer.precision=bf16-mixed", "trainer.accumulate_grad_batches=2", "checkpoint.every_n_steps=1"),
]


class Killed(BaseException):
    """What ends a training here and now."""


@pytest.fixture
def broken(train: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """A run that gets a signal at the given call of a method, or is killed there; whether it came so far."""

    def broken(stop: tuple[Any, str, int, signal.Signals | None], *overrides: str, folder: str) -> bool:
        owner, method, time, number = stop
        original, seen, reached = getattr(owner, method), count(1), False

        def and_a_signal(self: Any, *arguments: Any) -> Any:
            nonlocal reached
            if next(seen) == time:
                reached = True
                if number is None:
                    raise Killed
                signal.raise_signal(number)
            return original(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(owner, method, and_a_signal)
            try:
                result = train(*overrides, folder=folder)
            except Killed:
                assert number is None
            else:
                assert result.exit_code == (128 + (number or 0) if reached else 0)
        return reached

    return broken


SAMPLES = [pytest.param(kind, STOPS[place % 3 :: 3], id=" ".join(kind)) for place, kind in enumerate(KINDS)]
"""Each kind with every third stop, so that each stop is met by five kinds."""


def check_stops(train, broken, tmp_path: Path, kind: tuple[str, ...], stops: Sequence[Any]) -> None:
    settings = ("trainer.max_epochs=4", *DROPOUT, *kind)
    assert train(*settings, folder="whole").exit_code == 0
    num_reached = 0
    for index, stop in enumerate(stops):
        if broken(stop, *settings, folder=f"broken{index}"):  # a run that validates seldom has no seventh validation
            num_reached += 1
            train(*settings, *resuming(tmp_path / f"broken{index}"), folder=f"new{index}")
            assert_equal(tmp_path / "whole", tmp_path / f"new{index}")
    assert num_reached > len(stops) / 3


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "stops"), SAMPLES)
def test_resumed_equals_undisturbed(train, broken, tmp_path: Path, kind: tuple[str, ...], stops: Sequence[Any]):
    check_stops(train, broken, tmp_path, kind, stops)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_resumed_after_every_stop(train, broken, tmp_path: Path, kind: tuple[str, ...]):
    check_stops(train, broken, tmp_path, kind, STOPS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [("model=mlp", "data=breast_cancer"), ("model=lstm", "data=adding")], ids=" ".join)
def test_other_data(train, broken, tmp_path: Path, kind: tuple[str, ...]):
    settings = ("trainer.max_epochs=3", "+trainer.limit_train_batches=6", *kind)
    assert train(*settings, folder="whole").exit_code == 0
    broken((Learner, "training_step", 9, signal.SIGTERM), *settings, folder="run")
    train(*settings, *resuming(tmp_path / "run"), folder="run")
    assert_equal(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_six_epochs_and_six_are_twelve(train, broken, tmp_path: Path):
    """In the same folder, in a new one, and with two more breaks."""
    train("trainer.max_epochs=12", *DROPOUT, folder="whole")
    train("trainer.max_epochs=6", *DROPOUT, folder="half")
    train("trainer.max_epochs=12", *DROPOUT, *resuming(tmp_path / "half"), folder="new")
    assert_equal(tmp_path / "whole", tmp_path / "new")
    for folder, start, stop in (("a", "half", 5), ("b", "a", 14)):
        stop = (Learner, "training_step", stop, signal.SIGTERM)
        broken(stop, "trainer.max_epochs=12", *DROPOUT, *resuming(tmp_path / start), folder=folder)
    train("trainer.max_epochs=12", *DROPOUT, *resuming(tmp_path / "b"), folder="b")
    assert_equal(tmp_path / "whole", tmp_path / "b")


BEST_AT_FIRST = [
    ("++scheduler={type: ExponentialLR, gamma: 6.0}",),
    ("++scheduler={type: ExponentialLR, gamma: 6.0}", "optimized_metric=val/loss", "data.num_workers=2"),
]
"""The learning rate grows until the model is worse."""


@pytest.mark.parametrize("kind", BEST_AT_FIRST, ids=" ".join)
def test_the_best_epoch_of_the_first_part_stays_best(train, tmp_path: Path, kind: tuple[str, ...]):
    """In the folder of the run, and in a new one; the test is of that epoch's values."""
    settings = (*DROPOUT, *kind)
    train(*settings, "trainer.max_epochs=5", folder="whole")
    best = torch.load(tmp_path / "whole" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] <= 2
    for folder in ("half", "new"):
        train(*settings, "trainer.max_epochs=2", folder="half")
        train(*settings, "trainer.max_epochs=5", *resuming(tmp_path / "half"), folder=folder)
        assert_equal(tmp_path / "whole", tmp_path / folder)
        shutil.rmtree(tmp_path / "half")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(), ("+trainer.val_check_interval=0.5",)], ids=" ".join)
def test_a_limit_of_steps_in_an_epoch(train, tmp_path: Path, kind: tuple[str, ...]):
    settings = ("trainer.max_epochs=-1", *DROPOUT, *kind)
    train(*settings, "+trainer.max_steps=35", folder="whole")
    train(*settings, "+trainer.max_steps=15", folder="half")
    train(*settings, "+trainer.max_steps=35", *resuming(tmp_path / "half"), folder="new")
    assert_equal(tmp_path / "whole", tmp_path / "new")


def test_a_run_that_ends_within_its_first_epoch(train, broken, tmp_path: Path):
    settings = ("trainer.max_epochs=-1", "+trainer.max_steps=3")
    train(*settings, folder="whole")
    assert broken(STOPS[-2], *settings, folder="run")
    train(*settings, *resuming(tmp_path / "run"), folder="new")
    lines = [(tmp_path / run / "metrics.csv").read_text().splitlines() for run in ("whole", "new")]
    assert lines[0] == lines[1]
    assert [line.split(",")[:2] for line in lines[0][1:]] == [["0", "2"], ["1", "3"]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(), ("trainer.accumulate_grad_batches=3",)], ids=" ".join)
def test_a_limit_of_time_in_an_epoch(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: tuple[str, ...]):
    """What was left of the epoch is trained when the run goes on; a run without time left stands where it stood."""
    settings = (*DROPOUT, "trainer.max_epochs=4", *kind)
    limit = "+trainer.max_time='00:01:00:00'"
    train(*settings, folder="whole")
    with monkeypatch.context() as patch:
        patch.setattr(Timer, "time_remaining", _none_left_after(13))
        train(*settings, limit, folder="short")
    with monkeypatch.context() as patch:
        patch.setattr(Timer, "time_remaining", lambda self, stage=None: 0.0)
        train(*settings, limit, *resuming(tmp_path / "short"), folder="idle")
    assert_equal(tmp_path / "short", tmp_path / "idle")
    train(*settings, *resuming(tmp_path / "short"), folder="new")
    first, second = (torch.load(last(tmp_path / run), weights_only=True) for run in ("whole", "new"))
    assert [*differences(first["state_dict"], second["state_dict"])] == []
    assert first["optimizer_states"][0]["state"].keys() == second["optimizer_states"][0]["state"].keys()


def _none_left_after(num_batches: int) -> Callable[..., float]:
    calls = count()
    return lambda self, stage=None: float(next(calls) < num_batches)


@pytest.mark.parametrize(
    "change",
    [
        {KEY: []}, {KEY: None}, {"loops": []}, {"loops": None}, {"callbacks": None}, {"loops": {"fit_loop": 3}},
        {"state_dict": {}}, {"optimizer_states": [{}]}, {"optimizer_states": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_checkpoint_is_refused(train, tmp_path: Path, change: dict[str, Any]):
    train()
    state = torch.load(last(tmp_path / "run"), weights_only=True)
    torch.save(state | change, tmp_path / "damaged.ckpt")
    result = train(f"ckpt={tmp_path / 'damaged.ckpt'}", "trainer.max_epochs=3", folder="next")
    assert (result.exit_code, result.status.state) == (1, "failed")
    assert result.status.error[0]["message"].startswith(f"`{tmp_path / 'damaged.ckpt'}` is damaged: ")


def test_fewer_epochs_than_there_were_are_refused(train, tmp_path: Path, capsys):
    train("trainer.max_epochs=3", folder="a")
    assert train("trainer.max_epochs=2", f"ckpt={last(tmp_path / 'a')}", folder="b").exit_code == 1
    shown = capsys.readouterr().err
    assert "comes from a run of 3 epochs already, but `trainer.max_epochs` is 2" in shown
    assert "override trainer.max_epochs=2" in shown
    assert train("trainer.max_epochs=4", f"ckpt={last(tmp_path / 'a')}", folder="c").exit_code == 0


def test_a_step_that_would_be_cut_is_refused(train, tmp_path: Path):
    """After six batches, a step of four would hold two more, and move the weights half as far."""
    limits = ("data.batch_size=128", "trainer.max_epochs=2")
    train(*limits, "trainer.accumulate_grad_batches=2", "+trainer.max_steps=3", folder="a")
    resumed = (*limits, *resuming(tmp_path / "a"))
    (problem,) = train(*resumed, "trainer.accumulate_grad_batches=4", folder="b").status.error
    assert problem["path"] == "trainer.accumulate_grad_batches"
    assert problem["message"].endswith("after 6 batches, which are not whole steps of 4 batches")
    assert problem["hint"] == "write `trainer.accumulate_grad_batches=2`, as before"
    for number in (2, 3):
        assert train(*resumed, f"trainer.accumulate_grad_batches={number}", folder=f"{number}").exit_code == 0


def test_limits_that_the_run_has_passed_are_refused(train, tmp_path: Path):
    """Nothing would be trained, or an epoch of neither length."""
    assert train("data.batch_size=128", "+trainer.max_steps=6", folder="a").exit_code == 0
    resumed = ("data.batch_size=128", *resuming(tmp_path / "a"))
    limits = {"max_steps": "5", "limit_train_batches": "6", "overfit_batches": "0.4"}
    for name, limit in limits.items():
        (problem,) = train(*resumed, f"+trainer.{name}={limit}", folder=name).status.error
        assert (problem["code"], problem["path"]) == ("MF051", f"trainer.{name}")
    for name, limit in {"max_steps": "6", "limit_train_batches": "7"}.items():
        assert train(*resumed, f"+trainer.{name}={limit}", folder=f"{name} more").exit_code == 0


def test_layers_in_another_order_are_refused(train, tmp_path: Path):
    """Their parameters have the same names and shapes, but they would be another model's."""
    layers = ("model=mlp", "+model.layers.last={type: LayerNorm}", "trainer.max_epochs=1")
    assert train(*layers, folder="a").exit_code == 0
    head = json.dumps(yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())["model"]["layers"]["head"])
    moved = ("~model.layers.head", *layers, f"+model.layers.head={head.replace(chr(34), '')}")
    (problem,) = train(*moved, *resuming(tmp_path / "a"), folder="b").status.error
    assert (problem["code"], problem["path"]) == ("MF051", "model.layers")
    assert "head, last, but this config says" in problem["message"]


def test_data_that_changed_is_refused(train, here: Path):
    """Its rows would be dealt to other parts, and scaled by other means, than those that trained."""
    settings = ("data=csv", "data.path=flowers.csv", "data.target=kind", "data.num_features=3", "data.num_outputs=3")
    assert train(*settings, "trainer.max_epochs=1", folder="a").exit_code == 0
    resumed = (*settings, *resuming(here / "a"))
    head, *rows = (here / "flowers.csv").read_text().splitlines()
    (here / "flowers.csv").write_text("\n".join([head, *reversed(rows)]))
    result = train(*resumed, folder="b")
    (problem,) = result.status.error
    assert problem["path"] == "data.path"
    assert problem["message"].startswith("the data is no longer what `")
    assert "weights=run weights.path=RUN" in problem["hint"]
    assert not (here / "b" / "checkpoints").exists()
    (here / "flowers.csv").write_text("\n".join([head, *rows]))
    assert train(*resumed, folder="c").exit_code == 0


def test_workers_may_change_and_the_hint_keeps_what_may(train, tmp_path: Path):
    assert train("trainer.max_epochs=1", "data.batch_size=128", folder="a").exit_code == 0
    resumed = ("data.num_workers=1", "trainer.max_epochs=2", *resuming(tmp_path / "a"))
    (problem,) = train(*resumed, "tags=[longer]", folder="b").status.error
    assert problem["path"] == "data.batch_size"
    assert "trainer.max_epochs=2" in problem["hint"]
    assert "trainer.max_epochs=1" not in problem["hint"]
    assert "data.batch_size=128" in problem["hint"]
    assert "tags=[longer]" in problem["hint"]
    assert train("data.batch_size=128", *resumed, folder="c").exit_code == 0


def test_what_is_no_regular_file_is_refused(train, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "a named pipe"), (Path("/dev/zero"), "a device")):
        (problem,) = train(f"ckpt={path}").status.error
        assert problem["message"] == f"`{path}` is {kind}, not a checkpoint"


@pytest.mark.slow
def test_a_killed_run_is_called_so(tmp_path: Path):
    kill = "from modelforge.train.learner import Learner\nimport os\n"
    kill += "Learner.test_step = lambda *arguments: os.kill(os.getpid(), 9)"
    assert child(tmp_path / "run", before=kill, capture_output=True).returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "running"
    assert read_state(tmp_path / "run") == "killed"
    assert child(tmp_path / "run", capture_output=True).returncode == 0
    assert read_state(tmp_path / "run") == "finished"


@pytest.mark.slow
@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_output_in_ascii(tmp_path: Path, env: dict[str, str]):
    done = child(tmp_path / "run", capture_output=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert done.stdout.splitlines()[-1].endswith(" s  -  run")


@pytest.mark.slow
def test_output_that_goes_nowhere(tmp_path: Path):
    with open("/dev/full", "w") as full:
        assert child(tmp_path / "full", stdout=full, stderr=full).returncode == 0
    assert child(tmp_path / "closed", before="import os\nos.close(1)", stderr=subprocess.DEVNULL).returncode == 0
    assert read_state(tmp_path / "full") == read_state(tmp_path / "closed") == "finished"


def rates(folder: Path) -> list[float]:
    return [group["lr"] for group in torch.load(last(folder), weights_only=True)["optimizer_states"][0]["param_groups"]]


def test_a_run_with_a_curve_is_lengthened_along_its_new_curve(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = ("scheduler=linear", "optimizer.lr=1e-2", "data.batch_size=128")
    assert train(*settings, "trainer.max_epochs=1", folder="short").exit_code == 0
    assert rates(tmp_path / "short") == [0.0]
    resumed = (*settings, "trainer.max_epochs=4", "+trainer.limit_test_batches=1", *resuming(tmp_path / "short"))
    seen: list[float] = []
    step = torch.optim.AdamW.step

    def seeing(self: Any, closure: Any = None) -> Any:
        seen.append(self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", seeing)
    assert train(*resumed, folder="long").exit_code == 0
    assert seen == pytest.approx([1e-2 * (1 - t / 40) for t in range(10, 40)])  # 10 steps an epoch


def test_with_a_horizon_a_lengthened_run_equals_an_undisturbed_one(train, tmp_path: Path):
    settings = ("scheduler=cosine", "scheduler.horizon=30", "scheduler.warmup=3", "data.batch_size=128")
    assert train(*settings, "trainer.max_epochs=2", folder="whole").exit_code == 0
    assert train(*settings, "trainer.max_epochs=1", folder="half").exit_code == 0
    assert train(*settings, *resuming(tmp_path / "half"), "trainer.max_epochs=2", folder="new").exit_code == 0
    assert_equal(tmp_path / "whole", tmp_path / "new")


def test_a_scheduler_that_keeps_its_length_is_not_lengthened(train, tmp_path: Path, capsys):
    assert train("scheduler=onecycle", "trainer.max_epochs=1", folder="short").exit_code == 0
    assert train("scheduler=onecycle", *resuming(tmp_path / "short"), folder="long").exit_code == 1
    shown = capsys.readouterr().err
    assert "training of 1 epoch, and this one has 2 epochs, but OneCycleLR keeps its length" in shown

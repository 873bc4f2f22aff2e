"""One job from config to folder: every way it can end, and what it leaves."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest
import torch
import yaml

from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError
from modelforge.core.words import digits
from modelforge.runs.liveness import claimed
from modelforge.train.hooks.interrupts import SaveOnInterrupt
from modelforge.train.interrupt import Interrupts
from modelforge.train.job import execute, execute_in
from modelforge.train.learner import Learner
from tests.train.conftest import SMALL


def status(folder: Path) -> dict:
    return json.loads((folder / "status.json").read_text())


def metrics(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_a_finished_run_leaves_everything(train, tmp_path: Path, capsys):
    result = train("optimizer.lr=0.01", "logger=default", "trainer.enable_progress_bar=true")
    folder = tmp_path / "run"
    assert result.exit_code == 0
    assert {path.name for path in folder.iterdir() if not path.name.startswith("events")} == {
        "config.yaml", "plan.json", "environment.json", "test_predictions.csv", "test_worst.csv",
        "preprocessing.json", "preprocessing.safetensors", "ledger.json", "start.json", "metrics.csv", "steps.csv",
        "checkpoints", "status.json",
    }  # fmt: skip
    assert any(path.name.startswith("events") for path in folder.iterdir())
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    done = status(folder)
    assert done["state"] == "finished"
    assert 0 < done["fit_seconds"] < done["seconds"]
    assert done["error"] == []
    assert set(done["metrics"]) == {"val/accuracy", "test/accuracy", "test/loss"}
    assert done["metrics"]["test/accuracy"] > 0.8
    assert result.metric == done["metrics"]["val/accuracy"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["optimizer"]["lr"] == 0.01
    surroundings = json.loads((folder / "environment.json").read_text())
    assert surroundings["device"] == "cpu"
    assert {"torch", "lightning", "modelforge"} <= surroundings["packages"].keys()
    assert json.loads((folder / "plan.json").read_text())["num_parameters"] == 26122
    out, err = capsys.readouterr()
    assert "epoch 2/2  loss " in out
    assert out.splitlines()[-1].startswith(f"test accuracy {digits(done['metrics']['test/accuracy'])}  ·  ")
    assert out.splitlines()[-1].endswith("run")
    assert err == ""


def test_metrics_are_one_line_an_epoch(train, tmp_path: Path):
    train()
    rows = metrics(tmp_path / "run")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]  # the last one is the test's
    assert all(row["train/loss"] and row["val/accuracy"] for row in rows[:2])
    assert rows[2]["test/accuracy"]


def test_a_run_is_a_function_of_its_config(train):
    first, again, other = train(folder="a"), train("tags=[second]", folder="b"), train("seed=1", folder="c")
    assert first.status.metrics == again.status.metrics
    assert first.status.config_hash == again.status.config_hash
    assert first.status.metrics != other.status.metrics
    assert first.status.config_hash != other.status.config_hash


def test_a_mistake_is_printed_and_kept(train, tmp_path: Path, capsys):
    result = train("+optimizer.lrr=1", "trainer.max_epochs=x")
    assert result.exit_code == 1
    assert result.metric != result.metric  # NaN, for sweepers
    assert status(tmp_path / "run")["state"] == "failed"
    assert [problem["path"] for problem in status(tmp_path / "run")["error"]] == ["optimizer.lrr", "trainer.max_epochs"]
    assert capsys.readouterr().err == (
        "error[MF051]: AdamW has no argument `lrr`\n"
        "  --> override +optimizer.lrr=1\n"
        "   = help: did you mean `lr`?\n"
        "\n"
        "error[MF051]: `max_epochs` of Trainer must be a whole number or null, but is 'x'\n"
        "  --> override trainer.max_epochs=x\n"
    )


def test_a_divergence_names_the_layer(train, tmp_path: Path, capsys):
    result = train("optimizer.lr=1e30")
    assert result.exit_code == 1
    done = status(tmp_path / "run")
    assert done["state"] == "diverged"
    assert done["error"][0]["path"] == "model.layers.hidden2"
    assert done["error"][0]["message"].startswith("training diverged at step 1: layer `hidden2` is the first to output")
    assert "lower `optimizer.lr` (now 1e+30)" in capsys.readouterr().err


def test_a_bug_is_kept_and_not_hidden(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stumble(*arguments, **fields):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("modelforge.train.fit.DataModule", stumble)
    with pytest.raises(ZeroDivisionError):
        train()
    assert status(tmp_path / "run")["state"] == "failed"
    assert status(tmp_path / "run")["error"][0]["message"] == "ZeroDivisionError: a bug"


@pytest.fixture
def signal_at(monkeypatch: pytest.MonkeyPatch):
    """A Ctrl-C that arrives during the given batch."""
    original = SaveOnInterrupt.on_train_batch_end

    def arrange(number: int) -> None:
        seen = iter(range(1, 1_000_000))

        def on_train_batch_end(self, *arguments) -> None:
            if next(seen) == number:
                signal.raise_signal(signal.SIGINT)
            original(self, *arguments)

        monkeypatch.setattr(SaveOnInterrupt, "on_train_batch_end", on_train_batch_end)

    return arrange


@pytest.mark.parametrize("step", [7, 20])
def test_an_interrupted_run_resumes_as_if_unbroken(train, tmp_path: Path, signal_at, capsys, step: int):
    """In the middle and at the end of an epoch, with dropout and shuffling: the same bits."""
    model = ["model=mlp", "+model.layers.dropout.type=Dropout", "+model.layers.last.type=Linear"]
    model += ["+model.layers.last.out_features=10"]
    train(*model, folder="whole")
    signal_at(step)
    broken = train(*model, folder="broken")
    assert broken.exit_code == 130
    assert status(tmp_path / "broken")["state"] == "interrupted"
    assert "stopping as soon as that can be resumed" in capsys.readouterr().out
    last = tmp_path / "broken" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == step
    assert train(*model, f"ckpt={last}", folder="broken").exit_code == 0
    whole, after = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "broken")
    )
    assert whole.keys() == after.keys()
    assert all(torch.equal(whole[name], after[name]) for name in whole)
    assert metrics(tmp_path / "broken")[-2:] == metrics(tmp_path / "whole")[-2:]
    validated = [[row["val/loss"] for row in metrics(tmp_path / name)] for name in ("broken", "whole")]
    assert validated[0] == validated[1]


WHERE = [
    (Learner, "validation_step", 5, signal.SIGTERM),  # with the batches to come
    (Learner, "validation_step", 10, signal.SIGTERM),  # the last batch of the last epoch
    (Learner, "training_step", 7, signal.SIGTERM),
    (Learner, "training_step", 40, signal.SIGTERM),
    (SaveOnInterrupt, "on_train_epoch_end", 1, signal.SIGTERM),
    (SaveOnInterrupt, "on_train_end", 1, signal.SIGTERM),
    (SaveOnInterrupt, "on_train_end", 1, signal.SIGINT),
    (Learner, "test_step", 2, signal.SIGTERM),
]


@pytest.mark.parametrize(("owner", "method", "time", "number"), WHERE, ids=lambda value: getattr(value, "name", value))
def test_wherever_a_signal_comes_a_checkpoint_is_left(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner, method: str, time: int, number: signal.Signals
):
    """Lightning answers SIGTERM as well, by leaving with exit code 0."""
    original, seen = getattr(owner, method), iter(range(1, 1_000_000))

    def and_a_signal(self, *arguments):
        if next(seen) == time:
            signal.raise_signal(number)
        return original(self, *arguments)

    whole = train("scheduler=cosine", folder="whole")
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, and_a_signal)
        broken = train("scheduler=cosine", folder="broken")
    assert (broken.exit_code, broken.status.state, broken.status.error) == (128 + number, "interrupted", ())
    last = f"ckpt={tmp_path / 'broken' / 'checkpoints' / 'last.ckpt'}"
    resumed = train("scheduler=cosine", last, folder="broken")
    assert resumed.exit_code == 0
    assert resumed.status.metrics == whole.status.metrics


def test_a_signal_while_composing_is_no_failure(tmp_path: Path, capsys):
    def compose() -> Config:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    result = execute(compose, tmp_path)
    assert (result.exit_code, result.status.state) == (130, "interrupted")
    assert "resume with" not in capsys.readouterr().out


def test_a_resumed_run_may_choose_its_best_by_another_metric(train, tmp_path: Path, recwarn):
    train()
    result = train(f"ckpt={tmp_path / 'run' / 'checkpoints' / 'last.ckpt'}", "optimized_metric=val/loss", folder="next")
    assert result.exit_code == 0
    assert not [warning for warning in recwarn if "ModelCheckpoint" in str(warning.message)]


@pytest.mark.parametrize(("key", "large"), [("seed", 2**40 + 1), ("seed", -1), ("data.split_seed", 2**40 + 1)])
def test_a_seed_may_have_any_size(train, key: str, large: int):
    first, again, other = (train(f"{key}={seed}", folder=str(i)) for i, seed in enumerate((large, large, 1)))
    assert first.exit_code == other.exit_code == 0
    assert first.status.metrics == again.status.metrics != other.status.metrics


@pytest.mark.parametrize(
    ("override", "path", "message"),
    [
        ("trainer.devices=-1", "trainer.devices", "Lightning refuses this: "),
        (
            "+trainer.val_check_interval=1000",
            "trainer.val_check_interval",
            "Lightning refuses this: `val_check_interval`",
        ),
    ],
)
def test_what_lightning_refuses_has_its_key(train, capsys, override: str, path: str, message: str):
    result = train(override)
    (problem,) = result.status.error
    assert problem["path"] == path
    assert problem["message"].startswith(message)
    assert problem["place"] == {"override": override}
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_folder_is_not_a_checkpoint(train, tmp_path: Path):
    train()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    for folder in (last.parent, last.parent.parent):
        (problem,) = train(f"ckpt={folder}", folder="next").status.error
        assert problem["message"] == f"`{folder}` is a folder, not a checkpoint"
        assert problem["hint"] == f"its last checkpoint: `ckpt={last}`"
    (problem,) = train(f"ckpt={tmp_path}", folder="next").status.error
    assert problem["hint"] == "a run has one at checkpoints/last.ckpt"


def test_a_resumed_run_continues_its_metrics(train, tmp_path: Path, signal_at):
    signal_at(27)
    train()
    assert [row["epoch"] for row in metrics(tmp_path / "run")] == ["0"]
    train(f"ckpt={tmp_path / 'run' / 'checkpoints' / 'last.ckpt'}")
    assert [row["epoch"] for row in metrics(tmp_path / "run")] == ["0", "1", "2"]


def test_signals_are_handed_back(train, signal_at):
    before = signal.getsignal(signal.SIGINT)
    signal_at(3)
    assert train().exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_of_another_config_is_refused(train, tmp_path: Path, capsys):
    train(folder="first")
    capsys.readouterr()
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    assert train(f"ckpt={last}", "model.layers.hidden1.out_features=64", "init.gain=2.0").exit_code == 1
    err = capsys.readouterr().err
    assert "the checkpoint was made with `model.layers.hidden1.out_features` = 128, but this config says 64" in err
    assert "--> override model.layers.hidden1.out_features=64" in err
    assert "the checkpoint was made with `init.gain` = 1.0, but this config says 2.0" in err
    assert "with the settings of the run that made it: `python train.py " in err


def test_what_is_no_checkpoint_is_refused(train, tmp_path: Path):
    (tmp_path / "text.ckpt").write_text("hello")
    torch.save({"some": "thing"}, tmp_path / "other.ckpt")
    torch.save(Path("code"), tmp_path / "pickle.ckpt")
    expected = {
        "none": "there is no checkpoint `{}`",
        "text": "`{}` cannot be read as a checkpoint",
        "pickle": "`{}` cannot be read as a checkpoint",
        "other": "`{}` is not a checkpoint of modelforge",
    }
    for name, message in expected.items():
        path = tmp_path / f"{name}.ckpt"
        (problem,) = train(f"ckpt={path}").status.error
        assert problem["message"] == message.format(path)


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path):
    with claimed(tmp_path), pytest.raises(ForgeError, match="another run is writing to"), claimed(tmp_path):
        raise AssertionError("nobody comes here")
    with claimed(tmp_path):
        assert (tmp_path / ".lock").exists()


@pytest.fixture
def left_off(train, tmp_path: Path) -> Path:
    """The folder of a run that was interrupted after an epoch."""
    train("trainer.max_epochs=1")
    folder = tmp_path / "run"
    (folder / "status.json").write_text(json.dumps(status(folder) | {"state": "interrupted"}))
    return folder


def test_checkpoints_from_which_a_run_does_not_go_on_are_put_aside(left_off: Path, config, monkeypatch, capsys):
    """It ended with best.ckpt of the run before, which `predict` then used."""

    def begin(*overrides: str) -> int:
        every = (*SMALL, *overrides)
        return execute_in(left_off, lambda: config(*every), every, show_plan=False).exit_code

    before = {path.name: path.read_bytes() for path in (left_off / "checkpoints").iterdir()}
    assert begin("trainer.max_epochs=1", "seed=1", "+trainer.limit_val_batches=0") == 0
    assert "they are now in" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (left_off / "set-aside/1/checkpoints").iterdir()} == before
    assert [path.name for path in (left_off / "checkpoints").iterdir()] == ["last.ckpt"]
    (left_off / "status.json").write_text(json.dumps(status(left_off) | {"state": "interrupted"}))
    monkeypatch.chdir(left_off)
    assert begin("trainer.max_epochs=2", "seed=1", "ckpt=checkpoints/last.ckpt") == 0
    assert [path.name for path in (left_off / "set-aside").iterdir()] == ["1"]


def test_ctrl_c_before_the_run_listens_interrupts_it(left_off: Path, config, monkeypatch):
    def at_once(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Interrupts, "__enter__", at_once)
    result = execute_in(left_off, lambda: config(*SMALL), SMALL, show_plan=False)
    assert (result.exit_code, status(left_off)["state"]) == (130, "interrupted")


def test_a_job_that_overwrites_a_run_keeps_none_of_its_checkpoints(left_off: Path, config):
    every = (*SMALL, "seed=1", "trainer.max_epochs=1", "+trainer.limit_val_batches=0")
    result = execute_in(left_off, lambda: config(*every), every, show_plan=False, overwrites=True)
    assert result.exit_code == 0
    assert [path.name for path in (left_off / "checkpoints").iterdir()] == ["last.ckpt"]

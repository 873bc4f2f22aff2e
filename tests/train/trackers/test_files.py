"""CSV files: one line an epoch, one line a logged step; events that TensorBoard reads back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from modelforge.train.rows import Rows
from modelforge.train.trackers.files import CSVFiles, TensorBoard
from modelforge.train.trackers.history import History


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def written(folder: Path) -> History:
    rows = Rows()
    return History(rows, [CSVFiles(folder, rows)])


def log(history: History, metrics: dict[str, Any], step: int | None = None) -> None:
    """As Lightning does."""
    for logger in (history, *history.others):
        logger.log_metrics(metrics, step)


def test_metrics_of_one_step_meet_in_one_line(tmp_path: Path):
    history = written(tmp_path)
    log(history, {"val/loss": 0.5, "epoch": 0.0}, 10)
    log(history, {"train/loss": 1 / 3, "epoch": 0.0}, 10)
    log(history, {"test/loss": 2.0}, 20)
    history.others[0].save()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,step,train/loss,val/loss,test/loss",
        "0,10,0.3333333,0.5,",
        ",20,,,2.0",
    ]
    assert not (tmp_path / "steps.csv").exists()


def test_lines_are_in_the_order_of_their_steps(tmp_path: Path):
    history = written(tmp_path)
    for step in (20, 10, 30):
        log(history, {"a": step}, step)
    history.others[0].finalize("success")
    assert [row["step"] for row in lines(tmp_path / "metrics.csv")] == ["10", "20", "30"]


def test_a_line_of_a_step_is_written_when_it_is_complete(tmp_path: Path):
    history, path = written(tmp_path), tmp_path / "steps.csv"
    log(history, {"step/loss": 1 / 3, "epoch": 0}, 4)
    assert not path.exists()
    log(history, {"step/lr": 0.1, "epoch": 0}, 4)
    log(history, {"step/loss": 0.25, "epoch": 0}, 9)
    assert path.read_text() == "epoch,step,loss,lr\n0,4,0.3333333,0.1\n"
    log(history, {"step/loss": 0.125, "epoch": 1}, 14)
    assert path.read_text() == "epoch,step,loss,lr\n0,4,0.3333333,0.1\n0,9,0.25,\n"
    history.others[0].save()
    history.others[0].save()
    assert path.read_text() == "epoch,step,loss,lr\n0,4,0.3333333,0.1\n0,9,0.25,\n1,14,0.125,\n"
    assert not (tmp_path / "metrics.csv").exists()


def test_a_new_column_is_in_every_line(tmp_path: Path):
    history = written(tmp_path)
    for step, metrics in enumerate(({"step/loss": 1.0}, {"step/loss": 2.0}, {"step/loss": 3.0, "step/extra": 5})):
        log(history, {**metrics, "epoch": 0}, step)
    history.others[0].save()
    assert (tmp_path / "steps.csv").read_text() == "epoch,step,loss,extra\n0,0,1.0,\n0,1,2.0,\n0,2,3.0,5.0\n"


def test_a_replay_rewrites_what_a_killed_run_left(tmp_path: Path):
    (tmp_path / "steps.csv").write_text("epoch,step,loss\n0,0,1.0\n0,1,2.0\n0,2,9")
    rows = Rows()
    for step in range(2):
        rows.add({"step/loss": 1.0 + step, "epoch": 0}, step)
    history = History(rows, [CSVFiles(tmp_path, rows)])
    history.replay()
    assert (tmp_path / "steps.csv").read_text() == "epoch,step,loss\n0,0,1.0\n0,1,2.0\n"


def test_nothing_is_written_where_there_is_nothing_to_write(tmp_path: Path):
    written(tmp_path).others[0].save()
    kept = History(Rows())
    log(kept, {"a": 1.0}, 1)
    kept.save()
    assert list(tmp_path.iterdir()) == []
    assert kept.rows.epochs


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def test_events_hold_metrics_and_hyperparameters(tmp_path: Path):
    logger = TensorBoard(tmp_path, "val/loss")
    logger.log_hyperparams({"optimizer.lr": 0.5, "scheduler": None, "trainer.deterministic": False, "seed": 3})
    logger.log_metrics({"val/loss": 0.25}, 1)
    logger.finalize("success")
    logger.log_metrics({"test/loss": 0.125}, 2)  # one file: the training and the test are one run
    logger.experiment.close()
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["events"]
    found = events(tmp_path)
    assert [(one.step, one.value) for one in found.Scalars("val/loss")] == [(1, 0.25)]
    assert [(one.step, one.value) for one in found.Scalars("test/loss")] == [(2, 0.125)]
    assert hyperparameters(found) == {
        "optimizer.lr": 0.5, "scheduler": "null", "trainer.deterministic": False, "seed": 3.0,
    }  # fmt: skip


def hyperparameters(found: EventAccumulator) -> dict[str, Any]:
    content = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def test_events_of_a_run_that_goes_on_in_its_folder_take_the_place_of_the_first(tmp_path: Path):
    for steps in ((0, 1, 2, 3), (0, 1, 2)):
        logger = TensorBoard(tmp_path, "val/loss")
        for step in steps:
            logger.log_metrics({"step/loss": step / 8}, step)
        logger.experiment.close()
    assert [one.step for one in events(tmp_path).Scalars("step/loss")] == [0, 1, 2]

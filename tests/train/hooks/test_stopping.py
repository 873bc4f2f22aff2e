"""A training stops at the right epoch, says why, and stays stopped when it is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelforge.train.hooks.stopping import StopEarly
from tests.train.hooks.lightning import Falling, fit
from tests.train.runs import last

NEVER = ("callbacks=early_stopping", "callbacks.early_stopping.min_delta=2.0", "trainer.max_epochs=9")
"""No epoch after the first is better by two."""


@pytest.mark.parametrize(
    ("values", "settings", "num_epochs", "said"),
    [
        ([3.0, 2.0, 2.5, 2.0, 1.0, 0.0], {"patience": 2}, 4, "did not improve in 2 validations (best 2)"),
        ([3.0, 2.0, 2.5, 2.0, 1.0, 0.0], {"patience": 3}, 6, ""),
        ([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], {"patience": 2, "min_delta": 0.15}, 6, ""),
        ([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], {"patience": 2, "min_delta": 0.5}, 3, "did not improve in 2 validations"),
        ([3.0, 2.0, 1.0, 0.0], {"patience": 2, "stopping_threshold": 1.5}, 3, "`val/loss` reached 1.5"),
        ([3.0, 4.0, 5.0, 4.5, 4.0], {"patience": 2, "mode": "max"}, 5, "did not improve in 2 validations (best 5)"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_it_stops_at_the_right_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Any, settings: Any, num_epochs: int, said: str
):
    measured = iter(values)
    monkeypatch.setattr(Falling, "validation_step", lambda self, *batch: self.log("val/loss", next(measured)))
    lines: list[str] = []
    callback = StopEarly(lines.append, **{"monitor": "val/loss", "mode": "min"} | settings)
    trainer, _ = fit(tmp_path, callback, max_epochs=len(values))
    assert trainer.current_epoch == num_epochs
    assert [line for line in lines if said not in line] == []
    assert len(lines) == bool(said)
    if said:
        assert lines[0].startswith(f"stopped after epoch {num_epochs}: `val/loss` ")


def test_a_run_that_has_stopped_stays_so(train, tmp_path: Path, capsys):
    result = train(*NEVER, "callbacks.early_stopping.patience=2")
    shown = capsys.readouterr().out
    assert "stopped after epoch 3: `val/accuracy` did not improve in 2 validations (best 0.8" in shown
    lines = (tmp_path / "run" / "metrics.csv").read_text()
    resumed = train(*NEVER, "callbacks.early_stopping.patience=2", f"ckpt={last(tmp_path / 'run')}", folder="next")
    assert (tmp_path / "next" / "metrics.csv").read_text() == lines
    assert resumed.status.metrics == result.status.metrics
    assert "stopped after epoch 3: " in capsys.readouterr().out


def test_more_patience_goes_on(train, tmp_path: Path, capsys):
    train(*NEVER, "callbacks.early_stopping.patience=2")
    train(*NEVER, "callbacks.early_stopping.patience=4", f"ckpt={last(tmp_path / 'run')}", folder="next")
    assert "stopped after epoch 5: `val/accuracy` did not improve in 4 validations" in capsys.readouterr().out


def test_what_a_user_sees_of_a_wrong_metric(train):
    (problem,) = train("callbacks=early_stopping", "callbacks.early_stopping.monitor=val/acuracy").status.error
    assert (problem["path"], problem["message"], problem["hint"]) == (
        "callbacks.early_stopping.monitor",
        "`monitor` must be 'val/accuracy' or 'val/loss', but is 'val/acuracy'",
        "did you mean `val/accuracy`?",
    )


def test_without_validations_there_is_nothing_to_follow(train, capsys):
    assert train("callbacks=early_stopping", "+trainer.limit_val_batches=0").exit_code == 1
    err = capsys.readouterr().err
    assert "error[MF051]: `early_stopping` follows validations, but there are none" in err
    assert "= help: leave it out, or switch it off: `callbacks.early_stopping=null`" in err

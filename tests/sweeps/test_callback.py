"""The end of a multirun: its exit status where other processes still have jobs to run."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from modelforge.config.engines import SEARCH
from modelforge.config.sweeps import FREEZING
from modelforge.runs.liveness import claimed
from modelforge.sweeps.callback import SweepReport
from tests.runs.jobs import job


@pytest.mark.parametrize(
    ("sweeper", "states", "status"),
    [
        (FREEZING, ("finished", "running"), 1),
        (SEARCH, ("finished", "running"), 0),
        (SEARCH, ("failed", "running"), 1),
    ],
)
def test_a_search_does_not_answer_for_the_trials_of_others(tmp_path: Path, capsys, sweeper, states, status: int):
    for number, state in enumerate(states):
        job(tmp_path / str(number), state, [f"seed={number}"], metrics={"val/accuracy": 0.5})
    settings = {"sweep": {"dir": str(tmp_path)}, "sweeper": {"_target_": sweeper}, "launcher": {"_target_": "basic"}}
    code = 0
    with claimed(tmp_path / "1"):
        try:
            SweepReport().on_multirun_end(OmegaConf.create({"hydra": settings}))
        except SystemExit as error:
            code = error.code
    assert code == status
    assert "other processes have 1 job to run" in capsys.readouterr().out

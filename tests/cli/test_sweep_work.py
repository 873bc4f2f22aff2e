"""`modelforge sweep work`: what an interrupted one prints."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from modelforge.cli.sweep_work import sweep_work
from modelforge.runs.jobs import read_sweep_file
from modelforge.runs.status import read_state
from modelforge.train.interrupt import Interrupted
from tests.sweeps.projects import BRIEF


def test_an_interrupted_worker_says_how_to_go_on(
    command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    root = tmp_path / "a sweep"
    assert command("-m", *BRIEF, "seed=0,1", f"hydra.sweep.dir='{root}'", "hydra/launcher=none") == 0

    def interrupted(*arguments: object, **options: object) -> None:
        raise Interrupted(15)

    with monkeypatch.context() as patched:
        patched.setattr("modelforge.train.fit.fit", interrupted)
        for index, retry_failed, words in ((None, True, ["--any", "--retry-failed"]), (1, False, ["--index", "1"])):
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                sweep_work(root, index, retry_failed=retry_failed)
            assert ended.value.code == 128 + 15
            said = shlex.split(capfd.readouterr().out.splitlines()[-1])
            assert said == ["to", "go", "on:", "modelforge", "sweep", "work", str(root), *words]
    capfd.readouterr()
    with pytest.raises(SystemExit, match="0"):
        sweep_work(root, 1, retry_failed=False)
    assert "to go on" not in capfd.readouterr().out
    assert [read_state(root / job.folder) for job in read_sweep_file(root).jobs] == ["interrupted", "finished"]

"""The config of a run: where a mistake in it stands, and code that is no longer what the run was trained with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.train import run_config
from modelforge.train.run_config import other_code
from modelforge.train.trained_run import load_run


@pytest.fixture
def changed(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of a project whose modules have changed since."""
    assert train("trainer.max_epochs=1").exit_code == 0
    path = tmp_path / "run" / "environment.json"
    git = {"commit": "0123456789abcdef", "dirty": True}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": "before", "git": git}))
    monkeypatch.setattr(run_config, "code_digest", lambda: "now")
    return tmp_path / "run"


def test_predictions_with_other_code_are_warned_of(changed: Path):
    run = load_run(changed)
    (warning,) = run.evaluate().warnings
    assert warning.message.startswith(f"the project's own modules are no longer what `{changed}` was trained with")
    assert warning.hint.endswith("; it is of commit 0123456789ab, with changes that were not committed")
    with pytest.warns(UserWarning, match="own modules are no longer"):
        run.predict(run.source.raw(_picture(changed)))


def test_without_own_modules_nothing_is_said(changed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_config, "code_digest", lambda: None)
    assert other_code(changed) == ()


def test_a_layer_that_is_no_longer_there_is_shown_in_the_file_of_the_run(changed: Path):
    path = changed / "config.yaml"
    path.write_text(path.read_text().replace("type: Linear", "type: Linea", 1))
    with pytest.raises(ForgeError) as caught:
        load_run(changed)
    first, *_, last = caught.value.problems
    assert (first.code, last.code) == ("MF010", "MW213")
    assert first.place is not None
    assert first.place.file == str(path)


def _picture(folder: Path) -> Path:
    import numpy as np

    path = folder / "new.npy"
    np.save(path, np.zeros((1, 1, 8, 8), np.float32))
    return path

"""Trials that do worse than others end early, and say why."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from modelforge.train.callbacks.pruning import PruningSettings
from modelforge.train.hooks.pruning import Prune
from modelforge.train.studies import JOURNAL, PRUNED, STUDY, find_trial, make_pruner, open_storage, open_study
from tests.train.hooks.lightning import Falling, fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


@pytest.fixture
def pruned() -> list[int]:
    """The trials whose status shall say that they were pruned, in order."""
    return []


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruned: list[int]):
    """Trains a trial whose validations give these values; returns what was said, and its epochs."""
    study = optuna.create_study(study_name=STUDY, storage=open_storage(tmp_path / JOURNAL), direction="minimize")

    def train(values: list[float], *, number: int | None = None, **settings: Any) -> tuple[list[str], int]:
        asked = number is None
        number = study.ask().number if number is None else number
        folder = tmp_path / "trials" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sweep.json").touch()
        (folder / "status.json").write_text(json.dumps({"job": {"number": number}}))
        said: list[str] = []
        terms = SimpleNamespace(metric="val/loss")
        prune = partial(pruned.append, number)
        context: Any = SimpleNamespace(folder=folder, terms=terms, say=said.append, prune=prune)
        measured = iter(values)
        monkeypatch.setattr(Falling, "validation_step", lambda self, *batch: self.log("val/loss", next(measured)))
        callback = Prune(dict(PruningSettings(**{"startup_trials": 1} | settings)), context)
        trainer, _ = fit(tmp_path, callback, max_epochs=len(values))
        if asked and not said:
            study.tell(number, values[-1])
        return said, trainer.current_epoch

    return train


def test_a_trial_that_is_worse_than_the_median_ends(trial, pruned, tmp_path: Path):
    assert trial([3.0, 2.0, 1.0, 0.5]) == ([], 4)
    said, epochs = trial([2.0, 2.5, 2.5, 2.5])
    assert said == ["pruned after epoch 3: `val/loss` is 2.5, and other trials did better by then"]
    assert epochs == 3
    assert pruned == [1]
    bad = open_study(tmp_path / JOURNAL).trials[1]
    assert bad.intermediate_values == {1: 2.0, 2: 2.5, 3: 2.5}
    assert bad.user_attrs[PRUNED] == 3
    assert trial([2.0, 2.5, 2.5, 2.5], number=1)[1] <= 1  # killed after that, and begun again
    assert pruned == [1, 1], "the new status says so too"


def test_warmup_and_the_last_epoch_are_left_alone(trial, pruned):
    trial([3.0, 2.0, 1.0, 0.5])
    assert trial([9.0, 9.0, 9.0, 0.1], warmup=3) == ([], 4)
    assert trial([0.1, 0.1, 0.1, 9.0]) == ([], 4)
    assert pruned == []


def test_a_run_of_its_own_is_never_ended(trial, tmp_path: Path):
    (tmp_path / JOURNAL).unlink()
    said, epochs = trial([1.0, 9.0, 9.0], number=0)
    assert epochs == 3
    assert said == ["pruning: this run belongs to no study (`hydra/sweeper=optuna`), and is never ended early"]


@pytest.mark.parametrize("ends", [True, False])
def test_processes_stop_together_as_the_first_decides(ends: bool):
    heard: list[bool] = []
    strategy = SimpleNamespace(broadcast=lambda own: heard.append(own) or ends)
    trainer: Any = SimpleNamespace(
        sanity_checking=False, callback_metrics={"val/loss": 1.0}, is_global_zero=False, strategy=strategy,
        should_stop=False,
    )  # fmt: skip
    context: Any = SimpleNamespace(terms=SimpleNamespace(metric="val/loss"))
    callback = Prune({}, context)
    callback.trial = object()  # only the first process may report
    callback.on_validation_end(trainer, Falling())
    assert (heard, trainer.should_stop) == ([False], ends)


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("median", "MedianPruner", {"_percentile": 50.0, "_n_startup_trials": 7, "_n_warmup_steps": 4}),
        ("percentile", "PercentilePruner", {"_percentile": 40.0, "_n_startup_trials": 7, "_n_warmup_steps": 4}),
        ("halving", "SuccessiveHalvingPruner", {"_min_resource": 2, "_reduction_factor": 5}),
        ("hyperband", "HyperbandPruner", {"_min_resource": 2, "_max_resource": 18, "_reduction_factor": 5}),
    ],
)
def test_pruners_have_the_settings(name: str, kind: str, settings: dict[str, float]):
    """The first epoch is 1, so that `warmup` epochs are left alone up to the next one."""
    given = {"startup_trials": 7, "warmup": 3, "percentile": 40.0, "reduction_factor": 5, "min_epochs": 2}
    pruner = make_pruner(18, dict(PruningSettings.model_validate({"pruner": name, **given})))
    assert type(pruner).__name__ == kind
    assert {key: getattr(pruner, key) for key in settings} == settings


def test_a_trial_outside_of_the_percentile_ends(trial, pruned):
    """Of four trials, the median would end the third best, too."""
    for value in (1.0, 2.0, 3.0, 4.0):
        trial([value] * 3, startup_trials=4)
    settings = {"startup_trials": 4, "pruner": "percentile"}
    assert trial([3.2] * 3, percentile=75.0, **settings) == ([], 3)
    assert trial([3.2] * 3, percentile=25.0, **settings)[1] < 3
    assert pruned == [5]


def test_only_a_running_trial_is_found(trial, tmp_path: Path):
    trial([1.0])
    study = open_study(tmp_path / JOURNAL)
    assert study.trials[0].state is TrialState.COMPLETE
    assert find_trial(study, 0) is None
    assert find_trial(study, 7) is None

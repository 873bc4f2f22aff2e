"""tune_gain: its trainings are jobs of a sweep, what was found is not computed again, and mistakes are said first."""

from pathlib import Path

import pytest

from modelforge.config.compose import compose
from modelforge.config.folder import default_conf
from modelforge.core.errors import ForgeError
from modelforge.results.collect import collect
from modelforge.runs.jobs import read_job, read_sweep_file
from modelforge.runs.liveness import claimed
from modelforge.runs.status import Status
from modelforge.sweeps.gain_report import BaseGain
from modelforge.sweeps.tune_gain import TuningSettings, number_at, tune_gain
from modelforge.train.job import Result

TINY = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "diagnose=false")


@pytest.mark.parametrize(
    ("overrides", "key", "expected", "written"),
    [
        (["init.gain=1.23456"], "init.gain", 1.23456, "1.23456"),
        (["init.gain=2"], "init.gain", 2, "2"),
        (["init=kaiming_normal"], "init.gain", 2**0.5, "relu"),
        (["init.gain=torch.tanh"], "init.gain", 5 / 3, "torch.tanh"),
        (["init.gain='LeakyReLU(1)'"], "init.gain", 1.0, "'LeakyReLU(1)'"),
        (["init=normal"], "init.std", 0.02, "0.02"),
    ],
)
def test_the_number_of_the_config_is_the_base(overrides: list[str], key: str, expected: float, written: str) -> None:
    found = number_at(compose(None, overrides), key)
    assert found == BaseGain(pytest.approx(expected), written)
    assert compose(None, [*overrides, f"{key}={written}"]).values == compose(None, overrides).values


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        (["init=normal"], "init.gain", "but the config has none"),
        (["init=kaiming_normal", "init.gain=auto"], "init.gain", "but it is `auto`"),
        ([], "init.scheme", "but it is `xavier`"),
        ([], "init", "must be a positive number"),
        ([], "init.gain.deeper", "but the config has none"),
    ],
)
def test_a_key_without_a_number_is_refused(overrides: list[str], key: str, message: str) -> None:
    with pytest.raises(ForgeError) as raised:
        number_at(compose(None, overrides), key)
    assert message in raised.value.problems[0].message


def settings(budget: int, *overrides: str) -> TuningSettings:
    return TuningSettings(default_conf(), (*TINY, *overrides), budget=budget, num_seeds=2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the jobs that were worked on; none trains, and nothing is predicted."""
    numbers: list[int] = []

    def work(folder: Path, number: int) -> Result:
        numbers.append(number)
        return Result(0, Status("finished", metrics={"val/accuracy": 0.5}))

    monkeypatch.setattr("modelforge.sweeps.tune_gain.work", work)
    monkeypatch.setattr("modelforge.sweeps.tune_gain.critical_gain", lambda planned, base: None)
    return numbers


def test_a_search_with_a_larger_budget_takes_the_jobs_that_are_there(tmp_path: Path, asked: list[int]) -> None:
    """Another budget asks in another order: a job is known by its config, not by its number."""
    folder = tmp_path / "search"
    tune_gain(settings(3, "optimizer.type=SGD"), folder, say=lambda line: None)
    first = read_sweep_file(folder)
    assert asked == [0, 1, 2]
    tune_gain(settings(6, "optimizer.type=SGD"), folder, say=lambda line: None)
    sweep = read_sweep_file(folder)
    assert sweep.jobs[:3] == first.jobs
    assert sweep.started == first.started
    assert asked[3:] == [0, 1, 3, 4, 5, 2]
    assert [job.number for job in sweep.jobs] == [*range(6)]
    assert len({job.hash for job in sweep.jobs}) == 6
    assert [*sweep.axes] == ["init.gain", "seed"]
    assert "betas" not in read_job(folder, 0).config["optimizer"], "of another type than SGD"


@pytest.mark.parametrize(("given", "name"), [("init.gain=1.23456", "1.23456"), ("init.gain=relu", "relu")])
def test_the_gain_of_the_config_is_trained_as_it_is(tmp_path: Path, asked: list[int], given: str, name: str) -> None:
    found = tune_gain(settings(1, given), tmp_path / "search", say=lambda line: None)
    assert found.override == f"init.gain={name}"
    (job,) = read_sweep_file(tmp_path / "search").jobs
    assert job.overrides[-2:] == (f"init.gain={name}", "seed=0")
    own = compose(None, [*TINY, given]).values["init"]
    assert read_job(tmp_path / "search", 0).config["init"] == own


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path, asked: list[int]) -> None:
    folder = tmp_path / "search"
    tune_gain(settings(1), folder, say=lambda line: None)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ForgeError, match="holds another search"):
        tune_gain(settings(1, "optimizer.lr=0.5"), folder, say=lambda line: None)
    with claimed(folder), pytest.raises(ForgeError, match="another process runs"):
        tune_gain(settings(1), folder, say=lambda line: None)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(ForgeError, match="already holds `search`"):
        tune_gain(settings(1), tmp_path, say=lambda line: None)
    assert asked == [0]


def test_a_mistake_in_the_config_is_said_before_any_training(tmp_path: Path, asked: list[int]) -> None:
    with pytest.raises(ForgeError, match="optimizer"):
        tune_gain(settings(1, "+optimizer.nonsense=1"), tmp_path / "search", say=lambda line: None)
    assert asked == []
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    first = tune_gain(settings(3), tmp_path / "search", say=lambda line: None)
    lines: list[str] = []
    again = tune_gain(settings(3), tmp_path / "search", say=lines.append)
    assert again.to_dict() == first.to_dict()
    assert first.search.num_tried == 3
    rows = collect(tmp_path / "search").rows
    assert [row.state for row in rows] == ["finished"] * 3
    attempts = {path.stat().st_mtime_ns for path in (tmp_path / "search").rglob("ledger.json")}
    tune_gain(settings(3), tmp_path / "search", say=lines.append)
    assert {path.stat().st_mtime_ns for path in (tmp_path / "search").rglob("ledger.json")} == attempts

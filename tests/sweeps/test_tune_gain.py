"""tune_gain: its trainings are jobs of a sweep, what was found is not computed again, and mistakes are said first."""

from pathlib import Path

import pytest

from modelforge.config import compose, default_conf
from modelforge.core.errors import ForgeError
from modelforge.results.collect import collect
from modelforge.sweeps.tune_gain import Wanted, number_at, tune_gain

TINY = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "diagnose=false")


@pytest.mark.parametrize(
    ("overrides", "key", "expected"),
    [
        (["init.gain=1.4"], "init.gain", 1.4),
        (["init=kaiming_normal"], "init.gain", 2**0.5),  # its file says `relu`
        (["init=normal"], "init.std", 0.02),
    ],
)
def test_the_number_of_the_config_is_the_base(overrides: list[str], key: str, expected: float) -> None:
    assert number_at(compose(None, overrides), key) == pytest.approx(expected)


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


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    wanted = Wanted(default_conf(), TINY, budget=3, num_seeds=2)
    first = tune_gain(wanted, tmp_path / "search", say=lambda line: None)
    lines: list[str] = []
    again = tune_gain(wanted, tmp_path / "search", say=lines.append)
    assert again.to_dict() == first.to_dict()
    assert first.search.num_tried == 3
    rows = collect(tmp_path / "search").rows
    assert [row.state for row in rows] == ["finished"] * 3
    attempts = {path.stat().st_mtime_ns for path in (tmp_path / "search").rglob("ledger.json")}
    tune_gain(wanted, tmp_path / "search", say=lines.append)
    assert {path.stat().st_mtime_ns for path in (tmp_path / "search").rglob("ledger.json")} == attempts

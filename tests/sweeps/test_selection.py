"""Which jobs a sweep has: products, zipped keys, conditions, invalid values; all problems before any job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from modelforge.config.sweeps import Sweep, read_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.sweeps.selection import Selection, select, zipped
from modelforge.train.settings import SweepSettings

FILES = {
    "config.yaml": "defaults: [_self_, init: a]\nseed: 0\nlr: 0.1\n",
    "init/a.yaml": "scheme: a\ngain: 1\n",
    "init/b.yaml": "scheme: b\ngain: 2\n",
    "init/c.yaml": "scheme: c\n",
    "hydra/default.yaml": "{}\n",
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "conf"


def positive(config):
    """Stands for all that a job is checked for."""
    if config.values["lr"] < 0:
        raise ForgeError([Problem("MF051", "lr", "`lr` must be positive")])
    return config, ()


def selected(conf: Path, *overrides: str, **settings) -> Selection:
    return select(read_sweep(conf, overrides), SweepSettings(**settings), conf, "config", positive)


def words(selection: Selection) -> list[str]:
    return [" ".join(job.overrides) for job in selection.jobs]


def refused(conf: Path, *overrides: str, **settings) -> Sequence[Problem]:
    with pytest.raises(ForgeError) as caught:
        selected(conf, *overrides, **settings)
    return caught.value.problems


def test_a_product_in_hydras_order(conf: Path):
    assert words(selected(conf, "init=a,b", "seed=1,2")) == [
        "init=a seed=1", "init=a seed=2", "init=b seed=1", "init=b seed=2",
    ]  # fmt: skip


def test_settings_of_the_engine_are_no_values(conf: Path):
    found = selected(conf, "seed=1,2", "hydra.sweep.dir=x", "++sweep.where='seed < 9'")
    assert words(found) == ["seed=1", "seed=2"]


def test_zipped_keys_go_together(conf: Path):
    found = selected(conf, "init=a,b", "seed=1,2", "init.gain=3,4", zip=(("init", "init.gain"),))
    assert words(found) == [
        "init=a seed=1 init.gain=3", "init=a seed=2 init.gain=3",
        "init=b seed=1 init.gain=4", "init=b seed=2 init.gain=4",
    ]  # fmt: skip
    found = selected(conf, "+new=0", "new=1,2", "seed=3,4", zip=(("new", "seed"),))
    assert words(found) == ["+new=0 new=1 seed=3", "+new=0 new=2 seed=4"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ((("init", "seeds"),), "`seeds` does not have several values"),
        ((("init", "lr"),), "`lr` does not have several values"),
        ((("init", "seed"),), "`init` has 2, `seed` has 3"),
        ((("init", "init"),), "is in two lists"),
    ],
)
def test_keys_that_cannot_be_zipped(conf: Path, keys, message: str):
    sweep: Sweep = read_sweep(conf, ["init=a,b", "seed=1,2,3", "lr=1"])
    with pytest.raises(ForgeError, match=message) as caught:
        zipped(sweep, keys)
    assert caught.value.problems[0].code == "MF084"


def test_conditions_choose_jobs(conf: Path):
    found = selected(conf, "init=a,b", "init.gain=1,3", where=("init != b or init.gain <= 1", "seed == 0"))
    assert words(found) == ["init=a init.gain=1", "init=a init.gain=3", "init=b init.gain=1"]
    assert found.num_excluded == 1


def test_a_condition_excludes_what_cannot_be_composed(conf: Path):
    assert words(selected(conf, "init=a,c", "init.gain=1,3", where="init != c")) == [
        "init=a init.gain=1", "init=a init.gain=3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "message", "hint"),
    [
        ("init.gian < 2", "there is no key `init.gian`", "did you mean `gain`?"),
        ("init != bb", "there is no `bb`", "did you mean `b`?"),
        ("init.gain =< 2", "is not a condition", ""),
        ("init.gain > 100", "no job is left", "change the condition"),
    ],
)
def test_a_wrong_condition(conf: Path, where: str, message: str, hint: str):
    (problem,) = {problem.message.partition(" (in ")[0]: problem for problem in refused(
        conf, "init=a,b", "init.gain=1,3", where=where
    )}.values()  # fmt: skip
    assert problem.code == "MF084"
    assert message in problem.message
    assert hint in problem.hint


def test_all_problems_come_before_the_first_job_and_equal_ones_once(conf: Path):
    problems = refused(conf, "init=a,c", "init.gain=1,2", "lr=-1,1")
    assert [problem.message for problem in problems] == [
        "`lr` must be positive (in 2 of 8 jobs)",
        "`init` has no key `gain` (in 4 of 8 jobs)",
    ]
    assert problems[1].place is not None
    assert problems[1].place.override == "init.gain=1,2"
    assert "`sweep.skip_invalid=true` leaves such jobs out" in problems[1].hint


def test_invalid_combinations_are_left_out(conf: Path):
    found = selected(conf, "init=a,c", "init.gain=1,2", "lr=-1,1", skip_invalid=True)
    assert words(found) == ["init=a init.gain=1 lr=1", "init=a init.gain=2 lr=1"]
    assert [out.overrides for out in found.left_out][:2] == [
        ("init=a", "init.gain=1", "lr=-1"), ("init=a", "init.gain=2", "lr=-1"),
    ]  # fmt: skip
    assert {problem["code"] for out in found.left_out for problem in out.problems} == {"MF051", "MF001"}
    assert [(one.code, one.severity) for one in found.warnings] == [("MW223", "warning")] * 2
    assert "left out: `lr` must be positive (in 2 of 8 jobs)" in found.warnings[0].message


def test_nothing_that_is_valid(conf: Path):
    assert "all 2 combinations have an invalid value" in refused(conf, "lr=-1,-2", skip_invalid=True)[-1].message

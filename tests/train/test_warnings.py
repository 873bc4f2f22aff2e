"""Every warning of a run is in its status and counted in its last line, whether or not it was printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelforge.config.compose import compose
from modelforge.config.sweeps import unread
from tests.train.conftest import CONF
from tests.train.runs import child

CSV = ("data=csv", "data.path=flowers.csv", "data.target=kind", "data.num_features=2")


def codes(folder: Path) -> list[str]:
    """The codes of the warnings in a status, in their order."""
    status = json.loads((folder / "status.json").read_text())
    assert all(warning["severity"] == "warning" and warning["message"] for warning in status["warnings"])
    return [warning["code"] for warning in status["warnings"]]


@pytest.mark.parametrize(
    ("overrides", "rows", "found"),
    [
        ((), [], []),
        (("init=constant", "init.value=0.1"), [], ["MW101"]),
        (CSV, [f"{row}.5,7,{'abc'[row % 3]}" for row in range(60)], ["MW203"]),
        (CSV, [f"{row},{row % 7},{'abc'[row % 3]}" for row in range(60)] + ["3,4,rare"], ["MW202"]),
        (
            CSV,
            [f"{row},{row % 7},{kind}" for row in range(30) for kind in ("cat", "cat\u00a0")],
            ["MW204", "MW208", "MW208"],
        ),
        (("+scheduler={type: CosineAnnealingLR, T_max: 31}",), [], ["MW211"]),
        (("callbacks=swa", "+trainer.max_steps=19"), [], ["MW211", "MW221"]),
        (("callbacks=ema", "callbacks.ema.start_step=19"), [], []),
        (("callbacks=ema", "callbacks.ema.start_step=20"), [], ["MW211"]),
        (
            ("init=constant", "init.value=0.1", *CSV),
            [f"{row}.5,7,{'abc'[row % 3]}" for row in range(60)],
            ["MW203", "MW101"],
        ),
    ],
)
def test_warnings_of_every_phase_are_kept(train, here: Path, capsys, overrides, rows, found):
    (here / "flowers.csv").write_text("\n".join(["width,height,kind", *rows]))
    kinds = len({row.rpartition(",")[2] for row in rows})
    result = train(*overrides, *([f"data.num_outputs={kinds}"] if rows else []), "trainer.max_epochs=1")
    assert result.exit_code == 0
    assert codes(here / "run") == found
    last = capsys.readouterr().out.splitlines()[-1]
    count = len(found) + ("MW101" in found)  # which is about two kernels
    words = f"{count} warning{'s' * (count != 1)} ({', '.join(sorted({*found}))})"
    assert (f"  ·  {words}  ·  " in last) == bool(found), last


def test_a_run_that_fails_keeps_its_warnings(train, tmp_path: Path):
    assert train("init=constant", "init.value=0.1", "optimizer.lr=1e30").status.state == "diverged"
    assert codes(tmp_path / "run") == ["MW101"]


def test_a_setting_without_effect_is_kept(tmp_path: Path):
    done = child(tmp_path / "run", "hydra.sweep.dir=other", "trainer.max_epochs=1", capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning[MW220]: `hydra.sweep.dir` has no effect on a single run\n")
    assert codes(tmp_path / "run") == ["MW220"]
    assert "1 warning (MW220)" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("overrides", "multirun", "keys"),
    [
        (["hydra.run.dir=a"], True, ["hydra.run.dir"]),
        (["hydra.run.dir=a", "seed=2"], False, []),
        (["hydra.sweep.dir=a", "hydra/launcher=basic"], False, ["hydra.sweep.dir", "hydra/launcher"]),
        (["experiment=gain_sweep"], False, ["hydra.sweeper.params.init.gain"]),
        (["experiment=gain_sweep", "init.gain=2"], False, []),
        (["experiment=gain_sweep"], True, []),
    ],
)
def test_what_the_other_kind_of_run_would_read(overrides, multirun, keys):
    found = [*unread(compose(CONF, overrides), overrides, multirun=multirun)]
    assert [problem.key for problem in found] == keys
    assert {problem.code for problem in found} <= {"MW220"}

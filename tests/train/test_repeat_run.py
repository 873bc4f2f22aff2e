"""`train.py --from RUN`: the same numbers again, or what differs; a config of a run is data."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from modelforge.runs.status import read_state
from modelforge.train.repeat_run import repeat
from tests.train.runs import ROOT

SMALL = ("model=mlp", "data=digits", "trainer.enable_progress_bar=false")


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs `train.py --from ...` in the folder of the test; gives the exit code."""
    monkeypatch.chdir(tmp_path)

    def repeated(*arguments: str) -> int:
        with pytest.raises(SystemExit) as caught:
            repeat(arguments)
        return int(caught.value.code or 0)

    return repeated


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_the_same_numbers(train, repeated, tmp_path: Path, capsys):
    train(*SMALL)
    capsys.readouterr()
    assert repeated("--from", "run", "hydra.run.dir=again") == 0
    out, err = capsys.readouterr()
    assert out.startswith("repeats run\n")
    assert out.endswith("the same numbers as run: 3 metrics, 3 lines of metrics.csv, 6 initial values\n")
    assert err == ""
    first, second = (json.loads((tmp_path / run / "status.json").read_text()) for run in ("run", "again"))
    assert first["metrics"] == second["metrics"]
    assert (second["repeats"], second["overrides"]) == ("run", ["hydra.run.dir=again"])
    assert (tmp_path / "run" / "config.yaml").read_text() == (tmp_path / "again" / "config.yaml").read_text()


def test_a_variable_of_a_launcher_that_holds_no_number_is_a_problem(monkeypatch: pytest.MonkeyPatch, capsys):
    for name, value in {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["train.py", "model=mlp"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("error[MF051]: the environment variable `RANK` must be a whole number")


def test_the_folder_is_a_new_one(train, repeated, tmp_path: Path):
    train(*SMALL, "trainer.max_epochs=1")
    assert repeated("--from=run") == 0
    (folder,) = (tmp_path / "runs" / "repeated").iterdir()
    assert read_state(folder) == "finished"


def test_what_looks_like_an_interpolation_is_text(train, repeated, tmp_path: Path, capsys):
    tags = ["${oops}", r"\${oc.env:HOME}", r"C:\new", 'it\'s "$\u00e9{x}" ${']
    train(*SMALL, "trainer.max_epochs=1", folder="first")
    config = yaml.safe_load((tmp_path / "first" / "config.yaml").read_text())
    (tmp_path / "first" / "config.yaml").write_text(yaml.safe_dump({**config, "tags": tags}, sort_keys=False))
    assert repeated("--from", "first", "hydra.run.dir=again", "optimizer.lr=${trainer.max_epochs}") == 0
    again = yaml.safe_load((tmp_path / "again" / "config.yaml").read_text())
    assert again == {**config, "tags": tags, "optimizer": {**config["optimizer"], "lr": 1}}
    assert "Traceback" not in capsys.readouterr().err


def test_arguments_of_blocks_stay_arguments(train, repeated, tmp_path: Path, capsys):
    train("model=lenet", *SMALL[1:], "trainer.max_epochs=1")
    assert "${arg:side}" in (tmp_path / "run" / "config.yaml").read_text()
    capsys.readouterr()
    assert repeated("--from", "run", "hydra.run.dir=again") == 0
    assert "the same numbers as run: 3 metrics, 2 lines" in capsys.readouterr().out
    assert (tmp_path / "run" / "config.yaml").read_text() == (tmp_path / "again" / "config.yaml").read_text()


def test_a_resumed_run_is_repeated_from_its_beginning(train, repeated, tmp_path: Path, capsys):
    train(*SMALL, "trainer.max_epochs=1", folder="half")
    train(*SMALL, f"ckpt={tmp_path / 'half' / 'checkpoints' / 'last.ckpt'}")
    (tmp_path / "half" / "checkpoints" / "last.ckpt").unlink()
    assert repeated("--from", "run", "hydra.run.dir=again") == 0
    assert "the same numbers as run: 3 metrics, 3 lines" in capsys.readouterr().out


def test_other_numbers_are_named_with_both_values(train, repeated, tmp_path: Path, capsys):
    train(*SMALL)
    rewrite(tmp_path / "run" / "status.json", lambda status: status["metrics"].update({"test/loss": 0.5}))
    rewrite(tmp_path / "run" / "ledger.json", lambda ledger: ledger["parameters"][0].update(digest="0000"))
    path = tmp_path / "run" / "metrics.csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[2][rows[0].index("val/loss")] = "0.25"
    path.write_text("\n".join(map(",".join, rows)))
    loss = json.loads((tmp_path / "run" / "status.json").read_text())["metrics"]
    capsys.readouterr()
    assert repeated("--from", "run", "hydra.run.dir=again") == 1
    found = json.loads((tmp_path / "again" / "status.json").read_text())["metrics"]
    assert loss["test/accuracy"] == found["test/accuracy"]
    err = capsys.readouterr().err
    assert err.count("error[MF074]") == 3
    assert "initial value of hidden1.weight was 0000 in `run`, and is " in err
    assert "val/loss in line 3 of metrics.csv was 0.25 in `run`, and is " in err
    assert f"test/loss was 0.5 in `run`, and is {found['test/loss']} here" in err


def test_what_the_run_does_not_hold_is_not_confirmed(train, repeated, tmp_path: Path, capsys):
    train(*SMALL, "trainer.max_epochs=1")
    rewrite(tmp_path / "run" / "status.json", lambda status: status.update(metrics={}))
    for name in ("ledger.json", "metrics.csv"):
        (tmp_path / "run" / name).unlink()
    capsys.readouterr()
    assert repeated("--from", "run", "hydra.run.dir=again") == 1
    out, err = capsys.readouterr()
    assert "the same numbers" not in out
    assert "the number of initial values was 0 in `run`, and is 6 here" in err
    assert "the number of lines of metrics.csv was 0 in `run`, and is 2 here" in err
    assert "the number of metrics reported was 0 in `run`, and is 3 here" in err


def test_other_values_are_shown_and_not_judged(train, repeated, tmp_path: Path, capsys):
    train(*SMALL)
    capsys.readouterr()
    assert repeated("--from", "run", "optimizer.lr=0.01", "+data.note=1") == 1
    assert "`data` has no key `note`" in capsys.readouterr().err
    assert repeated("--from", "run", "optimizer.lr=0.01", "tags=[again]", "hydra.run.dir=again") == 0
    out = capsys.readouterr().out
    assert out.startswith("repeats run\n  `optimizer.lr`: 0.002 → 0.01\n")
    assert [line.partition(":")[0] for line in out.splitlines()[-3:]] == ["val/accuracy", "test/loss", "test/accuracy"]
    assert " in run, " in out.splitlines()[-1]
    assert yaml.safe_load((tmp_path / "again" / "config.yaml").read_text())["tags"] == ["again"]


def test_what_cannot_change_the_numbers_is_judged(train, repeated, capsys):
    train(*SMALL, "trainer.max_epochs=1")
    free = ("checkpoint.every_n_steps=3", "tags=[again]", "+logger.tensorboard=true", "data.num_workers=1")
    assert repeated("--from", "run", *free, "hydra.run.dir=again") == 0
    assert "the same numbers as run" in capsys.readouterr().out


def test_other_versions_are_a_warning(train, repeated, tmp_path: Path, capsys):
    train(*SMALL, "trainer.max_epochs=1")
    rewrite(tmp_path / "run" / "environment.json", lambda found: found["packages"].update(torch="2.0.1"))
    assert repeated("--from", "run", "hydra.run.dir=again") == 0
    assert "warning[MW213]: `run` was made with other versions: `torch`: '2.0.1' → '" in capsys.readouterr().err
    (tmp_path / "run" / "environment.json").unlink()
    assert repeated("--from", "run", "hydra.run.dir=once-more") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from",), "`--from` needs one run folder"),
        (("--from", "a", "--from", "b"), "`--from` needs one run folder"),
        (("--from", "none"), "`none` does not exist, but `--from` repeats a run"),
        (("--from", "file"), "`file` is a file, but `--from` repeats a run"),
        (("--from", "empty"), "`empty` holds no run, but `--from` repeats a run"),
        (("--from", "broken"), "the status of `broken` cannot be read"),
        (("--from", "run", "-m", "seed=1,2"), "`--from` repeats one run, and takes no other flag, but gets `-m`"),
        (("--from", "run", "model=lstm"), "`model=lstm` chooses a file of `conf/`"),
        (("--from", "run", "logger=csv"), "`logger=csv` chooses a file of `conf/`"),
        (("--from", "run", "optimiser.lr=1"), "the config has no key `optimiser`"),
        (("--from", "run", "seed=1,2"), "seed=1,2"),
        (("--from", "run", "hydra.run.dir=run"), "`run` already holds a finished run"),
        (("--from", "run", "hydra.run.dir=x/${now:%Y}"), "`hydra.run.dir` of a repeated run must be a plain path"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_refused(repeated, finished, tmp_path: Path, capsys, arguments: tuple[str, ...], message: str):
    (tmp_path / "run").symlink_to(finished)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "broken" / "status.json").write_text("{")
    assert repeated(*arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    from modelforge.config.compose import compose
    from modelforge.train.job import execute
    from tests.train.conftest import CONF

    folder = tmp_path_factory.mktemp("finished") / "run"
    settings = [*SMALL, "trainer.max_epochs=1", "logger=csv"]
    assert execute(lambda: compose(CONF, settings), folder, show_plan=False).exit_code == 0
    return folder


def test_a_run_that_has_not_finished(repeated, finished, tmp_path: Path, capsys):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    status = json.loads((finished / "status.json").read_text())
    (tmp_path / "run" / "status.json").write_text(
        json.dumps(status | {"state": "interrupted", "overrides": ["seed=3"]})
    )
    assert repeated("--from", "run") == 1
    err = capsys.readouterr().err
    assert "`run` did not finish (its status is `interrupted`), so there is no result to compare with" in err
    assert "to finish it: `python train.py seed=3 ckpt=run/checkpoints/last.ckpt`" in err


def test_missing_data(train, repeated, here: Path, capsys):
    sizes = ("data.num_features=3", "data.num_outputs=3")
    assert train("model=mlp", "data=csv", "data.path=flowers.csv", "data.target=kind", *sizes).exit_code == 0
    capsys.readouterr()
    (here / "flowers.csv").unlink()
    assert repeated("--from", "run", "hydra.run.dir=again") == 1
    err = capsys.readouterr().err
    assert "flowers.csv" in err
    assert "Traceback" not in err
    assert not (here / "again").exists()


@pytest.mark.parametrize(
    "text",
    [
        "x: ${oc.env:HOME}\n", "x: !!python/object/apply:os.getcwd []\n", "defaults: [../a]\n",
        "hydra:\n  searchpath: ['file:///']\n", "x: ${oops}\n", "- 1\n", "{", "",
    ],
)  # fmt: skip
def test_the_config_of_a_run_is_data(repeated, finished, tmp_path: Path, capsys, text: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "status.json").write_text((finished / "status.json").read_text())
    (tmp_path / "run" / "config.yaml").write_text(text)
    assert repeated("--from", "run") == 1
    err = capsys.readouterr().err
    assert err.startswith("error[MF")
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_without_the_flag_nothing_is_done():
    repeat(["model=lstm", "tags=[--from]"])

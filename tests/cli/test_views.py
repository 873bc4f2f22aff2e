"""What every command prints at 80 and at 120 columns, and where a stream takes ASCII alone: nothing breaks a name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file
from typer.testing import CliRunner

import modelforge as mf
from modelforge.cli.app import app
from modelforge.config.compose import compose

WEIGHTS = "weights/of/a/model/that/others/trained/in/a/folder/of/a/long/name/model-00001.safetensors"
COMMANDS = {
    "check": ("check", "model=blocks"),
    "check all": ("check",),
    "check failing": ("check", "model.layers.rnn.hiden_size=3", "init.gain=x"),
    "show": ("show",),
    "show blocks": ("show", "model=blocks"),
    "explain": ("explain", "rnn.weight_hh_l0", "init.gain=3"),
    "explain a deep path": ("explain", "trunk.0.expand.weight", "model=blocks"),
    "explain weights": ("explain", "trunk.1.contract.weight", "model=blocks", f"+weights.path={WEIGHTS}"),
    "list a layer": ("list", "layers", "SelfAttention"),
    "list layers": ("list", "layers", "*Residual"),
    "list an init": ("list", "inits", "pretrained"),
    "list inits": ("list", "inits", "torch.*"),
    "list an activation": ("list", "activations", "ReLU"),
    "list activations": ("list", "activations", "*elu"),
    "verify": ("verify", "run"),
    "verify failing": ("verify", "edited"),
    "diff": ("diff", "model=rnn", "model=rnn init.gain=2 model.layers.rnn.hidden_size=8"),
    "sweep": ("sweep", "sweep"),
    "sweep of many keys": ("sweep", "wide"),
}
STATUS = {"check all": 1, "check failing": 1, "verify failing": 1, "sweep": 1, "sweep of many keys": 1}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with configs, weights, a run, the same run with an edited seed, and two sweeps."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(Path(__file__).parent / "conf", folder / "conf")
    config = compose(folder / "conf", ["model=blocks"])
    model = mf.build(mf.parse(config))
    (folder / WEIGHTS).parent.mkdir(parents=True)
    save_file({name: value.half() for name, value in model.state_dict().items()}, folder / WEIGHTS)
    ledger = json.dumps(model.ledger.to_dict()).replace(f"{folder}/", "")
    for name, seed in (("run", 0), ("edited", 1)):
        (folder / name).mkdir()
        values = json.loads(json.dumps(config.values, default=dict)) | {"seed": seed}
        (folder / name / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        (folder / name / "ledger.json").write_text(ledger)
    wide = {f"model.layers.trunk.layers.expand.init.params.{name}.gain": "1" for name in ("weight", "other", "third")}
    for name, swept in (("sweep", {}), ("wide", wide)):
        for number, state in enumerate(("finished", "finished", "diverged", "interrupted")):
            _job(folder / name, number, state, {"init.gain": f"{number + 1}", **dict.fromkeys(swept, f"{number // 2}")})
    return folder


def _job(sweep: Path, number: int, state: str, overrides: dict[str, str]) -> None:
    message = "training diverged at step 2: layer `head` is the first to output 640 infinite of 640 values"
    metrics = {"val/accuracy": 0.9 - number / 64, "test/accuracy": 0.875 + number / 64, "test/loss": 0.3}
    status = {
        "state": state,
        "error": [{"message": message}] if state == "diverged" else [],
        "overrides": [f"{key}={value}" for key, value in overrides.items()],
        "metrics": metrics if state == "finished" else {},
        "seconds": 1.5,
        "optimized_metric": "val/accuracy",
        "host": "elsewhere",
        "pid": 1,
    }
    (sweep / str(number)).mkdir(parents=True)
    (sweep / str(number) / "status.json").write_text(json.dumps(status))


@pytest.mark.parametrize(("columns", "charset"), [(80, "utf-8"), (120, "utf-8"), (80, "ascii")])
@pytest.mark.parametrize("name", COMMANDS)
def test_view(name, columns, charset, project, here, monkeypatch, snapshot):
    del here
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", str(columns))
    result = CliRunner(charset=charset).invoke(app, COMMANDS[name])
    assert result.exit_code == STATUS.get(name, 0), (result.output, result.exception)
    lines = result.output.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert "\n".join(lines) == snapshot
    # Problems are not wrapped, so that carets stay below what they mark; nor is a word that is longer than the line.
    long = [line for line in lines if len(line) > columns and WEIGHTS not in line]
    assert not long or charset == "ascii" or name.startswith(("check", "show blocks", "verify failing"))

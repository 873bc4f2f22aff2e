"""verify: whether the config of a run still gives the start in its ledger, and what a checkpoint changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import modelforge as mf
from modelforge.cli.verify import verify
from modelforge.core.errors import ForgeError
from modelforge.report.table import to_text

CONFIG = {
    "input": {"shape": [4]},
    "layers": {"hidden": {"type": "Linear", "out_features": 3}, "head": {"type": "Linear", "out_features": 2}},
}


def checkpoint(model: torch.nn.Module) -> dict[str, Any]:
    """The values of a model as Lightning keeps them."""
    return {"state_dict": {f"model.{name}": value.clone() for name, value in model.state_dict().items()}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run, as far as this command reads it."""
    values = {"model": CONFIG, "init": {"scheme": "xavier"}, "seed": 1}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    model = mf.build(mf.parse(values))
    (tmp_path / "ledger.json").write_text(json.dumps(model.ledger.to_dict()))
    (tmp_path / "checkpoints").mkdir()
    torch.save(checkpoint(model), tmp_path / "a.ckpt")
    model.head.weight.data += 1
    torch.save(checkpoint(model), tmp_path / "checkpoints" / "last.ckpt")
    return tmp_path


def test_the_start_is_built_again_and_equal(folder: Path):
    answer = verify(folder, None)
    assert answer.status == 0
    assert (answer.data["ok"], answer.data["ckpt"]) == (True, None)


def test_another_seed_gives_another_start(folder: Path):
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("seed: 1", "seed: 2"))
    answer = verify(folder, None)
    assert answer.status == 1
    assert answer.data["parameters"]["hidden.weight"] != "same"


def test_a_checkpoint_shows_what_training_changed(folder: Path):
    states = verify(folder, "last").data["parameters"]
    assert {path for path, state in states.items() if state != "same"} == {"head.weight"}
    assert verify(folder, str(folder / "a.ckpt")).status == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "no such file or directory"), ("[1]", "it holds no mapping"), ("a: [", "while parsing"), ("!!int x", "")],
)
def test_without_a_config_the_start_cannot_be_built(folder: Path, text: str | None, reason: str):
    (folder / "config.yaml").unlink()
    if text is not None:
        (folder / "config.yaml").write_text(text)
    with pytest.raises(ForgeError) as caught:
        verify(folder, None)
    (problem,) = caught.value.problems
    assert problem.code == "MF068"
    assert reason in problem.message


def test_a_checkpoint_that_is_not_there_is_a_problem_of_the_option(folder: Path):
    with pytest.raises(ForgeError) as caught:
        verify(folder, "best")
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF110", "--ckpt")
    assert problem.message.endswith("checkpoints/best.ckpt` cannot be loaded: there is no such file")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("hidden.bias", "head.bias"), "0 of 4 parameters are no longer as they started, 2 are not in it"),
        (("hidden.weight", "hidden.bias", "head.bias"), "started, 1 is not in it"),
        ((), "0 of 4 parameters are no longer as they started, 4 are not in it"),
    ],
)
def test_what_a_checkpoint_lacks_is_not_called_changed(folder: Path, names: tuple[str, ...], words: str):
    whole = torch.load(folder / "a.ckpt")["state_dict"]
    part = {name: whole[f"model.{name}"] for name in names}
    torch.save(part | {"other": torch.zeros(2)}, folder / "part.pt")
    answer = verify(folder, str(folder / "part.pt"))
    assert answer.status == 1
    assert words in to_text(answer.text, 200)

"""`weights=run weights.path=RUN`: a run that starts from the best checkpoint of another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import modelforge as mf
from modelforge.core.errors import ForgeError

MLP = ("model=mlp", "data=digits")


@pytest.fixture
def run(train, tmp_path: Path) -> Path:
    assert train(*MLP, folder="first").exit_code == 0
    return tmp_path / "first"


def values(run: Path) -> dict[str, torch.Tensor]:
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}


def start(config, *overrides: str) -> dict[str, torch.Tensor]:
    plan = mf.plan(mf.parse(config(*overrides)))
    return mf.build(plan, seed=0).state_dict()


def test_it_starts_with_the_values_of_the_best_checkpoint(run: Path, config):
    found, best = start(config, *MLP, "weights=run", f"weights.path={run}"), values(run)
    assert found.keys() == best.keys()
    assert all(torch.equal(found[name], best[name]) for name in best)


def test_a_new_head_starts_by_its_init_block(run: Path, config):
    head = ("model.layers.head.out_features=3", "weights=run", f"weights.path={run}")
    with pytest.raises(ForgeError, match=r"head.weight is \(10, 128\) there, but must be \(3, 128\)"):
        start(config, *MLP, *head)
    found, best = start(config, *MLP, *head, "weights.skip=[head.*]"), values(run)
    assert found["head.weight"].shape == (3, 128)
    assert all(torch.equal(found[name], best[name]) for name in best if not name.startswith("head."))


def test_other_names_are_mapped(run: Path, config):
    weights = ("weights=run", f"weights.path={run}", "weights.rename={hidden1: hidden1}", "weights.skip=[]")
    assert start(config, *MLP, *weights).keys() == values(run).keys()
    with pytest.raises(ForgeError, match="MF113"):
        start(config, *MLP, "weights=run", f"weights.path={run}", "weights.rename={head: top}")


def test_a_run_is_fine_tuned(train, run: Path, tmp_path: Path):
    again = train(*MLP, "weights=run", f"weights.path={run}", "optimizer.lr=1e-4", "seed=1", folder="second")
    assert again.exit_code == 0
    rows = json.loads((tmp_path / "second" / "ledger.json").read_text())["parameters"]
    assert {row["scheme"] for row in rows} == {"pretrained"}
    first, second = (
        json.loads((tmp_path / name / "status.json").read_text())["metrics"] for name in ("first", "second")
    )
    assert second["test/loss"] < first["test/loss"]


def test_a_folder_that_is_no_run_is_no_file(tmp_path: Path, config):
    with pytest.raises(ForgeError, match="it is a folder, not a file"):
        start(config, *MLP, "weights=run", f"weights.path={tmp_path}")
    with pytest.raises(ForgeError, match=r"weights\.path"):
        start(config, *MLP, "weights=run")

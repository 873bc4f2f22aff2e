"""A config that states the model's dtype: plan, ledger, loss, and the run that `verify` builds again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import modelforge as mf
from modelforge.cli.verify import verify
from modelforge.core.errors import ForgeError
from modelforge.train.data.batches import read_by
from tests.train.runs import last

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float64"])
def test_the_model_is_built_in_the_dtype_of_its_config(name: str):
    spec = mf.load(CONF, overrides=["model=cnn", f"dtype={name}"])
    assert spec.to_dict()["dtype"] == name
    assert mf.parse(spec.to_dict()) == spec
    plan = mf.plan(spec)
    assert {item.dtype for item in plan.parameters} == {name}
    model = mf.build(plan)
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, name)}
    assert model.ledger.ok
    assert mf.verify(model, model.ledger).ok
    by_hand = mf.build(mf.load(CONF, overrides=["model=cnn"]), dtype=getattr(torch, name))
    assert all(torch.equal(weight, by_hand.get_parameter(path)) for path, weight in model.named_parameters())


def test_what_the_caller_says_goes_before_the_config():
    spec = mf.load(CONF, overrides=["model=mlp", "dtype=bfloat16"])
    assert {weight.dtype for weight in mf.build(spec, dtype=torch.float64).parameters()} == {torch.float64}


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ForgeError, match=r"`dtype` must be .*, but is 'bf16'") as caught:
        mf.load(CONF, overrides=["model=mlp", "dtype=bf16"])
    (problem,) = caught.value.problems
    assert (problem.key, problem.hint) == ("dtype", "did you mean `bfloat16`?")


def test_inputs_follow_the_model():
    model = torch.nn.Linear(3, 2, dtype=torch.bfloat16)
    assert read_by(model, torch.zeros(1, 3)).dtype == torch.bfloat16
    embedding = torch.nn.Embedding(3, 2, dtype=torch.bfloat16)
    assert read_by(embedding, (torch.zeros(1, dtype=torch.int64),)).dtype == torch.bfloat16


@pytest.mark.parametrize("overrides", [("model=lstm", "data=adding"), ("model=cnn", "freeze={conv1.*: 1}")], ids=str)
def test_a_run_in_bfloat16_is_trained_verified_and_resumed(train, tmp_path: Path, overrides: tuple[str, ...]):
    settings = (
        *overrides,
        "dtype=bfloat16",
        "+trainer.limit_train_batches=3",
        "scheduler=cosine",
        "scheduler.horizon=6",
    )
    assert train(*settings, folder="whole").exit_code == 0
    assert train(*settings, "trainer.max_epochs=1", folder="half").exit_code == 0
    assert train(*settings, f"ckpt={last(tmp_path / 'half')}", folder="new").exit_code == 0
    whole, new = (torch.load(last(tmp_path / run), weights_only=True) for run in ("whole", "new"))
    weights = {name: value for name, value in whole["state_dict"].items() if name.startswith("model.")}
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.bfloat16}
    assert all(torch.equal(value, new["state_dict"][name]) for name, value in weights.items())
    assert verify(tmp_path / "whole", None).status == 0
    run = mf.load_run(tmp_path / "whole")
    assert run.evaluate().metrics["loss"] == pytest.approx(run.reported["test/loss"], rel=1e-6)
    rows = (tmp_path / "whole" / "metrics.csv").read_text()
    assert rows == (tmp_path / "new" / "metrics.csv").read_text()


def test_a_narrow_precision_is_a_narrow_model_with_metrics_in_float32(train, tmp_path: Path):
    """Sums in bfloat16 stop growing: targets and metrics keep their types."""
    settings = ("model=lstm", "data=adding", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "logger=csv")
    assert train(*settings, "trainer.precision=bf16-true", folder="precision").exit_code == 0
    assert train(*settings, "dtype=bfloat16", folder="dtype").exit_code == 0
    first, second = ((tmp_path / folder / "metrics.csv").read_text() for folder in ("precision", "dtype"))
    assert first == second

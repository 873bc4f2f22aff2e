"""Frozen parameters: which, for how long, and what becomes of statistics, optimizer states and resumed runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.train.freezing import parse_freeze
from tests.train.problems import said
from tests.train.runs import last

LAYERS = {
    "stem": {"type": "Linear", "out_features": 4},
    "norm": {"type": "BatchNorm1d"},
    "plain": {"type": "BatchNorm1d", "affine": False},
    "head": {"type": "Linear", "out_features": 2},
}
PLAN = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": LAYERS}, init="xavier"))


def test_globs_freeze_for_good_and_numbers_for_epochs():
    freezing, problems = parse_freeze(["stem.*"], PLAN)
    assert not problems
    assert freezing.never_trained == {"stem.weight", "stem.bias"}
    freezing, problems = parse_freeze({"stem.*": 2, "norm.*": None}, PLAN)
    assert not problems
    assert freezing.never_trained == {"norm.weight", "norm.bias"}
    assert [freezing.is_frozen("stem.weight", epoch) for epoch in range(4)] == [True, True, False, False]
    assert not freezing.is_frozen("head.weight", 0)
    assert parse_freeze(None, PLAN)[0].epochs == {}


def test_a_tied_parameter_goes_by_all_of_its_names():
    layers = {"token": {"type": "Embedding", "num_embeddings": 5, "embedding_dim": 4}, "norm": "LayerNorm"}
    layers["head"] = {"type": "Linear", "out_features": 5, "bias": False}
    raw = {"input": {"shape": [6], "dtype": "int64"}, "layers": layers, "tie": {"head.weight": "token.weight"}}
    freezing, problems = parse_freeze(["head.*"], mf.plan(mf.parse(raw, init="xavier")))
    assert not problems
    assert freezing.never_trained == {"token.weight"}


def test_norms_of_frozen_modules_keep_their_statistics():
    model = mf.build(PLAN).train()
    freezing, _ = parse_freeze({"norm.*": 2}, PLAN)
    freezing.apply(model, 0)
    assert (model.norm.training, model.plain.training, model.stem.training) == (False, True, True)
    before = model.norm.running_mean.clone()
    model(torch.randn(8, 3)).sum().backward()
    assert torch.equal(model.norm.running_mean, before)
    assert model.norm.weight.grad is None
    freezing.apply(model, 2)
    assert model.norm.training
    assert model.norm.weight.requires_grad


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            3,
            [
                (
                    "freeze",
                    "`freeze` must be a list of globs, or a mapping from them to epochs, but is 3",
                    "write `freeze: [stem.*]`, or `freeze: {stem.*: 3}` to train it after 3 epochs",
                )
            ],
        ),
        (
            ["steem.*", "haed.bias"],
            [
                ("freeze.0", "`steem.*` matches no parameter", "did you mean `stem.*` or `stem.bias`?"),
                ("freeze.1", "`haed.bias` matches no parameter", "did you mean `head.bias` or `stem.bias`?"),
            ],
        ),
        (
            ["*"],
            [
                (
                    "freeze",
                    "every parameter is frozen at the start, so there is nothing to train",
                    "leave the last layer out",
                )
            ],
        ),
        (
            {"stem.*": 0, "head.*": True, "norm.*": 1.5},
            [
                (
                    f"freeze.{glob}",
                    f"`{glob}` must be frozen for a whole number of epochs, or null for all, but is {given}",
                    "",
                )
                for glob, given in (("stem.*", 0), ("head.*", True), ("norm.*", 1.5))
            ],
        ),
        (
            {"stem.*": 2, "*.bias": 3},
            [("freeze.*.bias", "`stem.*` and `*.bias` freeze `stem.bias` for different times", "narrow one of them")],
        ),
    ],
    ids=str,
)
def test_wrong_sections(section: Any, expected: list[tuple[str, str, str]]):
    assert said(parse_freeze(section, PLAN)[1]) == expected


def test_a_thaw_behind_the_end_is_a_warning():
    freezing, _ = parse_freeze({"stem.*": 3}, PLAN)
    (warning,) = freezing.late(3)
    assert (warning.code, warning.message) == (
        "MW211",
        "`stem.*` is frozen for 3 epochs, but the training has 3: it is never trained",
    )
    assert not [*freezing.late(4), *freezing.late(None)]


NORM = ("+model.layers.norm.type=BatchNorm1d", "+model.layers.last.type=Linear", "+model.layers.last.out_features=10")


def weights(folder: Path, name: str) -> torch.Tensor:
    return torch.load(last(folder), weights_only=True)["state_dict"][f"model.{name}"]


def test_what_is_frozen_keeps_its_values(train, tmp_path: Path):
    frozen = "freeze=[hidden1.*,norm.*]"
    assert train(*NORM, frozen, folder="two").exit_code == 0
    assert train(*NORM, frozen, "trainer.max_epochs=1", folder="one").exit_code == 0
    for name in ("hidden1.weight", "norm.weight", "norm.running_mean", "norm.num_batches_tracked"):
        assert torch.equal(weights(tmp_path / "two", name), weights(tmp_path / "one", name)), name
    assert not torch.equal(weights(tmp_path / "two", "hidden2.weight"), weights(tmp_path / "one", "hidden2.weight"))
    state = torch.load(last(tmp_path / "two"), weights_only=True)["optimizer_states"][0]["state"]
    assert len(state) == 6


def test_a_run_that_thaws_is_resumed_to_the_bit(train, tmp_path: Path):
    settings = (*NORM, "freeze={hidden1.*: 2, norm.*: 1}", "trainer.max_epochs=3")
    assert train(*settings, folder="whole").exit_code == 0
    assert train(*settings[:-1], "trainer.max_epochs=2", folder="half").exit_code == 0
    assert train(*settings, f"ckpt={last(tmp_path / 'half')}", folder="new").exit_code == 0
    whole, new = (torch.load(last(tmp_path / run), weights_only=True) for run in ("whole", "new"))
    assert all(torch.equal(value, new["state_dict"][name]) for name, value in whole["state_dict"].items())
    half = torch.load(last(tmp_path / "half"), weights_only=True)["state_dict"]
    assert torch.equal(half["model.hidden1.weight"], weights(tmp_path / "half", "hidden1.weight"))
    assert not torch.equal(half["model.hidden1.weight"], new["state_dict"]["model.hidden1.weight"])
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "new" / "metrics.csv").read_text()

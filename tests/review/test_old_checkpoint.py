"""What of an old checkpoint a model takes; the renames are used, with a file of the old model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import modelforge as mf
from modelforge.review.old_checkpoint import checkpoint_names, old_checkpoint
from modelforge.review.pairing import paired

LINEAR = {"type": "Linear", "out_features": 8}
NORM = {"type": "BatchNorm1d"}
BODY = {"type": "Sequential", "layers": {"a": LINEAR}}


def model(layers: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"input": {"shape": [8]}, "layers": layers, **keys}


def repeat(name: str) -> dict[str, Any]:
    return {"type": "Repeat", "times": 3, "layers": {name: {"type": "Residual", "layers": {"up": LINEAR}}}}


MODELS = {
    "renamed": (model({"a": LINEAR, "n": NORM}), model({"b": LINEAR, "norm": NORM})),
    "exchanged": (model({"a": LINEAR, "act": "ReLU", "b": NORM}), model({"b": LINEAR, "act": "ReLU", "a": NORM})),
    "in copies": (model({"body": repeat("old")}), model({"body": repeat("new")})),
    "moved": (model({"a": LINEAR, "b": NORM}), model({"body": BODY, "b": NORM})),
    "wider": (model({"a": LINEAR, "b": LINEAR}), model({"a": {**LINEAR, "out_features": 9}, "b": LINEAR})),
    "longer": (model({"a": LINEAR}), model({"a": LINEAR, "c": NORM, "b": LINEAR})),
    "shorter": (model({"a": LINEAR, "b": LINEAR, "c": NORM}), model({"a": LINEAR})),
    "renamed and wider": (model({"a": LINEAR, "b": LINEAR}), model({"x": LINEAR, "b": {**LINEAR, "out_features": 3}})),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_renames_load_what_they_say(tmp_path: Path, name: str):
    before, after = MODELS[name]
    old, new = (mf.plan(mf.parse(one, init="xavier")) for one in (before, after))
    found = old_checkpoint(old, new, paired(old, new))
    state = mf.build(mf.parse(before, init="xavier", seed=7)).state_dict()
    assert set(state) == set(checkpoint_names(old))
    file = tmp_path / "old.safetensors"
    save_file(state, file)
    built = mf.build(mf.parse(after, init="xavier", weights={"path": str(file), **found.weights})).state_dict()
    for old_name, new_name in {**dict.fromkeys(found.loads), **found.renamed}.items():
        assert torch.equal(built[new_name or old_name], state[old_name])
    assert len(found.loads) + len(found.renamed) + len(found.missing) == len(built)
    assert found.num_keys == len(state)


def test_renames_are_short():
    weights = {}
    for name in ("renamed", "in copies", "shorter", "wider"):
        old, new = (mf.plan(mf.parse(one, init="xavier")) for one in MODELS[name])
        weights[name] = old_checkpoint(old, new, paired(old, new)).weights
    assert weights == {
        "renamed": {"rename": {"a": "b", "n": "norm"}},
        "in copies": {"rename": {"body.{n}.old": "body.{n}.new"}},
        "shorter": {"rename": {"b": None, "c": None}},
        "wider": {"skip": ["a.*", "b.weight"]},
    }


@pytest.mark.parametrize("bias", [True, False])
def test_where_nothing_fits_no_section_is_suggested(bias: bool):
    before = model({"a": LINEAR, "b": {**LINEAR, "bias": bias}})
    after = model({"a": {**LINEAR, "out_features": 9, "bias": False}, "b": {**LINEAR, "out_features": 7}})
    old, new = (mf.plan(mf.parse(one, init="xavier")) for one in (before, after))
    found = old_checkpoint(old, new, paired(old, new))
    assert (found.loads, dict(found.renamed), found.fits, found.weights) == ((), {}, False, {})


def test_a_tied_parameter_counts_under_both_names():
    tied = {"a": {**LINEAR, "bias": False}, "b": {**LINEAR, "bias": False}}
    old = mf.plan(mf.parse(model(tied, tie={"b.weight": "a.weight"}), init="xavier"))
    new = mf.plan(mf.parse(model(tied), init="xavier"))
    found = old_checkpoint(old, new, paired(old, new))
    assert (found.loads, found.missing) == (("a.weight", "b.weight"), ())

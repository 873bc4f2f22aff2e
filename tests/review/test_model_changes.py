"""Changes of a model as data: ratios of stds, causes, and what an init block does not reach."""

from __future__ import annotations

import json
from math import inf

import pytest

from modelforge.review.diff import diff

LAYERS = {"hidden": {"type": "Linear", "out_features": 4}, "head": {"type": "Linear", "out_features": 2}}


def normal(std: float) -> dict[str, object]:
    return {"scheme": "normal", "std": std}


@pytest.mark.parametrize(("old", "new", "ratio"), [(0.5, 1.0, 2.0), (0.0, 1.0, inf), (1.0, 0.0, 0.0)])
def test_the_ratio_is_that_of_the_target_stds(plan, old: float, new: float, ratio: float):
    found = diff(plan(normal(old), **LAYERS), plan(normal(new), **LAYERS))
    weight = next(item for item in found.parameters if item.path == "head.weight")
    assert (weight.ratio, weight.std_changed) == (ratio, True)


def test_a_parameter_of_one_side_has_no_ratio_and_shows_that_side(plan):
    old, new = plan(hidden=LAYERS["hidden"]), plan(**LAYERS)
    added = next(item for item in diff(old, new).parameters if item.path == "head.weight")
    removed = next(item for item in diff(new, old).parameters if item.path == "head.weight")
    assert (added.kind, added.ratio, added.shown.shape) == ("added", None, (2, 4))
    assert (removed.kind, removed.shown.shape) == ("removed", (2, 4))
    assert not added.std_changed


def test_causes_are_what_others_follow_from(plan):
    found = diff(plan("orthogonal", **LAYERS), plan({"scheme": "orthogonal", "gain": 2.0}, **LAYERS))
    weight = next(item for item in found.parameters if item.path == "hidden.weight")
    assert [change.name for change in weight.causes] == ["gain"]
    gain = weight.change("gain")
    assert gain is not None
    assert (gain.old, gain.new) == (1.0, 2.0)
    assert weight.change("nothing") is None


def test_a_layer_is_of_the_type_that_it_has_now(plan):
    found = diff(plan(norm="LayerNorm", act="ReLU"), plan(norm="RMSNorm"))
    assert {layer.path: (layer.kind, layer.type) for layer in found.layers} == {
        "norm": ("changed", "RMSNorm"),
        "act": ("removed", "ReLU"),
    }


def test_changes_are_equal_where_nothing_differs_and_are_plain_data(plan):
    assert diff(plan(**LAYERS), plan(**LAYERS)).equal
    data = json.loads(json.dumps(diff(plan(**LAYERS), plan(seed=1, **LAYERS)).to_dict()))
    assert not data["equal"]
    assert [change["name"] for change in data["totals"]] == ["seed"]

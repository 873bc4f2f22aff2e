"""How parameters start: what is said of two plans is true of the models that they build."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.review.diff import diff
from modelforge.review.starts import starts

HEAD = {"type": "Linear", "out_features": 4}
LAYERS = {"a": HEAD, "act": "ReLU", "b": HEAD}


def spec(layers: dict[str, Any] = LAYERS, init: Any = "xavier", seed: int = 0) -> mf.ModelSpec:
    return mf.parse({"input": {"shape": [8]}, "layers": layers}, init=init, seed=seed)


SPECS = {
    "the same": spec(),
    "another seed": spec(seed=1),
    "a name": spec({"x": HEAD, "act": "ReLU", "b": HEAD}),
    "a gain": spec(init={"scheme": "xavier", "gain": 2.0}),
    "an activation": spec({**LAYERS, "act": "Tanh"}),
    "a width": spec({**LAYERS, "a": {**HEAD, "out_features": 5}}),
    "zeros": spec(init="zeros"),
    "one layer": spec({"a": HEAD}),
}


@pytest.mark.parametrize("name", SPECS)
def test_equal_to_the_bit_is_just_that(name: str):
    old, new = spec(), SPECS[name]
    before, after = mf.plan(old), mf.plan(new)
    found = starts(before, after, diff(before, after))
    left, right = (mf.build(one).state_dict() for one in (old, new))
    names = {"x.weight": "a.weight", "x.bias": "a.bias"}
    for path, value in right.items():
        twin = left.get(names.get(path, path))
        same = twin is not None and twin.shape == value.shape and torch.equal(twin, value)
        assert (path in found.identical) == same, path
    paths = {*found.identical, *found.redrawn, *found.changed, *found.added}
    assert paths == set(right)


def test_another_seed_or_name_is_the_same_distribution():
    before = mf.plan(spec())
    for name, redrawn in {"another seed": ("a.weight", "b.weight"), "a name": ("x.weight",)}.items():
        after = mf.plan(SPECS[name])
        assert starts(before, after, diff(before, after)).redrawn == redrawn


def test_what_comes_and_goes_is_named():
    before, after = mf.plan(spec()), mf.plan(SPECS["one layer"])
    assert starts(before, after, diff(before, after)).removed == ("b.weight", "b.bias")
    assert starts(after, before, diff(after, before)).added == ("b.bias", "b.weight")

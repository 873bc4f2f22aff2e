"""The parts of a model that FSDP2 gathers one at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelforge as mf
from modelforge.building.build import on_meta
from modelforge.config.compose import compose
from modelforge.train.parallel.sharding import NUM_PARTS, parts

CONF = Path(__file__).parents[3] / "conf"


@pytest.mark.parametrize(
    "overrides", [("model=gpt2", "data=text"), ("model=resnet_small", "data=digits"), ("model=t5", "data=reverse")]
)
def test_parts_hold_each_parameter_once_and_leave_tied_ones_to_the_whole(overrides: tuple[str, ...]):
    model = on_meta(mf.plan(mf.parse(compose(CONF, overrides))))
    found = [*parts(model)]
    held = [id(weight) for part in found for weight in part.parameters()]
    assert len(held) == len(set(held))
    outside = [weight for weight in model.parameters() if id(weight) not in set(held)]
    names = {name for name, weight in model.named_parameters() if any(weight is one for one in outside)}
    uses = [id(weight) for module in model.modules() for weight in module._parameters.values() if weight is not None]
    assert all(uses.count(id(weight)) > 1 for weight in outside), names


def test_a_deep_model_is_divided():
    block = {"type": "Linear", "out_features": 16}
    stack = {"type": "Repeat", "times": 4 * NUM_PARTS, "layers": {"one": block}}
    model = on_meta(mf.plan(mf.parse({"input": {"shape": [16]}, "layers": {"stack": stack}}, init="xavier")))
    whole = sum(weight.numel() for weight in model.parameters())
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in parts(model)]
    assert sum(sizes) == whole
    assert max(sizes) <= whole / NUM_PARTS

"""repair: overrides that, added to a config, keep its energies as the document says."""

from __future__ import annotations

import pytest
import torch
import yaml
from torch import nn

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Repair, Start
from modelforge.layers import unregister_layer
from tests.diagnosis.nets import deep

DEEP = "+model.layers.deep={type: Repeat, times: 20, layers: {hidden: {type: Linear, out_features: 64}, act: %s}}"


STEADY = {("Tanh", "init=xavier_uniform")}


def predicted(*overrides: str) -> Start:
    return diagnose(mf.plan(mf.load("conf", overrides=list(overrides))), measure=False).first


@pytest.mark.parametrize("act", ["ReLU", "Tanh"])
@pytest.mark.parametrize("init", ["init=xavier_uniform", "init.gain=0.3", "init.gain=4"])
def test_the_overrides_lead_to_what_is_said(act, init):
    config = ("model=mlp", DEEP % act, init)
    start = predicted(*config)
    assert (start.repair is None) == (start.cause.severity == "none") == ((act, init) in STEADY)
    if start.repair is None:
        return
    assert all(override.startswith("init.gain=") for override in start.repair.overrides)
    after = predicted(*config, *start.repair.overrides)
    assert after.cause.severity == "none"
    energies = [level.signal and level.signal.energy for level in after.levels]
    assert energies == pytest.approx(list(start.repair.signal), rel=2e-3)


def test_a_steady_network_needs_none():
    start = diagnose(deep("kaiming"), measure=False).first
    assert start.repair is None
    assert start.unrepaired == ""


def test_a_scheme_without_a_std_gets_one_from_solve():
    start = diagnose(deep("torch", depth=30), jacobian=False).first
    assert start.cause.severity == "error"
    assert isinstance(start.repair, Repair)
    assert all(value is not None and 0.1 < value < 10 for value in start.repair.signal)


def test_it_can_be_left_out():
    assert diagnose(deep("xavier", depth=30), measure=False, solve=False).first.repair is None


def test_one_copy_that_needs_no_change_is_an_exception_of_the_glob():
    layers = {
        "s": {"type": "Repeat", "times": 30, "layers": {"d": {"type": "Linear", "out_features": 64}, "a": "GELU"}}
    }
    layers["head"] = {"type": "Linear", "out_features": 8}
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="xavier"))
    start = diagnose(plan, measure=False).first
    assert isinstance(start.repair, Repair)
    (override,) = start.repair.overrides
    params = yaml.safe_load(override.partition("=")[2])
    assert [*params] == ["s.*.d.weight", "s.0.d.weight", "head.weight"]
    assert params["s.0.d.weight"] == {"gain": 1.0}
    model = {"input": {"shape": [64]}, "layers": layers, "init": {"params": params}}
    after = diagnose(mf.plan(mf.parse(model, init="xavier")), measure=False).first
    assert after.cause.severity == "none"
    energies = [level.signal and level.signal.energy for level in after.levels]
    assert energies == pytest.approx(list(start.repair.signal), rel=2e-3)


@pytest.mark.parametrize("stacks", [[("all", 10, True)], [("good", 10, False), ("tail", 4, True)]], ids=str)
def test_what_is_only_measured_gets_no_repair(stacks):
    """A layer without a signal rule takes the signal away: no initial values are known to mend that."""

    @mf.register_layer
    class Fades(nn.Module):
        """Divides by a hundred."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 100

    dense = {"dense": {"type": "Linear", "out_features": 64}, "act": "ReLU"}
    layers = {
        name: {"type": "Repeat", "times": times, "layers": {**dense, **({"fades": "Fades"} if fades else {})}}
        for name, times, fades in stacks
    }
    try:
        plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming"))
        start = diagnose(plan, jacobian=False).first
    finally:
        unregister_layer("Fades")
    assert start.cause.verdict == "vanishes"
    assert start.repair is None
    assert f"from `{stacks[-1][0]}.0.fades` on is measured, but not predicted" in start.unrepaired

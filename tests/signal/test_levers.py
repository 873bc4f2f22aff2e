"""Which parameters of a network energies go by, and which ones are left alone."""

from __future__ import annotations

import modelforge as mf
from modelforge.signal.flow import flow
from modelforge.signal.levers import levers
from modelforge.signal.predict import by_owner
from tests.signal.nets import chain

LINEAR = {"type": "Linear", "out_features": 8}


def of(plan: mf.Plan):
    parameters = {parameter.path: parameter for parameter in plan.parameters}
    named = parameters | {name: parameters[first] for name, first in plan.ties.items()}
    found, left = levers(flow(plan), by_owner(named))
    return found, {one.path: one.reason for one in left}


def test_weights_before_a_norm_and_at_zero_are_left_alone():
    zero = {"type": "Linear", "out_features": 8, "init": "zeros"}
    found, left = of(mf.plan(chain(LINEAR, "LayerNorm", zero, LINEAR, shape=[8], init="xavier")))
    assert list(found) == ["linear3"]
    assert left["linear0.weight"] == "the norm `layernorm1` removes its scale"
    assert left["linear2.weight"] == "it starts at 0"


def test_branches_of_a_transformer():
    found, left = of(mf.plan(mf.load("conf", overrides=["model=transformer", "init=xavier_normal"])))
    attend, expand, contract = (
        found[f"encoder.0.{name}"] for name in ("attention.attend", "mlp.expand", "mlp.contract")
    )
    assert attend.inner == ("in_proj_weight",)
    assert attend.main == ("out_proj.weight",)
    assert attend.joins is not None
    assert attend.joins.layer.path == "encoder.0.attention.merge"
    assert attend.shortcut is not None
    assert attend.shortcut.maker == "position"
    assert (attend.branches, attend.begins) == (4, 4)
    assert (expand.branches, expand.begins) == (0, 4)
    assert (contract.branches, contract.begins) == (4, 0)
    assert not left


def test_a_branch_may_end_with_the_scale_of_a_norm():
    found, _ = of(mf.plan(mf.load("conf", overrides=["model=resnet_small", "init=kaiming_normal"])))
    assert found["block1.norm2"].is_scale
    assert found["block1.norm2"].branches == 3
    assert "stem_norm" not in found


def test_a_tied_head_keeps_what_the_table_has():
    found, left = of(mf.plan(mf.load("conf", overrides=["model=gpt2"])))
    assert "head" not in found
    assert left == {}


def test_recurrent_layers():
    found, _ = of(mf.plan(mf.load("conf", overrides=["model=rnn"])))
    assert found["rnn"].main == ("weight_ih_l0",)
    assert found["rnn"].recurrent == ("weight_hh_l0",)

"""cause: which of a network's faults is named, and which block is blamed."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Cause
from modelforge.diagnosis.formats.markdown import markdown
from tests.diagnosis.nets import HIDDEN, deep, opaque

GOOD = {"scheme": "lecun", "distribution": "normal"}
SMALL = {"embedding": {"scheme": "normal", "std": 1e-4}}


def predicted(plan: mf.Plan) -> Cause:
    return diagnose(plan, measure=False).first.cause


@pytest.mark.parametrize(
    ("init", "verdict", "severity"),
    [
        ("xavier", "drifts", "warning"),
        ({"scheme": "normal", "std": 0.03}, "vanishes", "error"),
        ("kaiming", "steady", "none"),
        ({"scheme": "normal", "std": 1.0}, "explodes", "error"),
    ],
)
def test_the_verdict(init, verdict, severity):
    found = predicted(deep(init))
    assert (found.verdict, found.severity) == (verdict, severity)


def test_the_std_that_would_keep_the_energy_is_that_of_kaiming():
    found = predicted(deep("xavier", depth=40))
    assert "starts 40 layers before ReLU with std 0.125" in found.sentence
    assert "where about 0.177 would keep it" in found.sentence  # sqrt(2 / 64) = 0.1768
    assert "the gradient vanishes too" in found.sentence


def test_the_block_of_most_layers_is_blamed():
    inner = {"hidden": {**HIDDEN, "init": {"scheme": "normal", "std": 0.02}}, "act": "ReLU"}
    layers = {"first": HIDDEN, "deep": {"type": "Repeat", "times": 10, "layers": inner}}
    found = predicted(mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming")))
    assert found.key == "model.layers.deep.layers.hidden.init"


def test_a_norm_starts_a_signal_again_and_small_embeddings_are_no_fault():
    layers = {
        "embed": {"type": "Embedding", "num_embeddings": 50, "embedding_dim": 32, "init": SMALL},
        "norm": "LayerNorm",
        "head": {"type": "Linear", "out_features": 50},
    }
    found = predicted(mf.plan(mf.parse({"input": {"shape": [7], "dtype": "int64"}, "layers": layers}, init="xavier")))
    assert (found.verdict, found.severity) == ("steady", "none")


def test_where_energies_keep_their_size_a_finding_is_the_cause():
    same = {**HIDDEN, "init": {"scheme": "constant", "value": 0.125}}
    layers = {"one": same, "act": "ReLU", "two": same, "again": "ReLU", "head": same}
    found = predicted(mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming")))
    assert found.severity == "warning"
    assert "start equal" in found.sentence
    assert found.key == "model.layers.one.init"


def test_what_cannot_be_predicted_is_measured():
    plan = opaque({"scheme": "normal", "std": 0.03}, depth=30)
    assert predicted(plan).verdict == "unknown"
    assert predicted(plan).sentence.startswith("Nothing is predicted from `pool` on: ")
    assert predicted(plan).sentence.count("unknown") == 0
    assert "❔ **unknown**: Nothing" in markdown(diagnose(plan, measure=False))
    found = diagnose(plan, jacobian=False).first.cause
    assert found.verdict == "vanishes"


def test_a_branch_that_ends_small_is_no_fault():
    small = {**HIDDEN, "init": {"scheme": "normal", "std": 1e-4}}
    block = {"type": "Residual", "layers": {"norm": "LayerNorm", "up": HIDDEN, "act": "GELU", "down": small}}
    plan = mf.plan(
        mf.parse({"input": {"shape": [64]}, "layers": {"one": block, "two": block, "head": HIDDEN}}, init="lecun")
    )
    assert predicted(plan).severity == "none"


POOLS = {
    "whole": {"type": "AdaptiveAvgPool2d", "output_size": 1},
    "most": {"type": "AvgPool2d", "kernel_size": 20, "stride": 20},
}


@pytest.mark.parametrize("act", ["ReLU", "Tanh"])
@pytest.mark.parametrize("pool", POOLS)
def test_what_averages_take_away_is_no_fault(pool, act):
    """The mean over 1,600 or 400 positions: independent ones cancel, and a gradient goes to each in equal parts."""
    conv = {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}
    deep = {"type": "Repeat", "times": 2, "layers": {"conv": conv, "act": act}}
    layers = {"deep": deep, "pool": POOLS[pool], "flat": "Flatten", "up": HIDDEN, "again": act, "head": HIDDEN}
    plan = mf.plan(mf.parse({"input": {"shape": [3, 40, 40]}, "layers": layers}, init={**GOOD, "gain": "auto"}))
    assert predicted(plan).verdict == "steady"
    assert diagnose(plan, batch_size=4, jacobian=False).first.cause.verdict == "steady"
    assert not mf.lint(plan, rules=["MW123", "MW124"])
    small = mf.plan(mf.parse({"input": {"shape": [3, 40, 40]}, "layers": layers}, init={**GOOD, "gain": 0.03}))
    found = predicted(small)
    assert (found.verdict, found.severity) == ("vanishes", "error")
    assert {problem.code for problem in mf.lint(small, rules=["MW123", "MW124"])} == {"MW123", "MW124"}


def test_the_mean_over_steps_behind_a_norm_is_no_fault():
    layers = {"up": HIDDEN, "norm": "LayerNorm", "mean": {"type": "Mean", "dim": 1}, "head": HIDDEN}
    plan = mf.plan(mf.parse({"input": {"shape": [3000, 8]}, "layers": layers}, init="xavier"))
    assert predicted(plan).verdict == "steady"


ODD = {"type": "Linear", "out_features": 64}
BLOCK = {"type": "Repeat", "times": 10, "layers": {"hidden": ODD, "act": "ReLU"}}


def planned(**layers: object) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming"))


@pytest.mark.parametrize("measure", [False, True])
def test_the_block_is_blamed_that_changes_the_energy_most(measure):
    """Ten good layers are no cause, whatever they are named; and a refined gain is set by the block that refines it."""
    loud = {**HIDDEN, "init": {"gain": 1000.0}}
    found = diagnose(planned(deep=BLOCK, a=loud, b=loud, c=loud, head=HIDDEN), measure=measure).first
    assert found.cause.verdict == "explodes"
    assert found.cause.key in [f"model.layers.{name}.init" for name in "abc"]
    assert "starts 1 layer with std" in found.cause.sentence


@pytest.mark.parametrize("measure", [False, True])
def test_one_small_layer_is_named_with_the_std_that_would_keep_the_signal(measure):
    small = {**HIDDEN, "init": {"scheme": "normal", "std": 1e-5}}
    found = diagnose(planned(deep=BLOCK, small=small, after="ReLU", head=HIDDEN), measure=measure).first
    assert (found.cause.verdict, found.cause.key) == ("vanishes", "model.layers.small.init")
    assert "`normal` starts 1 layer before ReLU with std 1e-05, where about 0.1" in found.cause.sentence


@pytest.mark.parametrize("order", [("s", "n"), ("n", "s")])
@pytest.mark.parametrize("measure", [False, True])
def test_a_part_of_a_concatenation_that_dies_is_no_steady_network(measure, order):
    branches = {
        "s": {"type": "Repeat", "inputs": "input", "times": 30, "layers": {"d": HIDDEN, "a": "ReLU"}},
        "n": {"type": "LayerNorm", "inputs": "input"},
    }
    layers = {name: branches[name] for name in order}
    layers |= {"join": {"type": "Concat", "inputs": [*order]}, "head": {"type": "Linear", "out_features": 8}}
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="xavier"))
    found = diagnose(plan, measure=measure, jacobian=False).first.cause
    assert (found.verdict, found.key) == ("vanishes", "init")
    assert "at `s.2" in found.sentence


def test_batch_norms_start_no_signal_again_in_evaluation():
    loud = {"hidden": {**HIDDEN, "init": {"gain": 5.0}}, "norm": "BatchNorm1d", "act": "ReLU"}
    plan = planned(deep={"type": "Repeat", "times": 6, "layers": loud}, head=HIDDEN)
    model = mf.build(plan)
    assert diagnose(plan, model=model, jacobian=False).first.cause.verdict == "steady"
    found = diagnose(plan, model=model.eval(), jacobian=False).first
    assert (found.cause.verdict, found.cause.key) == ("explodes", "model.layers.deep.layers.hidden.init")
    assert found.measurement is not None
    assert (found.measurement.mode, found.repair) == ("eval", None)
    assert found.unrepaired == "it was measured in evaluation, and what is predicted is for training"


def branch(init: str) -> mf.Plan:
    """A deep branch without a norm beside one that is a norm, side by side."""
    layers = {
        "deep": {"type": "Repeat", "times": 30, "inputs": "input", "layers": {"dense": HIDDEN, "act": "ReLU"}},
        "norm": {"type": "LayerNorm", "inputs": "input"},
        "both": {"type": "Concat", "inputs": ["deep", "norm"]},
        "head": {"type": "Linear", "out_features": 4},
    }
    return mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init=init))


@pytest.mark.parametrize(("init", "verdict"), [("xavier", "vanishes"), ("kaiming", "steady")])
def test_a_part_of_a_concatenation_that_dies(init, verdict):
    found = predicted(branch(init))
    assert found.verdict == verdict
    assert ("`deep." in found.sentence) == (verdict == "vanishes")


def test_gradients_that_are_not_predicted_are_not_called_steady():
    layers = {
        "a": HIDDEN,
        "act": "ReLU",
        "drop": {"type": "DropPath", "p": 0.2},
        "b": HIDDEN,
        "gelu": "GELU",
        "c": HIDDEN,
    }
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming"))
    found = predicted(plan)
    assert (found.verdict, found.severity) == ("unknown", "none")
    assert found.sentence == "No signal vanishes or explodes, but gradients are not predicted before `gelu`"
    assert diagnose(plan).first.cause.verdict == "steady"

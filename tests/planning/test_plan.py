"""plan: every decision, as a frozen value; nothing is allocated."""

from __future__ import annotations

import dataclasses
import tracemalloc

import pytest
import torch

import modelforge as mf
from tests.models import MODELS, spec

LINEAR = {"type": "Linear", "out_features": 3}


def warned(layers: dict, shape: tuple[int, ...] = (4,), **options) -> list[tuple[str, str]]:
    plan = mf.plan(mf.parse({"input": {"shape": list(shape)}, "layers": layers}, **options))
    assert all(warning.code == "MW101" and warning.severity == "warning" for warning in mf.lint(plan))
    return [(warning.key, warning.message.split(":")[0]) for warning in mf.lint(plan)]


def test_layers_paths_keys_and_reads():
    block = {"norm": "LayerNorm", "lin": LINEAR}
    layers = {
        "first": LINEAR,
        "body": {"type": "Repeat", "times": 2, "layers": {"block": {"type": "Residual", "layers": block}}},
        "sum": {"type": "Add", "inputs": ["body", "first"]},
    }
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": layers}, init="xavier"))
    assert [(layer.path, layer.key.removeprefix("model.layers.")) for layer in plan.layers[:6]] == [
        ("first", "first"),
        ("body", "body"),
        ("body.0", "body"),
        ("body.0.block", "body.layers.block"),
        ("body.0.block.norm", "body.layers.block.layers.norm"),
        ("body.0.block.lin", "body.layers.block.layers.lin"),
    ]
    assert [str(read) for read in plan.layers[-1].reads] == ["body", "first"]
    assert plan.layers[4].parameters == ("weight", "bias")
    assert plan.layers[4].arguments["normalized_shape"] == 3


def test_what_takes_a_plan_takes_its_spec():
    """And so does `plan`, which returns a plan as it is."""
    model = spec("mlp")
    plan = mf.plan(model)
    assert mf.plan(plan) is plan
    assert mf.lint(model) == mf.lint(plan)
    assert mf.predict(model).to_dict() == mf.predict(plan).to_dict()
    assert mf.solve(model).to_dict() == mf.solve(plan).to_dict()
    assert mf.diff(model, plan).equal
    found = mf.diagnose({"spec": model, "plan": plan}, measure=False)
    assert [start.cause for start in found.starts] == [mf.diagnose(model, measure=False).first.cause] * 2


@pytest.mark.parametrize("function", ["build", "diagnose", "lint", "plan", "predict", "solve"])
def test_what_is_no_plan_is_refused_by_name(function):
    said = f"{function} takes a ModelSpec or a Plan, as `parse`, `load` and `plan` give, but gets a list"
    with pytest.raises(TypeError, match=said):
        getattr(mf, function)([])


@pytest.mark.parametrize("name", MODELS)
def test_the_sum_of_all_parameters(name):
    plan = mf.plan(spec(name))
    assert plan.num_parameters == sum(weight.numel() for weight in mf.build(plan).parameters())


def test_one_parameter_by_path():
    plan = mf.plan(spec("mlp"))
    assert plan.parameter("hidden.weight").shape == (16, 32)
    with pytest.raises(KeyError, match=r"the plan has no parameter 'hiden\.weight': did you mean `hidden\.weight`"):
        plan.parameter("hiden.weight")


def test_a_plan_is_frozen():
    plan = mf.plan(spec("mlp"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.seed = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.layers[0].path = "x"
    with pytest.raises(TypeError, match="read-only"):
        plan.layers[0].arguments["x"] = 1
    with pytest.raises(TypeError, match="read-only"):
        plan.inputs["x"] = None


def test_planning_is_a_function():
    assert mf.plan(spec("residual")).to_dict() == mf.plan(spec("residual")).to_dict()


def test_planning_allocates_nothing_of_the_models_size():
    big = {"big": {"type": "Linear", "out_features": 200_000}}
    config = mf.parse({"input": {"shape": [100_000]}, "layers": big}, init="xavier")
    mf.plan(spec("mlp"))
    tracemalloc.start()
    plan = mf.plan(config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.num_parameters == 200_000 * 100_001
    assert peak < 10_000_000
    # 80 GB of weights: had torch allocated them, this would not have got here
    assert plan.parameter("big.weight").std == pytest.approx((2 / 300_000) ** 0.5)


def test_the_batch_is_shown_as_what_it_is():
    plan = mf.plan(
        mf.parse({"input": {"shape": [6, 4]}, "layers": {"rnn": {"type": "GRU", "hidden_size": 3}}}, init="xavier")
    )
    assert plan.to_dict()["layers"][0]["output"] == [
        {"shape": [6, 3], "dtype": "float32"},
        {"shape": [1, "B", 3], "dtype": "float32"},
    ]
    assert str(plan.output) == "(6, 3)"


def test_a_width_that_equals_the_probing_batch_is_fine():
    for size in (250, 251, 502):
        plan = mf.plan(
            mf.parse(
                {"input": {"shape": [size]}, "layers": {"head": {"type": "Linear", "out_features": size}}},
                init="xavier",
            )
        )
        assert plan.output.shape[1:] == (size,)
        assert mf.build(plan)(torch.zeros(2, size)).shape == (2, size)


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_constant_weights_are_warned_about():
    assert warned({"up": LINEAR, "head": LINEAR}, init={"scheme": "constant", "value": 0.1}) == [
        ("init", "the units of `up.weight` start equal, and so do the weights that read them")
    ]


@pytest.mark.parametrize(
    "scheme", ["zeros", "ones", {"scheme": "constant", "value": 2.0}, {"scheme": "normal", "std": 0.1}]
)
def test_constant_biases_and_scales_are_not(scheme):
    assert (
        warned({"norm": "LayerNorm", "head": LINEAR}, init={"scheme": "xavier", "bias": scheme, "scale": scheme}) == []
    )


def test_one_unit_has_no_equal():
    assert warned({"head": {"type": "Linear", "out_features": 1}}, init="ones") == []


def test_recurrent_weights_count():
    layers = {"rnn": {"type": "RNN", "hidden_size": 3}}
    assert warned({**layers, "again": {"type": "RNN", "hidden_size": 3}}, (5, 4), init="ones") == [
        (
            "init",
            "the units of `rnn.weight_ih_l0` and `rnn.weight_hh_l0` start equal, and so do the weights that read them",
        )
    ]
    assert warned(layers, (5, 4), init={"scheme": "xavier", "recurrent": "zeros"}) == []


def test_a_warning_has_a_place_and_stops_nothing():
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"up": LINEAR, "head": LINEAR}}, init="ones"))
    [warning] = mf.lint(plan)
    assert (warning.severity, warning.place) == ("warning", None)
    assert mf.build(plan).ledger.ok


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_groups_count_over_all_layers(monkeypatch):
    monkeypatch.setattr("modelforge.planning.walk.MAX_MATRICES", 100)
    conv = {"type": "Conv1d", "out_channels": 20, "kernel_size": 1, "groups": 20}
    layers = {"many": {"type": "Repeat", "times": 9, "layers": {"conv": conv, "act": "ReLU"}}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse({"input": {"shape": [20, 4]}, "layers": layers}, init="xavier"))
    [problem] = caught.value.problems
    assert (problem.code, problem.key) == ("MF060", "model.layers.many.layers.conv")
    assert problem.message == "the model's parameters are more than 100 matrices and vectors"
    layers["many"]["times"] = 4  # 4 · (20 kernels + 1 bias) are 84
    assert mf.plan(mf.parse({"input": {"shape": [20, 4]}, "layers": layers}, init="xavier")).num_parameters == 160


def test_nesting_is_bounded_however_deep_it_is():
    for depth in (100, 500, 5000):
        layers = {"act": "ReLU"}
        for _ in range(depth):
            layers = {"inner": {"type": "Sequential", "layers": layers}}
        with pytest.raises(mf.ForgeError) as caught:
            mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}))
        assert [problem.code for problem in caught.value.problems] == ["MF060"]

"""Reading from around a combinator, named outputs, ties, and values that nothing reads."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.linting.lint import findings


def linear(size: int = 8, **more: Any) -> dict[str, Any]:
    return {"type": "Linear", "out_features": size, **more}


def add(*names: str) -> dict[str, Any]:
    return {"type": "Add", "inputs": [*names]}


def planned(layers: dict[str, Any], **more: Any) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers, **more}, init="xavier"))


def warned(plan: mf.Plan) -> list[tuple[str, str, str]]:
    return [(warning.code, warning.key, warning.message) for warning in findings(plan)]


DEEP = {
    "first": linear(),
    "other": linear(),
    "outer": {
        "type": "Repeat",
        "times": 2,
        "layers": {
            "inner": {"type": "Residual", "layers": {"fc": linear(), "sum": add("fc", "first", "other")}},
            "again": add("inner", "first"),
        },
    },
}


def test_layers_read_from_around_at_any_depth():
    model = mf.build(planned(DEEP))
    x = torch.randn(3, 8)
    first = model.first(x)
    value = other = model.other(first)
    for copy_of in (model.outer.get_submodule("0"), model.outer.get_submodule("1")):
        value = value + (copy_of.inner.fc(value) + first + other) + first
    assert torch.allclose(model(x), value, atol=1e-6)


def test_plans_say_what_a_combinator_reads_from_around():
    plan = planned(DEEP)
    outer = next(layer for layer in plan.layers if layer.path == "outer")
    assert [str(read) for read in outer.reads] == ["other", "first", "other"]
    assert outer.captured == ("first", "other")


def test_tools_work_with_values_from_around():
    model = mf.build(planned(DEEP, outputs={"y": "outer", "z": "first"}))
    x = torch.randn(3, 8)
    expected = model(x)
    assert list(expected) == ["y", "z"]
    compiled = torch.compile(model, fullgraph=True, backend="eager")(x)
    exported = torch.export.export(model, (x,)).module()(x)
    for found in (compiled, exported, copy.deepcopy(model)(x), pickle.loads(pickle.dumps(model))(x)):
        assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_gradients_flow_to_what_was_read_from_around():
    model = mf.build(planned(DEEP))
    model(torch.randn(3, 8)).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_an_own_layer_goes_before_one_of_that_name_outside():
    layers = {"x": linear(), "body": {"type": "Sequential", "layers": {"x": linear(4), "y": add("x", "x")}}}
    assert str(planned(layers).output) == "(4,)"


def test_outputs_as_a_list_are_named_by_their_layers():
    model = mf.build(planned({"trunk": linear(4), "head": linear(2)}, outputs=["head", "trunk"]))
    assert {name: tuple(value.shape) for name, value in model(torch.randn(3, 8)).items()} == {
        "head": (3, 2),
        "trunk": (3, 4),
    }


def test_an_output_may_be_the_second_of_a_layer():
    layers = {"rnn": {"type": "LSTM", "hidden_size": 4}}
    spec = mf.parse(
        {"input": {"shape": [5, 8]}, "layers": layers, "outputs": {"y": "rnn", "state": "rnn.1.0"}}, init="xavier"
    )
    made = mf.build(spec)(torch.randn(3, 5, 8))
    assert (tuple(made["y"].shape), tuple(made["state"].shape)) == ((3, 5, 4), (1, 3, 4))


# --- ties -------------------------------------------------------------------------------------------------------------

TOKENS = {"input": {"shape": [6], "dtype": "int64"}}
LAYERS = {
    "embed": {"type": "Embedding", "num_embeddings": 11, "embedding_dim": 8},
    "fc": linear(),
    "head": linear(11, bias=False),
}


@pytest.mark.parametrize("tie", [{"head.weight": "embed.weight"}, {"embed.weight": "head.weight"}])
def test_tied_parameters_are_one_and_the_first_has_the_rule(tie: dict[str, str]):
    plan = mf.plan(mf.parse({**TOKENS, "layers": LAYERS, "tie": tie}, init="xavier"))
    model = mf.build(plan)
    assert model.head.weight is model.embed.weight
    assert [name for name, _ in model.named_parameters()] == [item.path for item in plan.parameters]
    assert plan.num_parameters == sum(weight.numel() for weight in model.parameters())
    assert model.ledger["embed.weight"].scheme == "normal"
    assert "head.weight" in model.state_dict()
    assert f"{plan.num_parameters:,}" in str(plan)


def test_three_may_be_one():
    layers = {name: linear(bias=False) for name in ("a", "b", "c")}
    model = mf.build(planned(layers, tie={"b.weight": "a.weight", "c.weight": "a.weight"}))
    assert model.a.weight is model.b.weight is model.c.weight


def test_a_tied_model_trains_and_loads():
    spec = mf.parse({**TOKENS, "layers": LAYERS, "tie": {"head.weight": "embed.weight"}}, init="xavier")
    model, other = mf.build(spec), mf.build(spec, seed=1)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.head.weight, model.embed.weight)
    model(torch.randint(0, 11, (2, 6))).sum().backward()
    assert model.embed.weight.grad is not None
    moved = copy.deepcopy(model).to(torch.bfloat16)
    assert moved.head.weight is moved.embed.weight


def test_a_rule_for_a_tied_parameter_that_another_one_owns_matches_nothing():
    layers = LAYERS | {"head": linear(11, bias=False, init={"scheme": "zeros"})}
    with pytest.raises(mf.ForgeError, match="this init rule matches nothing") as caught:
        mf.plan(mf.parse({**TOKENS, "layers": layers, "tie": {"head.weight": "embed.weight"}}, init="xavier"))
    assert [problem.key for problem in caught.value.problems] == ["model.layers.head.init"]


def test_params_may_call_a_tied_parameter_by_each_name():
    init = {"scheme": "xavier", "params": {"head.weight": {"scheme": "normal", "std": 0.5}}}
    spec = mf.parse({**TOKENS, "layers": LAYERS, "tie": {"head.weight": "embed.weight"}}, init=init)
    assert mf.plan(spec).parameter("embed.weight").std == 0.5


# --- what nothing reads -----------------------------------------------------------------------------------------------


def test_a_layer_that_nobody_reads_is_warned_about():
    layers = {"main": linear(), "aside": linear(4), "head": linear(2, inputs="main")}
    message = "nothing reads the output of `aside`"
    assert warned(planned(layers)) == [("MW104", "model.layers.aside", message)]
    assert warned(planned(layers, outputs=["head", "aside"])) == []


def test_with_outputs_the_last_layer_must_be_read_too():
    assert [path for _, path, _ in warned(planned({"a": linear(), "b": linear()}, outputs=["a"]))] == ["model.layers.b"]


def test_inside_a_combinator_it_is_told_once_for_all_copies():
    inner = {"main": linear(), "aside": linear(), "end": linear(inputs="main")}
    plan = planned({"body": {"type": "Repeat", "times": 3, "layers": inner}})
    assert [path for _, path, _ in warned(plan)] == ["model.layers.body.layers.aside"]


def test_an_input_that_nobody_reads_is_warned_about():
    model = {"input": {"a": {"shape": [4]}, "b": {"shape": [4]}}, "layers": {"fc": linear(inputs="a")}}
    plan = mf.plan(mf.parse(model, init="xavier"))
    assert warned(plan) == [("MW104", "model.input.b", "nothing reads the input `b`")]


def test_reading_from_within_counts_as_reading():
    assert warned(planned(DEEP)) == []
    assert isinstance(mf.build(planned(DEEP)), nn.Module)

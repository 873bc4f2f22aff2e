"""Who wins: nearer scopes before farther ones; in one block `params`, then `types`, then the role, then the block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf

LSTM = {"type": "LSTM", "hidden_size": 3}
LINEAR = {"type": "Linear", "out_features": 3}


def number(value: float) -> dict[str, Any]:
    """A block that can be told from every other."""
    return {"scheme": "constant", "value": value}


def planned(init: Any = None, model: Any = None, box: Any = None, layer: Any = None) -> mf.Plan:
    """box (a Sequential) > rnn (LSTM) and head (Linear), with init blocks at each level."""
    inner = {"rnn": dict(LSTM, **({} if layer is None else {"init": layer})), "head": LINEAR}
    sequential = {"type": "Sequential", "layers": inner, **({} if box is None else {"init": box})}
    section = {"input": {"shape": [5, 3]}, "layers": {"box": sequential}, **({} if model is None else {"init": model})}
    return mf.plan(mf.parse({"model": section}, init=init))


def value(plan: mf.Plan, path: str) -> float:
    """The constant that a parameter gets."""
    item = plan.parameter(f"box.{path}")
    assert item.scheme == "constant", item.chain
    return item.initializer.value  # pyright: ignore[reportAttributeAccessIssue]  # only `constant` has it


W, R, B = "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0"

TABLE = [
    ("the group alone", {"init": number(1)}, {W: 1, R: 1, B: 0, "head.weight": 1, "head.bias": 0}),
    ("the model's own is nearer", {"init": number(1), "model": number(2)}, {W: 2, "head.weight": 2}),
    ("a combinator's is nearer", {"init": number(1), "model": number(2), "box": number(3)}, {W: 3, "head.weight": 3}),
    (
        "the layer's own is nearest",
        {"init": number(1), "model": number(2), "box": number(3), "layer": number(4)},
        {W: 4, R: 4, "head.weight": 3},
    ),
    ("a role", {"init": number(1) | {"bias": number(2)}}, {W: 1, B: 2, "head.bias": 2}),
    ("recurrent follows weight", {"init": number(1)}, {W: 1, R: 1}),
    ("recurrent on its own", {"init": number(1) | {"recurrent": number(2)}}, {W: 1, R: 2}),
    (
        "a nearer weight beats a farther recurrent",
        {"init": number(1) | {"recurrent": number(2)}, "layer": number(3)},
        {W: 3, R: 3},
    ),
    (
        "a nearer bias beats a farther one",
        {"init": number(1) | {"bias": number(2)}, "layer": {"bias": number(3)}},
        {B: 3},
    ),
    ("a nearer weight is not a bias", {"init": number(1) | {"bias": number(2)}, "layer": number(3)}, {W: 3, B: 2}),
    ("types", {"init": number(1) | {"types": {"LSTM": number(2)}}}, {W: 2, R: 2, B: 0, "head.weight": 1}),
    ("types by base class", {"init": number(1) | {"types": {"RNNBase": number(2)}}}, {W: 2, "head.weight": 1}),
    (
        "the class itself before its base",
        {"init": number(1) | {"types": {"RNNBase": number(2), "LSTM": number(3)}}},
        {W: 3},
    ),
    (
        "types before the role",
        {"init": number(1) | {"bias": number(2), "types": {"LSTM": {"bias": number(3)}}}},
        {B: 3, "head.bias": 2},
    ),
    ("types for a role only", {"init": number(1) | {"types": {"LSTM": {"recurrent": number(2)}}}}, {W: 1, R: 2}),
    (
        "params before types and role",
        {
            "init": number(1)
            | {
                "bias": number(2),
                "types": {"LSTM": number(3) | {"bias": number(4)}},
                "params": {"box.rnn.bias_ih_l0": number(5), "*.weight_hh_l0": number(6)},
            }
        },
        {B: 5, "rnn.bias_hh_l0": 4, R: 6, W: 3},
    ),
    (
        "an exact name beats a glob",
        {"layer": number(1) | {"params": {"weight_*": number(2), "weight_hh_l0": number(3)}}, "init": number(9)},
        {W: 2, R: 3},
    ),
    (
        "names are below the block",
        {"init": number(1), "box": {"params": {"head.weight": number(2)}}},
        {"head.weight": 2},
    ),
    (
        "names inside types are the layer's",
        {"init": number(1) | {"types": {"LSTM": {"params": {"weight_hh_l0": number(2)}}}}},
        {R: 2, W: 1},
    ),
    (
        "a nearer block beats a farther name",
        {"init": number(1) | {"params": {"box.rnn.weight_ih_l0": number(2)}}, "layer": number(3)},
        {W: 3},
    ),
    ("refining takes the scheme from farther", {"init": number(1), "layer": {"value": 2}}, {W: 2, "head.weight": 1}),
    (
        "refining goes field by field, nearest last",
        {"init": number(1), "model": {"value": 2}, "box": {"value": 3}, "layer": {"value": 4}},
        {W: 4, "head.weight": 3},
    ),
    (
        "what lies behind the scheme does not refine",
        {"init": number(1), "model": {"value": 9}, "box": number(2)},
        {W: 2},
    ),
    ("a role refines what the weight has", {"init": number(1), "layer": {"recurrent": {"value": 2}}}, {W: 1, R: 2}),
    ("a role refines its default", {"init": number(1), "layer": {"bias": {"value": 2}}}, {B: 2, "head.bias": 0}),
    ("a bias does not refine a weight", {"init": number(1), "layer": {"value": 5}}, {W: 5, B: 0}),
    ("one name in short", {"init": "zeros", "layer": number(2)}, {W: 2}),
]


@pytest.mark.parametrize(("blocks", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_precedence(blocks, expected):
    plan = planned(**blocks)
    assert {path: value(plan, path) for path in expected} == expected


def test_fields_of_several_blocks_meet():
    init = {"scheme": "xavier", "distribution": "uniform", "gain": 1.0}
    plan = planned(
        init=init, model={"gain": 2.0}, box={"distribution": "normal"}, layer={"mode": "fan_in", "gain": 3.0}
    )
    fields = plan.parameter("box.rnn.weight_ih_l0").initializer.model_dump()
    assert (fields["distribution"], fields["gain"], fields["mode"]) == ("normal", 3.0, "fan_in")
    fields = plan.parameter("box.head.weight").initializer.model_dump()
    assert (fields["distribution"], fields["gain"], fields["mode"]) == ("normal", 2.0, "fan_avg")


def test_the_chain_tells_the_whole_story():
    plan = planned(
        init=number(1) | {"bias": number(2)}, model=number(3), box={"value": 4}, layer={"recurrent": {"value": 5}}
    )
    links = [(link.key, link.scheme, dict(link.fields), link.verdict) for link in plan.parameter(f"box.{R}").chain]
    assert links == [
        ("model.layers.box.layers.rnn.init.recurrent", None, {"value": 5}, "refines"),
        ("model.layers.box.init", None, {"value": 4}, "refines"),
        ("model.init", "constant", {"value": 3}, "wins"),
        ("init", "constant", {"value": 1}, "overridden"),
    ]
    links = [(link.key, link.verdict) for link in plan.parameter(f"box.{B}").chain]
    assert links == [("init.bias", "wins"), ("default of role `bias`", "overridden")]


def test_defaults_of_roles():
    layers = {
        "words": {"type": "Embedding", "num_embeddings": 7, "embedding_dim": 3},
        "norm": "LayerNorm",
        "act": "PReLU",
        "head": LINEAR,
    }
    plan = mf.plan(mf.parse({"input": {"shape": [5], "dtype": "int64"}, "layers": layers}, init="xavier"))
    found = {item.path: (item.scheme, item.mean, item.std, item.rule.key) for item in plan.parameters}
    assert found == {
        "words.weight": ("normal", 0.0, 0.02, "default of role `embedding`"),
        "norm.weight": ("constant", 1.0, 0.0, "default of role `scale`"),
        "norm.bias": ("constant", 0.0, 0.0, "default of role `bias`"),
        "act.weight": ("constant", 0.25, 0.0, "default of PReLU"),
        "head.weight": ("xavier", 0.0, pytest.approx(3**-0.5), "init"),
        "head.bias": ("constant", 0.0, 0.0, "default of role `bias`"),
    }


def test_a_prelu_can_start_elsewhere():
    layers = {"act": {"type": "PReLU", "init": {"scale": number(0.1)}}, "other": "PReLU"}
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": layers}))
    assert [item.mean for item in plan.parameters] == [0.1, 0.25]


def test_types_reach_modules_inside_a_layer():
    layers = {"encoder": {"type": "TransformerEncoderLayer", "nhead": 1, "dim_feedforward": 4}}
    init = number(1) | {"types": {"MultiheadAttention": number(2), "LayerNorm": {"scale": number(3)}}}
    plan = mf.plan(mf.parse({"input": {"shape": [5, 3]}, "layers": layers}, init=init))
    means = {item.path.removeprefix("encoder."): item.mean for item in plan.parameters if "bias" not in item.path}
    assert means == {
        "self_attn.in_proj_weight": 2,
        "self_attn.out_proj.weight": 2,
        "linear1.weight": 1,
        "linear2.weight": 1,
        "norm1.weight": 3,
        "norm2.weight": 3,
    }


def test_repeated_copies_share_their_rule():
    block = {"lin": dict(LINEAR, init={"scheme": "normal", "std": 0.1})}
    body = {"type": "Repeat", "times": 3, "layers": block}
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": {"body": body}}))
    assert {item.rule.key for item in plan.parameters if item.role == "weight"} == {"model.layers.body.layers.lin.init"}
    assert {item.key for item in plan.parameters} == {"model.layers.body.layers.lin"}


def test_a_name_can_reach_one_copy():
    body = {"type": "Repeat", "times": 2, "layers": {"lin": LINEAR}, "init": {"params": {"1.lin.weight": number(2)}}}
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": {"body": body}}, init=number(1)))
    assert [item.mean for item in plan.parameters if item.role == "weight"] == [1, 2]


def test_gain_auto_follows_the_graph():
    layers = {
        "a": LINEAR,
        "drop": "Dropout",
        "act": "ReLU",
        "b": LINEAR,
        "norm": "LayerNorm",
        "tanh": "Tanh",
        "c": LINEAR,
    }
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": layers}, init={"scheme": "kaiming", "gain": "auto"}))
    gains = [item.numbers["gain"] for item in plan.parameters if item.path.endswith("weight") and item.role == "weight"]
    assert gains == [pytest.approx(2**0.5), 1.0, 1.0]


def test_clashes_of_different_globs_are_all_told():
    params = {"weight_*": number(1), "*_hh_l0": number(2), "*_ih_l0": number(3)}
    with pytest.raises(mf.ForgeError) as caught:
        planned(init=number(1), layer={"params": params})
    assert [problem.code for problem in caught.value.problems] == ["MF024", "MF024"]


def test_types_speak_of_parameters_by_their_name_below_the_type():
    block = {
        "scheme": "xavier",
        "types": {"LSTM": {"params": {"weight_hh_l0": {"scheme": "orthogonal"}}}},
    }
    net = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 5))
    ledger = mf.initialize(net, block)
    assert ledger["1.weight_hh_l0"].scheme == "orthogonal"
    assert ledger["1.weight_ih_l0"].scheme == "xavier"
    attention = {"scheme": "xavier", "types": {"MultiheadAttention": {"params": {"in_proj_weight": "orthogonal"}}}}
    layers = {"layer": {"type": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 8}}
    plan = mf.plan(mf.parse({"input": {"shape": [3, 4]}, "layers": layers}, init=attention))
    assert plan.parameter("layer.self_attn.in_proj_weight").scheme == "orthogonal"


def test_an_exact_name_settles_two_globs():
    params = {"weight": {"scheme": "ones"}, "w*": {"scheme": "zeros"}, "*t": {"scheme": "zeros"}}
    layers = {"head": {"type": "Linear", "out_features": 2, "bias": False, "init": {"params": params}}}
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}))
    assert plan.parameter("head.weight").scheme == "ones"


def test_whole_numbers_are_not_drawn():
    module = nn.Module()
    module.register_parameter("weight", nn.Parameter(torch.zeros(4, 4, dtype=torch.int8), requires_grad=False))
    with pytest.raises(mf.ForgeError, match="real numbers, but it is int8"):
        mf.initialize(module, {"params": {"weight": {"scheme": "normal", "std": 1.0}}})
    assert mf.initialize(module, {"params": {"weight": "keep"}})["weight"].scheme == "keep"


@pytest.mark.parametrize("scheme", ["keep", "torch"])
def test_a_scheme_that_draws_nothing_means_the_whole_module(scheme: str):
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(5, 4))
    with torch.no_grad():
        for weight in net.parameters():
            weight.fill_(7)
    ledger = mf.initialize(net, scheme)
    assert {entry.scheme for entry in ledger} == {scheme}
    assert all(bool((weight == 7).all()) == (scheme == "keep") for weight in net.parameters())
    ledger = mf.initialize(net, {"scheme": scheme, "bias": "zeros"})
    assert ledger["0.bias"].scheme == "zeros"


@pytest.mark.parametrize(
    ("layer", "types", "message"),
    [
        ("LayerNorm", {"LayerNorm": "orthogonal"}, "no parameter here has the role `weight`"),
        (
            {"type": "Linear", "out_features": 2, "bias": False},
            {"Linear": {"bias": "zeros"}},
            "no parameter here has the role `bias`",
        ),
    ],
)
def test_rules_inside_types_must_match_too(layer, types, message):
    model = {"input": {"shape": [5, 4]}, "layers": {"one": layer}, "init": {"types": types}}
    with pytest.raises(mf.ForgeError, match=f"this init rule matches nothing: {message}"):
        mf.plan(mf.parse(model, init="xavier"))

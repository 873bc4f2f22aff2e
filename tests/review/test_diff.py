"""diff: what counts as a difference, and what does not."""

from __future__ import annotations

import json
import math

import pytest
import torch
from pydantic_core import to_json

import modelforge as mf
from modelforge.planning.plan import plan as plan_of
from modelforge.review.diff import diff

LINEAR = {"type": "Linear", "out_features": 4}


def changes(item):
    return {change.name: (change.old, change.new) for change in item.changes}


def test_equal(plan):
    found = diff(plan(a=LINEAR), plan(a=LINEAR))
    assert found.equal
    assert found.num_unchanged == 2
    assert str(found) == "old → new\nno difference: 2 parameters are the same"


def test_specs_are_planned():
    specs = [mf.parse({"input": {"shape": [8]}, "layers": {"a": LINEAR}}, init=scheme) for scheme in ("zeros", "ones")]
    assert [item.path for item in mf.diff(*specs).parameters] == ["a.weight"]


def test_saying_the_same_in_another_block_is_no_difference(plan):
    nearer = {**LINEAR, "init": {"scheme": "orthogonal", "gain": 2.0}}
    assert diff(plan({"scheme": "orthogonal", "gain": 2.0}, a=LINEAR), plan("zeros", a=nearer)).equal


def test_a_gain(plan):
    old, new = (plan({"scheme": "orthogonal", "gain": gain}, a=LINEAR) for gain in (1.0, 1.4))
    found = diff(old, new)
    (item,) = found.parameters
    assert item.path == "a.weight"
    assert item.ratio == pytest.approx(1.4)
    assert changes(item).keys() == {"gain", "std"}
    assert [change.name for change in item.causes] == ["gain"]
    assert (found.layers, found.totals, found.num_unchanged) == ((), (), 1)


def test_auto_gain_behind_another_activation(plan):
    init = {"scheme": "kaiming", "gain": "auto"}
    found = diff(plan(init, a=LINEAR, act="ReLU"), plan(init, a=LINEAR, act="Tanh"))
    (item,) = found.parameters
    assert changes(item)["activation"] == ("ReLU", "Tanh")
    assert changes(item)["gain"] == (pytest.approx(math.sqrt(2)), pytest.approx(1.592537, rel=1e-5))
    assert changes(found.layers[0]) == {"type": ("ReLU", "Tanh")}


def test_another_scheme_with_the_same_spread(plan):
    old = plan({"scheme": "normal", "std": 0.1}, a=LINEAR)
    new = plan({"scheme": "truncated_normal", "std": 0.1}, a=LINEAR)
    (item,) = diff(old, new).parameters
    assert changes(item)["scheme"] == ("normal", "truncated_normal")
    assert not item.std_changed
    assert item.ratio == 1


def test_gates_that_change_places(plan):
    """Mean and spread over all gates stay the same, the values do not."""
    blocks = [{"bias": {"scheme": "gates", gate: 1.0}} for gate in ("forget", "output")]
    layers = [{"type": "LSTM", "hidden_size": 4, "init": block} for block in blocks]
    found = diff(*(plan(shape=(3, 8), rnn=layer) for layer in layers))
    assert [item.path for item in found.parameters] == ["rnn.bias_ih_l0"]  # the other one is 0 on both sides
    assert not any(item.std_changed for item in found.parameters)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"scheme": "kaiming", "gain": "relu"}, {"scheme": "kaiming", "gain": 2**0.5}, True),
        ({"scheme": "kaiming", "gain": "relu"}, {"scheme": "kaiming", "gain": 1.414}, False),
        ({"scheme": "kaiming", "gain": "relu"}, {"scheme": "kaiming", "gain": "auto"}, True),
        ({"scheme": "kaiming", "mode": "fan_in"}, {"scheme": "kaiming", "mode": "fan_out"}, True),
        ({"scheme": "xavier"}, {"scheme": "lecun"}, False),
        ({"scheme": "xavier", "distribution": "uniform"}, {"scheme": "xavier", "distribution": "normal"}, False),
        ({"scheme": "zeros"}, {"scheme": "constant", "value": 0.0}, True),
        ({"scheme": "normal", "std": 0.0}, {"scheme": "zeros"}, True),
        ({"scheme": "orthogonal"}, {"scheme": "orthogonal", "gain": 1.0}, True),
        ({"scheme": "orthogonal", "gain": "relu"}, {"scheme": "orthogonal", "gain": 2**0.5}, True),
        ({"scheme": "orthogonal"}, {"scheme": "orthogonal", "method": "svd"}, False),
    ],
    ids=str,
)
def test_values_that_are_the_same_to_the_bit_are_no_difference(plan, one, other, same):
    """A square kernel, whose fans are equal, in front of ReLU."""
    sides = [
        plan(shape=(6,), a={"type": "Linear", "out_features": 6, "init": init}, act="ReLU") for init in (one, other)
    ]
    assert (mf.digest(mf.build(sides[0])) == mf.digest(mf.build(sides[1]))) is same
    assert diff(*sides).equal is same


def test_a_padding_row_that_moves(plan):
    layers = [{"type": "Embedding", "num_embeddings": 9, "embedding_dim": 4, "padding_idx": row} for row in (1, 2)]
    old, new = (
        mf.plan(mf.parse({"input": {"shape": [5], "dtype": "int64"}, "layers": {"a": layer}}, init="zeros"))
        for layer in layers
    )
    (item,) = diff(old, new).parameters
    assert changes(item).keys() == {"matrices"}


def test_width(plan):
    found = diff(plan(a=LINEAR, b=LINEAR), plan(a={**LINEAR, "out_features": 6}, b=LINEAR))
    assert {layer.path: set(changes(layer)) for layer in found.layers} == {
        "a": {"out_features", "output"},
        "b": {"in_features"},
    }
    assert {item.path: changes(item).get("shape") for item in found.parameters} == {
        "a.weight": ([4, 8], [6, 8]),
        "a.bias": ([4], [6]),
        "b.weight": ([4, 4], [4, 6]),
    }
    assert [(change.name, change.old, change.new) for change in found.totals] == [("num_parameters", 56, 82)]


SIDE_BY_SIDE = {"a": {**LINEAR, "inputs": "input"}, "b": {**LINEAR, "inputs": "input"}}
SWAPPED = dict(reversed(SIDE_BY_SIDE.items()))


def test_another_last_layer_of_the_model(plan):
    """Every path is on both sides with the same arguments, but the models return different things."""
    found = diff(plan(**SIDE_BY_SIDE), plan(**SWAPPED))
    assert not found.equal
    assert [(change.name, change.old, change.new) for change in found.totals] == [("result", "b", "a")]
    assert found.layers == ()
    assert "last layer  b → a" in str(found)


def test_another_last_layer_of_a_combinator(plan):
    old, new = (plan(trunk={"type": "Sequential", "layers": layers}) for layers in (SIDE_BY_SIDE, SWAPPED))
    found = diff(old, new)
    assert {layer.path: changes(layer) for layer in found.layers} == {"trunk": {"result": ("b", "a")}}
    assert found.totals == ()


def test_an_order_that_decides_nothing_is_no_difference(plan):
    add = {"add": {"type": "Add", "inputs": ["a", "b"]}}
    assert diff(plan(**SIDE_BY_SIDE, **add), plan(**SWAPPED, **add)).equal


def test_inputs_that_change_places(plan):
    """`forward` takes them in the order of the config."""
    left, right = {"shape": [4]}, {"shape": [8]}
    layers = {"a": {**LINEAR, "inputs": "left"}, "b": {**LINEAR, "inputs": "right"}}
    sides = ({"left": left, "right": right}, {"right": right, "left": left})
    found = diff(*(mf.parse({"input": side, "layers": layers}, init="zeros") for side in sides))
    assert [change.name for change in found.totals] == ["inputs"]
    assert "left (4,), right (8,) → right (8,), left (4,)" in str(found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": LINEAR, "b": LINEAR}, {"b": LINEAR, "a": LINEAR}),
        (SIDE_BY_SIDE, SWAPPED),
        ({"b": {"type": "Residual", "layers": {"c": "Tanh", "d": {"type": "Sigmoid", "inputs": "input"}}}},
         {"b": {"type": "Residual", "layers": {"d": {"type": "Sigmoid", "inputs": "input"}, "c": "Tanh"}}}),
        ({"p": {"type": "Parallel", "branches": {"a": "ReLU", "b": "Tanh"}}},
         {"p": {"type": "Parallel", "branches": {"b": "Tanh", "a": "ReLU"}}}),
        ({"a": "ReLU", "b": {"type": "Concat", "inputs": ["a", "input"]}},
         {"a": "ReLU", "b": {"type": "Concat", "inputs": ["input", "a"]}}),
    ],
)  # fmt: skip
def test_what_computes_something_else_is_never_equal(plan, old, new):
    """The check on the check: the built models do give different outputs."""
    old, new = plan(shape=(4,), **old), plan(shape=(4,), **new)
    batch = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(mf.build(old)(batch), mf.build(new)(batch))
    assert not diff(old, new).equal


def test_layers_that_come_and_go(plan):
    found = diff(plan(a=LINEAR, old="ReLU", z=LINEAR), plan(a=LINEAR, new="Tanh", norm="LayerNorm", z=LINEAR))
    assert [(layer.path, layer.kind) for layer in found.layers] == [
        ("old", "removed"),
        ("new", "added"),
        ("norm", "added"),
        ("z", "changed"),
    ]
    assert changes(found.layers[-1]) == {"reads": (["old"], ["norm"])}
    assert [(item.path, item.kind) for item in found.parameters] == [("norm.weight", "added"), ("norm.bias", "added")]


def test_the_seed_changes_every_drawn_value(plan):
    found = diff(plan(a=LINEAR), plan(seed=1, a=LINEAR))
    assert [change.name for change in found.totals] == ["seed"]
    assert "every drawn value changes" in str(found)


@pytest.mark.parametrize(
    ("layer", "old", "new", "totals"),
    [
        ({"type": "BatchNorm1d", "affine": False}, None, "float64", [("dtype", "float32", "float64")]),
        ({"type": "BatchNorm1d", "affine": False}, None, "float32", []),  # what it is anyhow
        ({"type": "BatchNorm1d"}, "float64", "bfloat16", [("dtype", "float64", "bfloat16")]),
        (LINEAR, None, "float64", []),  # each parameter says it
        ("ReLU", None, "float64", []),
    ],
)
def test_the_dtype_of_buffers(layer, old: str | None, new: str, totals: list[tuple[str, str, str]]):
    model = {"input": {"shape": [4]}, "layers": {"a": layer}}
    specs = [mf.parse({"model": model} | ({"dtype": one} if one else {}), init="xavier") for one in (old, new)]
    found = mf.diff(*specs)
    assert [(change.name, change.old, change.new) for change in found.totals] == totals
    kinds = [{value.dtype for value in mf.build(spec).state_dict().values()} for spec in specs]
    assert found.equal is (kinds[0] == kinds[1])
    assert ("dtype of buffers" in str(found)) is bool(totals)


def test_buffers_that_come_change_no_dtype(plan):
    assert [change.name for change in diff(plan(a="ReLU"), plan(a="BatchNorm1d")).totals] == ["num_parameters"]


def test_inputs_and_output(plan):
    found = diff(plan(shape=(8,), a="ReLU"), plan(shape=(9,), a="ReLU"))
    assert [change.name for change in found.totals] == ["inputs", "output"]


def test_a_spread_that_was_zero(plan):
    (item,) = diff(plan("zeros", a=LINEAR), plan("orthogonal", a=LINEAR)).parameters
    assert item.ratio == math.inf
    assert "0 → 0.3536  from 0" in str(diff(plan("zeros", a=LINEAR), plan("orthogonal", a=LINEAR)))


def test_it_is_data(plan):
    found = diff(plan("zeros", a=LINEAR, b=LINEAR), plan("orthogonal", a={**LINEAR, "out_features": 6}, c="ReLU"))
    data = json.loads(to_json(found.to_dict(), inf_nan_mode="strings"))
    assert [layer["kind"] for layer in data["layers"]] == ["changed", "removed", "added"]
    assert data["parameters"][0]["std_ratio"] == "Infinity"


def test_renames_of_a_file_in_another_order_are_a_difference_where_the_file_is_not_read():
    model = {"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}
    renames = {"a": "b", "b": "head"}
    before, after = (
        plan_of(mf.parse({"model": model, "weights": {"path": "w.safetensors", "rename": item}}), read_files=False)
        for item in (renames, dict(reversed(renames.items())))
    )
    assert mf.diff(before, before).equal
    assert [item.changes[0].name for item in mf.diff(before, after).parameters] == ["rename", "rename"]

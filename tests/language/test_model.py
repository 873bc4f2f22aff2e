"""ModelSpec: frozen, comparable, and written as it was read."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

import modelforge as mf
from modelforge.language.parse import dump
from tests.language.test_parse import LINEAR, one
from tests.models import MODELS, spec


def test_a_spec_is_frozen():
    spec = one(LINEAR, init={"scheme": "xavier", "gain": 2.0})
    with pytest.raises(ValidationError, match="frozen"):
        spec.seed = 2
    with pytest.raises(ValidationError, match="frozen"):
        spec.layers["layer"].out_features = 3
    with pytest.raises(TypeError, match="read-only"):
        spec.layers["other"] = spec.layers["layer"]
    assert spec.init is not None
    with pytest.raises(TypeError, match="read-only"):
        spec.init.fields["gain"] = 1.0


@pytest.mark.parametrize("name", MODELS)
def test_a_spec_can_be_pickled_and_copied(name):
    original = spec(name)
    assert pickle.loads(pickle.dumps(original)) == original
    assert copy.deepcopy(original) == original
    assert mf.parse(dump(original)) == original


def test_dump_writes_what_was_written():
    layer = {"type": "BatchNorm1d", "momentum": None, "init": {"scale": {"scheme": "ones"}}}
    data = one(layer, init={"scheme": "xavier", "types": {"Linear": {"gain": 2}}, "params": {"*": "zeros"}}).to_dict()
    assert data == {
        "model": {
            "input": {"shape": [4]},
            "layers": {"layer": layer},
            "init": {"scheme": "xavier", "types": {"Linear": {"gain": 2}}, "params": {"*": {"scheme": "zeros"}}},
        },
        "seed": 0,
    }
    assert dump(one(layer).layers["layer"]) == layer


def test_specs_that_differ_are_not_equal():
    assert one(LINEAR) != one(LINEAR | {"bias": False})
    assert one(LINEAR) != mf.parse(one(LINEAR).to_dict(), seed=1)
    assert one(LINEAR) != mf.parse(one(LINEAR).to_dict(), init="xavier")
    assert one(LINEAR) != "spec"


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([{"a": "h"}], "`outputs` must name what comes out, but is [{'a': 'h'}]"),
        ([["h"]], "`outputs` must name what comes out, but is [['h']]"),
        ([None], "`outputs` must name what comes out, but is [None]"),
        ([], "`outputs` must name what comes out, but is []"),
        ({"": "h"}, "`outputs` must name what comes out, but is {'': 'h'}"),
        (["h", "h"], "`outputs` must give each output a name of its own, but 'h' is twice"),
        ({"1": "h", 1: "h"}, "`outputs` must give each output a name of its own, but '1' is twice"),
    ],
)
def test_each_output_has_a_name_of_its_own(outputs: object, message: str):
    layers = {"h": {"type": "Linear", "out_features": 2}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse({"input": {"shape": [4]}, "layers": layers, "outputs": outputs}, init="zeros")
    (problem,) = caught.value.problems
    assert (problem.code, problem.key, problem.message) == ("MF014", "model.outputs", message)


@pytest.mark.parametrize(
    "part", [{"outputs": [0]}, {"outputs": {"a": 0}}, {"layers": {0: "ReLU", 1: {"type": "Add", "inputs": [0]}}}]
)
def test_a_name_that_is_a_number_stands_in_quotes(part: dict[str, Any]):
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse({"input": {"shape": [4]}, "layers": {0: "ReLU"}, **part}, init="zeros")
    (problem,) = caught.value.problems
    assert "a name that is a number in quotes: " in problem.hint


def test_one_layer_may_be_several_outputs():
    layers = {"h": {"type": "Linear", "out_features": 2}}
    spec = mf.parse({"input": {"shape": [4]}, "layers": layers, "outputs": {"a": "h", "b": "h"}}, init="zeros")
    assert spec.outputs == {"a": "h", "b": "h"}

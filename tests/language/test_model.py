"""ModelSpec: frozen, comparable, and written as it was read."""

from __future__ import annotations

import copy
import pickle

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

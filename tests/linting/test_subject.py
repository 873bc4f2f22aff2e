"""What rules look at: views of a plan that agree with one another."""

from __future__ import annotations

from typing import Any

import modelforge as mf
from modelforge.linting.subject import Subject, followed_by, is_constant, key_of

DENSE: dict[str, Any] = {"type": "Linear", "out_features": 4}


def subject() -> Subject:
    layers = {
        "a": DENSE,
        "act": "ReLU",
        "b": {**DENSE, "inputs": "act"},
        "gate": {**DENSE, "inputs": "act"},
        "sum": {"type": "Add", "inputs": ["b", "gate"]},
    }
    model = {"input": {"shape": [4]}, "layers": layers, "tie": {"gate.weight": "b.weight"}}
    return Subject(mf.plan(mf.parse(model, init="kaiming")))


def test_a_layer_has_its_parameters_under_every_name():
    it = subject()
    assert {name: one.path for name, one in it.of_layer(it.leaves["gate"].layer).items()} == {
        "weight": "b.weight",
        "bias": "gate.bias",
    }
    assert it.of_layer(it.leaves["act"].layer) == {}


def test_readers_are_those_that_name_a_layer():
    it = subject()
    assert {path: [leaf.layer.path for leaf in read] for path, read in it.readers.items()} == {
        "@input": ["a"],
        "a": ["act"],
        "act": ["b", "gate"],
        "b": ["sum"],
        "gate": ["sum"],
    }


def test_what_is_known_of_a_parameter():
    weight, bias = (subject().by_path[path] for path in ("a.weight", "a.bias"))
    followed = followed_by(weight)
    assert followed is not None
    assert round(followed.forward_gain, 4) == 1.4142
    assert followed_by(subject().by_path["b.weight"]) is None
    assert (is_constant(weight), is_constant(bias)) == (False, True)
    assert (key_of(weight), key_of(bias)) == ("init", "model.layers.a")

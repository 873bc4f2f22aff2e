"""The graph of a model's leaves: sets of nodes before and after each."""

from __future__ import annotations

from typing import Any

import modelforge as mf
from modelforge.planning.graph import Graph, as_set
from modelforge.planning.study import Studies
from modelforge.planning.walk import Walk


def graph(layers: dict[str, Any]) -> Graph:
    walk = Walk(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier"), Studies())
    assert walk.model() is not None
    return walk._topology._graph


def linear(*inputs: str) -> dict[str, Any]:
    return {"type": "Linear", "out_features": 4, "inputs": list(inputs)}


def names(found: Graph, nodes: int) -> set[str]:
    return {name for name, number in found.numbers.items() if nodes >> number & 1}


def test_what_is_before_a_node_and_after_it():
    layers = {"a": linear("input"), "b": "ReLU", "c": linear("a"), "sum": {"type": "Add", "inputs": ["b", "c"]}}
    found = graph(layers)
    source = "@model.input"
    assert names(found, found.before[found.numbers["sum"]]) == {source, "a", "b", "c"}
    assert names(found, found.before[found.numbers["c"]]) == {source, "a"}
    assert names(found, found.after[found.numbers["a"]]) == {"b", "c", "sum"}
    assert names(found, found.after[found.numbers[source]]) == {"a", "b", "c", "sum"}
    assert found.after[found.numbers["sum"]] == 0


def test_the_last_leaves_with_parameters_leave_gates_out():
    gates = {"squeeze": linear("a"), "share": "Sigmoid", "gated": {"type": "Multiply", "inputs": ["act", "share"]}}
    found = graph({"a": linear("input"), "act": "ReLU"} | gates | {"drop": "Dropout"})
    assert names(found, found.ends[found.numbers["drop"]]) == {"a"}
    both = {"b": linear("input"), "c": linear("input"), "product": {"type": "Multiply", "inputs": ["b", "c"]}}
    found = graph(both)
    assert names(found, found.ends[found.numbers["product"]]) == {"b", "c"}


def test_a_layer_that_reads_itself_twice_is_there_once():
    found = graph({"a": linear("input"), "sum": {"type": "Add", "inputs": ["a", "a"]}})
    leaf = found.nodes[found.numbers["sum"]]
    assert leaf is not None
    assert leaf.makers == (found.numbers["a"],)
    assert found.before[found.numbers["sum"]] == as_set([found.numbers["@model.input"], found.numbers["a"]])

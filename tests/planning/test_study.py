"""A study: a layer's arguments, output and parameters, and inputs that it cannot read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from modelforge.core.tensors import BATCH, TensorValue, Value
from modelforge.language import registry
from modelforge.planning.forward import Misfit
from modelforge.planning.study import LayerFacts, Studies, describe, num_branches, study


def studied(kind: str, *inputs: Value, **given: Any) -> LayerFacts:
    return study(registry.get(kind), given, inputs)


def floats(*shape: int) -> TensorValue:
    return TensorValue((BATCH, *shape))


def test_what_is_left_out_is_inferred_and_what_is_given_stays():
    facts = studied("Linear", floats(6), out_features=3, bias=False)
    assert facts.arguments == {"in_features": 6, "out_features": 3, "bias": False}
    assert facts.output == floats(3)
    (weight,) = facts.parameters
    assert (weight.name, weight.shape, weight.dtype, weight.layout.role) == ("weight", (3, 6), "float32", "weight")
    assert not facts.has_buffers


def test_an_argument_that_contradicts_the_shape_is_refused():
    with pytest.raises(Misfit) as caught:
        studied("Linear", floats(6), in_features=5, out_features=3)
    assert (caught.value.code, caught.value.argument) == ("MF042", "in_features")


def test_a_table_may_be_longer_than_what_arrives_and_not_shorter():
    longer = studied("PositionEmbedding", floats(6, 4), num_positions=9)
    assert longer.parameters[0].shape == (9, 4)
    with pytest.raises(Misfit, match="`num_positions` must be at least 6"):
        studied("PositionEmbedding", floats(6, 4), num_positions=5)


@pytest.mark.parametrize(
    ("kind", "inputs", "given", "code", "message"),
    [
        ("Conv2d", (floats(3),), {"out_channels": 2, "kernel_size": 1}, "MF040", "Conv2d needs a "),
        ("ReLU", (floats(3), floats(3)), {}, "MF032", "ReLU reads 1 input, but gets 2"),
        ("Linear", ((floats(3), floats(3)),), {"out_features": 2}, "MF040", "Linear needs a tensor, but gets ("),
        ("Linear", (TensorValue((BATCH, 3), "int64"),), {"out_features": 2}, "MF043", "Linear needs floating-point"),
    ],
)
def test_inputs_that_a_layer_cannot_read_are_refused(kind: str, inputs, given, code: str, message: str):
    with pytest.raises(Misfit) as caught:
        studied(kind, *inputs, **given)
    assert caught.value.code == code
    assert str(caught.value).startswith(message)


def test_equal_layers_on_equal_inputs_are_studied_once():
    studies, layer = Studies(), registry.get("Linear")
    first = studies.of("one", layer, {"out_features": 3}, (floats(6),))
    assert studies.of("one", layer, {"out_features": 3}, (floats(6),)) is first
    assert studies.of("other", layer, {"out_features": 3}, (floats(6),)) is not first
    assert isinstance(studies.of("wrong", layer, {"out_features": 3, "in_features": 5}, (floats(6),)), Misfit)


def test_a_shared_parameter_is_met_once_under_its_first_name():
    one = nn.Linear(4, 4)
    two = nn.Linear(4, 4, bias=False)
    two.weight = one.weight
    found = [facts.name for facts in describe(nn.ModuleDict({"one": one, "two": two}))]
    assert found == ["one.weight", "one.bias"]


def test_classes_lead_from_the_owner_outwards_with_their_bases():
    class Special(nn.Linear):
        """A linear layer."""

    facts = next(describe(nn.Sequential(nn.Sequential(Special(2, 2)))))
    assert dict(facts.classes) == {"Special": "0.0", "Linear": "0.0", "Sequential": "0"}


def test_a_description_says_what_resets_a_parameter():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.inner = nn.Linear(3, 3, bias=False)

    found = {item.name: (item.owner, item.resettable, item.layout.role) for item in describe(Bare())}
    assert found == {"scale": ("", False, None), "inner.weight": ("inner", True, "weight")}


def test_torch_s_transformer_layers_hold_two_and_three_branches():
    assert num_branches(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)) == 2
    assert num_branches(nn.TransformerDecoderLayer(4, 2, 8, batch_first=True)) == 3
    assert num_branches(nn.Linear(4, 4)) == 0

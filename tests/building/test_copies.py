"""copied: a copy of a layer is like one more call of its constructor, and shares nothing that can change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.building.copies import Copies, _Undrawn, copied
from modelforge.language import registry
from modelforge.planning.study import construct
from tests.layers.rows import CASES, IDS
from tests.layers.test_contract import planned

FIXED = (bool, int, float, str, type(None), tuple, torch.dtype, torch.device)


def objects(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """All that a module and its children hold, by name."""
    for path, child in module.named_modules():
        for name, value in vars(child).items():
            yield f"{path}:{name}", value
            if name in ("_parameters", "_modules"):
                yield from ((f"{path}:{name}:{own}", held) for own, held in value.items())


def leaf(name: str, index: int, row: Any) -> Any:
    layer = planned(name, index).layers[len(row.before)]
    return None if layer.children or layer.has_buffers else layer


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=IDS)
def test_a_copy_is_like_another_call_of_the_constructor(name, index, row):
    layer = leaf(name, index, row)
    if layer is None:
        return
    kind = registry.get(name)
    first, again = construct(kind, layer.arguments), construct(kind, layer.arguments)
    copy = copied(first)
    if copy is None:
        return
    assert repr(copy) == repr(again)
    kept, made = dict(objects(first)), dict(objects(copy))
    assert [*kept] == [*made] == [*dict(objects(again))]
    assert all(isinstance(value, FIXED) or value is not made[key] for key, value in kept.items())
    shapes = [(key, value.shape, value.dtype, value.requires_grad) for key, value in again.named_parameters()]
    assert shapes == [(key, value.shape, value.dtype, value.requires_grad) for key, value in copy.named_parameters()]


def test_most_layers_with_weights_are_copied():
    leaves = {name: layer for name, index, row in CASES if (layer := leaf(name, index, row)) and layer.parameters}
    copies = {name for name, layer in leaves.items() if copied(construct(registry.get(name), layer.arguments))}
    assert {"Linear", "Conv2d", "Embedding", "LayerNorm", "MultiheadAttention"} <= copies
    assert not {"LSTM", "GRU"} & copies, "their list of weights is made by the constructor"


def test_own_layers_are_constructed_each():
    made: list[int] = []

    class Own(nn.Linear):
        def __init__(self, in_features: int) -> None:
            super().__init__(in_features, in_features)
            made.append(in_features)

    kind = registry.LayerType("Own", lambda: registry.get("Linear").spec, Own)
    copies = Copies()
    first, second = copies.make(kind, {"in_features": 3}), copies.make(kind, {"in_features": 3})
    assert first is not second
    assert made == [3, 3]


def test_copies_of_a_block_have_values_of_their_own():
    block = {"up": {"type": "Linear", "out_features": 8}, "act": "ReLU"}
    layers = {"blocks": {"type": "Repeat", "times": 3, "layers": block}}
    model = mf.build(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="xavier"))
    weights = [weight for name, weight in model.named_parameters() if name.endswith("up.weight")]
    assert len({id(weight) for weight in weights}) == len({weight.data_ptr() for weight in weights}) == 3
    assert not torch.equal(weights[0], weights[1])
    hooked: list[int] = []
    model.get_submodule("blocks.0.up").register_forward_hook(lambda *_: hooked.append(1))
    model.get_submodule("blocks.1").eval()
    model(torch.ones(2, 8))
    assert hooked == [1]
    assert model.get_submodule("blocks.0.act").training


def test_constructors_draw_nothing_into_meta_tensors_and_into_others_as_ever():
    with _Undrawn():
        assert nn.init.normal_(torch.empty(3, device="meta"), std=-1.0).is_meta  # torch refuses it where it draws
        assert torch.empty(3, device="meta").uniform_(2.0, 1.0).shape == (3,)
        assert nn.init.uniform_(torch.zeros(100), 1.0, 2.0).min() >= 1
        assert nn.Linear(4, 4).weight.abs().max() > 0
    with pytest.raises(RuntimeError):
        nn.init.normal_(torch.empty(3, device="meta"), std=-1.0)

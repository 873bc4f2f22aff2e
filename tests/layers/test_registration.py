"""register_layer: the module is the declaration. What it says becomes schema, shapes and roles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.block import Block
from modelforge.layers import layouts, registry
from modelforge.layers.layouts import ParameterLayout, layout
from modelforge.layers.register import register_layer


@pytest.fixture(autouse=True)
def _unregister() -> Iterator[None]:
    registry.names()
    types, known = dict(registry._TYPES), dict(layouts._LAYOUTS)
    yield
    for table, before in ((registry._TYPES, types), (layouts._LAYOUTS, known)):
        table.clear()
        table.update(before)


def one(type_name: str, *shape: int, init: object = None, **arguments: object) -> mf.ModelSpec:
    layers = {"layer": {"type": type_name, **arguments}}
    return mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=init)


class Gated(nn.Module):
    """A gate for each feature."""

    def __init__(self, dim: int, sharp: float = 1.0) -> None:
        super().__init__()
        self.sharp = sharp
        self.gate = nn.Parameter(torch.empty(dim))
        self.mix = nn.Parameter(torch.empty(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return (x * (self.sharp * self.gate).sigmoid()) @ self.mix.T


def test_signature_shape_and_roles():
    register_layer(axes="... features", infer={"dim": -1}, roles={"gate": "scale", "mix": "weight"})(Gated)
    plan = mf.plan(one("Gated", 3, init="xavier"))
    assert plan.layers[0].arguments == {"dim": 3, "sharp": 1.0}
    assert str(plan.output) == "(6,)"
    assert [(item.path, item.role, item.scheme) for item in plan.parameters] == [
        ("layer.gate", "scale", "constant"),
        ("layer.mix", "weight", "xavier"),
    ]
    assert plan.parameter("layer.mix").std == pytest.approx((2 / (3 + 6)) ** 0.5)
    model = mf.build(plan)
    assert model.ledger.ok
    assert model(torch.ones(2, 3)).shape == (2, 6)


def test_a_parameter_without_a_role_must_be_named():
    register_layer(infer={"dim": -1})(Gated)
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(one("Gated", 3, init="xavier"))
    assert [(problem.code, problem.message) for problem in caught.value.problems] == [
        ("MF025", "no rule covers layer.gate (3,), and its role is not known"),
        ("MF025", "no rule covers layer.mix (6, 3), and its role is not known"),
    ]
    assert "params: {gate: ...}" in caught.value.problems[0].hint
    named = {"params": {"*.gate": "ones", "layer.mix": {"scheme": "normal", "std": 0.1}}}
    assert mf.build(mf.parse(one("Gated", 3).to_dict(), init=named)).ledger.ok


def test_a_layout_gives_logical_blocks():
    def halves(module: Gated) -> dict[str, ParameterLayout]:
        rows = module.mix.shape[0] // 2
        blocks = tuple(
            Block(shape=(rows, rows), fan_in=rows, fan_out=rows, name=name, start=start * rows)
            for start, name in enumerate(("up", "down"))
        )
        return {
            "mix": ParameterLayout("weight", blocks),
            "gate": ParameterLayout("scale", (layouts.whole(module.gate),)),
        }

    register_layer(infer={"dim": -1}, layout=halves)(Gated)
    model = mf.build(one("Gated", 4, init="orthogonal"))
    for half in model.layer.mix.chunk(2):
        assert torch.allclose(half @ half.T, torch.eye(4), atol=1e-6)
    assert model.ledger["layer.mix"].blocks == ("up", "down")


def test_layouts_are_inherited():
    class MyLinear(nn.Linear):
        """Linear, with another name."""

    assert layout(MyLinear(3, 2)).keys() == {"weight", "bias"}
    assert layout(MyLinear(3, 2))["weight"].role == "weight"


def test_unknown_modules_are_guessed_by_name():
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 3))
            self.bias = nn.Parameter(torch.zeros(2))
            self.other = nn.Parameter(torch.zeros(2))

    known = layout(Unknown())
    assert {name: item.role for name, item in known.items()} == {"weight": "weight", "bias": "bias", "other": None}
    block = known["weight"].blocks[0]
    assert (block.fan_in, block.fan_out) == (3, 2)


def test_a_name_is_taken_once():
    register_layer(name="Gate")(Gated)
    with pytest.raises(ValueError, match="a layer named 'Gate' is registered already"):
        register_layer(name="Gate")(Gated)


def test_a_layer_must_give_tensors():
    @register_layer
    class Text(nn.Module):
        """Says something."""

        def forward(self, x: Tensor) -> str:
            return "x"

    with pytest.raises(mf.ForgeError, match=r"MF043\]: a layer must give tensors, but gives a str"):
        mf.plan(one("Text", 3))


def test_bare_decorator_and_plain_types():
    @register_layer
    class Scale(nn.Module):
        """x times a number."""

        def __init__(self, by: float, names: list[str] | None = None) -> None:
            super().__init__()
            self.by = by
            self.names = names

        def forward(self, x: Tensor) -> Tensor:
            return x * self.by

    assert one("Scale", 3, by=2).layers["layer"].arguments == {"by": 2.0, "names": None}
    with pytest.raises(mf.ForgeError, match="`by` must be a number, but is 'two'"):
        one("Scale", 3, by="two")
    with pytest.raises(mf.ForgeError, match="Scale needs the argument `by`"):
        one("Scale", 3)


def test_activations_are_followed():
    @register_layer(kind="activation")
    class Square(nn.Module):
        """x²."""

        def forward(self, x: Tensor) -> Tensor:
            return x.square()

    layers = {"hidden": {"type": "Linear", "out_features": 4}, "drop": "Dropout", "act": "Square"}
    init = {"scheme": "kaiming", "gain": "auto"}
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": layers}, init=init))
    # E[(x²)²] = 3 for a standard normal x: the gain that keeps the second moment is 1/√3.
    assert plan.parameter("hidden.weight").numbers["gain"] == pytest.approx(3**-0.5, rel=1e-6)

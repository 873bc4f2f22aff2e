"""Networks that people wrote, and those that modelforge built: config and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.config.folder import options
from modelforge.core.tensors import TensorValue
from tests.models import MODELS, batch, spec
from tests.tracing.networks import NETWORKS, Block, tokens
from tests.tracing.roundtrip import layers, roundtrip

ZOO = options("conf", "model")


def written(name: str) -> dict[str, Any]:
    make, inputs = NETWORKS[name]
    return roundtrip(make(), *inputs)


# --- written by hand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_and_its_config_are_one(name):
    assert written(name)["layers"]


def test_resnet():
    config = written("resnet")
    block = config["layers"]["layer1"]
    assert (block["type"], block["times"]) == ("Repeat", 2)
    assert block["layers"]["relu"] == block["layers"]["relu2"] == "ReLU"
    assert block["layers"]["add"] == {"type": "Add", "inputs": ["bn2", "input"]}
    first = config["layers"]["layer2"]["layers"]["0"]["layers"]
    assert first["downsample"]["inputs"] == "input"
    assert first["add"]["inputs"] == ["bn2", "downsample"]
    assert config["layers"]["avgpool"] == {"type": "AdaptiveAvgPool2d", "output_size": 1}
    assert config["layers"]["flatten"] == "Flatten"


def test_state_tuples_and_several_outputs():
    assert written("tagger")["layers"]["select"] == {"type": "Select", "dim": 1, "index": -1}
    config = written("encoder_decoder")
    assert list(config["input"]) == ["source", "target"]
    assert config["layers"]["decoder"]["inputs"] == ["target", "encoder.1"]
    assert config["outputs"] == {"scores": "head", "memory": "encoder"}


def test_torchs_own_encoder():
    encoder = written("classifier")["layers"]["encoder"]["layers"]
    layer = {
        "type": "TransformerEncoderLayer",
        "nhead": 2,
        "dim_feedforward": 16,
        "activation": "gelu",
        "norm_first": True,
    }
    assert encoder == {"layers": {"type": "Sequential", "layers": dict.fromkeys("012", layer)}, "norm": "LayerNorm"}


def test_the_weights_of_attention():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            _, weights = self.attend(x, x, x)
            return self.head(weights)

    found = layers(Net(), torch.randn(2, 3, 4))
    assert found["attend"] == {"type": "MultiheadAttention", "num_heads": 2, "need_weights": True}
    assert found["head"]["inputs"] == "attend.1"


def test_neither_the_module_nor_the_examples_are_written_to():
    example = torch.randn(2, 4)
    before = example.clone()
    mf.from_module(nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm1d(4), nn.ELU(inplace=True)), example)
    assert torch.equal(example, before)
    renormed = nn.Sequential(nn.Embedding(9, 4, max_norm=0.1), nn.Linear(4, 2))
    roundtrip(renormed, tokens(9, 2, 5))


def test_layers_that_draw_in_evaluation_too():
    net = nn.Sequential(nn.FractionalMaxPool2d(2, output_size=3), nn.Flatten(), nn.Linear(9, 2))
    config = mf.from_module(net, torch.randn(2, 1, 8, 8))
    assert config["layers"]["0"] == {"type": "FractionalMaxPool2d", "kernel_size": 2, "output_size": 3}


def test_what_is_read_twice_and_made_early():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Inner()
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = self.block(x)
            return {"y": y, "head": self.head(y)}

    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.probe = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            self.probe(y)  # nobody reads it, and it has parameters all the same
            return y

    config = roundtrip(Net(), torch.randn(2, 4))
    assert config["outputs"] == {"y": "block", "head": "head"}
    assert config["layers"]["block"]["layers"]["output"] == {"type": "Identity", "inputs": "first"}


def test_shapes_may_be_asked_for():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)
            self.head = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            assert x.dim() == 4
            x = self.conv(x)
            batch, channels, height, width = x.shape
            if height > 1:
                x = x.reshape(batch, channels, height * width).transpose(1, 2)
            return self.head(x)

    found = layers(Net(), torch.randn(2, 2, 5, 5))
    assert found["permute"] == {"type": "Permute", "dims": [0, 2, 1]}
    assert found["reshape"] == {"type": "Reshape", "shape": [3, 9]}


def test_one_example_will_do_and_the_mode_does_not_matter():
    make, inputs = NETWORKS["resnet"]
    assert mf.from_module(make().eval(), inputs[0][:1]) == mf.from_module(make(), inputs[0])


def test_a_module_of_another_dtype():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).to(torch.bfloat16)
    config = mf.from_module(net, torch.randn(2, 4, dtype=torch.bfloat16))
    assert config["input"] == {"shape": [4]}


def test_a_module_without_memory():
    with torch.device("meta"):
        net, example = nn.Sequential(Block(8), Block(8)), torch.empty(2, 5, 8)
    config = mf.from_module(net, example)
    assert list(config["layers"]) == ["0", "1"]


def test_a_layer_of_ones_own():
    @mf.register_layer(axes="... features", infer={"size": -1}, roles={"gamma": "scale"})
    class Gate(nn.Module):
        def __init__(self, size: int, sharp: float = 1.0) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(size))
            self.sharp = sharp

        def forward(self, x: Tensor) -> Tensor:
            return x * (self.sharp * self.gamma).sigmoid()

    try:
        found = layers(nn.Sequential(nn.Linear(4, 3), Gate(3, 2.0), Gate(3)), torch.randn(2, 4))
        assert found["1"] == {"type": "Gate", "sharp": 2.0}
        assert found["2"] == "Gate"
    finally:
        from modelforge.layers.register import unregister_layer

        unregister_layer("Gate")


# --- built by modelforge ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_built_models(name):
    config = roundtrip(mf.build(spec(name)), batch(name))
    given = mf.parse(MODELS[name])
    assert list(config["layers"]) == list(given.layers)
    assert mf.plan(mf.parse(config, init="torch")).layers == mf.plan(mf.parse(MODELS[name], init="torch")).layers


@pytest.mark.parametrize("name", ZOO)
def test_every_model_of_conf(name):
    plan = mf.plan(mf.load("conf", [f"model={name}", *SMALLER.get(name, [])]))
    config = roundtrip(mf.build(plan), *(example(value) for value in plan.inputs.values()), twice=False)
    found = mf.plan(mf.parse(config, init={"params": {"*": "zeros"}}))
    assert [(layer.path, meant(layer.arguments)) for layer in leaves(found)] == [
        (layer.path, meant(layer.arguments)) for layer in leaves(plan)
    ]
    assert dict(found.ties) == dict(plan.ties)


def meant(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """T5 says a size of heads that follows from the others where it is small."""
    follows = arguments.get("head_dim") and arguments["num_heads"] * arguments["head_dim"] == arguments["embed_dim"]
    return {**arguments, "head_dim": None} if follows else dict(arguments)


def example(value: TensorValue) -> torch.Tensor:
    shape = (2, *value.shape[1:])
    return tokens(5, *shape) if "int" in value.dtype else torch.randn(shape)


SMALLER = {"vgg": ["model.args.hidden=32", "model.args.norm=true"], "vit": ["model.sizes.tiny.depth=3"]}


def leaves(plan: mf.Plan) -> list[Any]:
    return [layer for layer in plan.layers if not layer.children]


LINEAR = {"type": "Linear", "out_features": 4}
COMBINED: dict[str, dict[str, Any]] = {
    "residuals": {
        "plain": {"type": "Residual", "layers": {"fc": LINEAR, "act": "ReLU"}},
        "times": {"type": "Residual", "layers": {"fc": LINEAR}, "merge": "Multiply"},
        "wide": {
            "type": "Residual",
            "layers": {"fc": LINEAR},
            "shortcut": LINEAR,
            "merge": {"type": "Concat", "dim": -1},
        },
        "nested": {
            "type": "Residual",
            "layers": {"inner": {"type": "Residual", "layers": {"fc": {"type": "Linear", "out_features": 8}}}},
            "shortcut": {"type": "Sequential", "layers": {"fc": {"type": "Linear", "out_features": 8}, "act": "Tanh"}},
        },
    },
    "parallel": {
        "add": {"type": "Parallel", "branches": {"a": LINEAR, "b": "Tanh"}, "merge": "Add"},
        "concat": {"type": "Parallel", "branches": {"a": LINEAR, "b": {"type": "Sequential", "layers": {"c": LINEAR}}}},
    },
    "repeated": {
        "body": {"type": "Repeat", "times": 3, "layers": {"fc": LINEAR, "act": "ReLU"}},
        "deep": {
            "type": "Repeat",
            "times": 2,
            "layers": {
                "inner": {
                    "type": "Repeat",
                    "times": 2,
                    "layers": {"add": {"type": "Residual", "layers": {"fc": LINEAR}}},
                }
            },
        },
    },
    "several": {
        "a": LINEAR,
        "b": dict(LINEAR, inputs="input"),
        "sum": {"type": "Add", "inputs": ["a", "b", "input"]},
        "product": {"type": "Multiply", "inputs": ["sum", "a"]},
    },
}


@pytest.mark.parametrize("name", COMBINED)
def test_combinators_come_back_as_they_were(name):
    given = {"input": {"shape": [4]}, "layers": COMBINED[name]}
    built = mf.build(mf.parse(given, init="xavier"))
    assert roundtrip(built, torch.randn(2, 4))["layers"] == COMBINED[name]


def test_values_from_around_come_back():
    given = {
        "input": {"x0": {"shape": [7, 4]}, "x1": {"shape": [5, 4]}},
        "layers": {
            "memory": {"type": "Linear", "out_features": 4, "inputs": "x0"},
            "decoder": {
                "type": "Repeat",
                "inputs": "x1",
                "times": 2,
                "layers": {
                    "cross": {
                        "type": "Residual",
                        "layers": {
                            "norm": "LayerNorm",
                            "attend": {"type": "CrossAttention", "num_heads": 2, "inputs": ["norm", "memory"]},
                        },
                    }
                },
            },
            "head": {"type": "Linear", "out_features": 3},
        },
        "outputs": {"scores": "head", "memory": "memory"},
    }
    built = mf.build(mf.parse(given, init="xavier"))
    assert roundtrip(built, torch.randn(2, 7, 4), torch.randn(2, 5, 4)) == given


def test_further_inputs_of_copies_come_back():
    gate = {"fc": LINEAR, "gate": {"type": "Multiply", "inputs": ["fc", "input.1"]}}
    given = {
        "input": {"x0": {"shape": [4]}, "x1": {"shape": [4]}},
        "layers": {"body": {"type": "Repeat", "times": 2, "inputs": ["x0", "x1"], "layers": gate}},
    }
    built = mf.build(mf.parse(given, init="xavier"))
    found = roundtrip(built, torch.randn(2, 4), torch.randn(2, 4))["layers"]["body"]
    assert found["times"] == 2
    assert found["layers"]["gate"]["inputs"] == ["fc", "x1"]  # by name, as it is there

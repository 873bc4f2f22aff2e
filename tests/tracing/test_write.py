"""The config that is written: short, in containers, with names that a config can have."""

from __future__ import annotations

import pytest
import torch
import yaml
from torch import Tensor, nn

import modelforge as mf
from tests.tracing.networks import NETWORKS
from tests.tracing.roundtrip import layers
from tests.tracing.test_networks import written
from tests.tracing.test_steps import linear, refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv-1", "`conv-1` cannot name a layer: use letters, digits and underscores"),
        ("_first", "`_first` cannot name a layer: use letters, digits and underscores"),
        ("input", "`input` cannot name a layer: layers refer to their input by this name"),
        ("ledger", "`ledger` cannot name a layer: nn.Module has an attribute with this name"),
    ],
)
def test_names_that_no_layer_can_have(name, message):
    net = nn.Sequential()
    net.add_module(name, linear())
    assert message in refused(net)


def test_the_text_of_a_network():
    make, inputs = NETWORKS["lenet"]
    assert (
        str(mf.from_module(make(), *inputs))
        == """\
input: {shape: [1, 14, 14]}
layers:
  conv1: {type: Conv2d, out_channels: 4, kernel_size: 5}
  relu: ReLU
  max_pool2d: {type: MaxPool2d, kernel_size: 2}
  conv2: {type: Conv2d, out_channels: 6, kernel_size: 3}
  relu2: ReLU
  max_pool2d_2: {type: MaxPool2d, kernel_size: 2}
  flatten: Flatten
  fc1: {type: Linear, out_features: 12}
  relu3: ReLU
  dropout: {type: Dropout, p: 0.3}
  fc2: {type: Linear, out_features: 10}
  log_softmax: {type: LogSoftmax, dim: 1}
"""
    )


def test_lists_ties_and_values_from_around():
    config = written("encoder")
    assert config["tie"] == {"head.weight": "embed.weight"}
    assert config["layers"]["blocks"]["times"] == 3
    assert config["layers"]["blocks"]["layers"]["attn"] == {"type": "MultiheadAttention", "num_heads": 2}
    config = written("decoder")
    assert config["layers"]["blocks"]["layers"]["attend"]["inputs"] == ["input", "memory"]
    assert list(written("in_turn")["layers"]["convs"]["layers"]) == ["0", "act", "1"]
    assert written("wide")["layers"]["branches"]["type"] == "Parallel"


def test_a_block_whose_output_is_the_sum_is_a_residual():
    class Add(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.fc(self.norm(x)).relu()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Add()
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.block(x))

    body = {"norm": "LayerNorm", "fc": {"type": "Linear", "out_features": 4}, "relu": "ReLU"}
    assert layers(Net(), torch.randn(2, 4))["block"] == {"type": "Residual", "layers": body}
    copies = layers(nn.Sequential(Add(), Add()), torch.randn(2, 4))
    assert copies["0"] == copies["1"] == {"type": "Residual", "layers": body}


def test_the_value_is_plain_data_and_its_text_is_a_file_of_conf():
    config = mf.from_module(nn.Sequential(nn.Linear(4, 3)), torch.randn(2, 4))
    assert isinstance(config, dict)
    assert type(config.to_dict()) is dict
    assert yaml.safe_load(str(config)) == config
    assert mf.parse(yaml.safe_load(str(config))) == mf.parse(config)

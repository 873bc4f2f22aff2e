"""Where values first leave the finite range."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modelforge.train.divergence import locate


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)), nn.Linear(4, 2))


def linear(model: nn.Module, path: str) -> nn.Linear:
    layer = model.get_submodule(path)
    assert isinstance(layer, nn.Linear)
    return layer


def test_an_overflow_is_laid_at_the_first_layer_that_has_it():
    model = network()
    nn.init.constant_(linear(model, "0").weight, 1e20)
    nn.init.constant_(linear(model, "1.1").weight, 1e30)
    finding = locate(model, torch.ones(3, 4))
    assert str(finding) == "layer `1.1` is the first to output 12 infinite of 12 values, from inputs up to 4e+20"


def test_a_broken_parameter_is_named():
    model = network()
    with torch.no_grad():
        linear(model, "1.1").bias[2] = float("nan")
    assert str(locate(model, torch.ones(3, 4))) == "`bias` of layer `1.1` is no longer finite (1 NaN of 4 values)"


def test_a_broken_batch_is_no_layers_fault():
    inputs = torch.ones(3, 4)
    inputs[0, 0] = float("inf")
    assert str(locate(network(), inputs)) == "the batch itself holds 1 infinite of 12 values"


def test_going_backward_the_last_layer_is_the_first():
    model = network()
    model(torch.ones(3, 4)).sum().backward()
    for layer in (linear(model, "0"), linear(model, "1.1")):
        assert layer.weight.grad is not None
        layer.weight.grad.fill_(float("nan"))
    finding = locate(model, torch.ones(3, 4))
    assert (finding.kind, finding.layer, finding.parameter) == ("gradient", "1.1", "weight")
    assert "16 NaN of 16 values" in str(finding)


def test_where_all_is_finite_it_is_the_loss():
    assert str(locate(network(), torch.ones(3, 4))).endswith("but the loss is not")


def test_attention_is_blamed_although_its_children_are_never_called():
    class Attend(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, inputs):
            return self.attend(inputs, inputs, inputs)[0]

    model = Attend()
    with torch.no_grad():
        model.attend.out_proj.weight.fill_(float("inf"))
    finding = locate(model, torch.ones(1, 2, 4))
    assert (finding.kind, finding.layer, finding.parameter) == ("parameter", "attend.out_proj", "weight")


def test_looking_leaves_no_hooks_and_no_gradients():
    model = network()
    locate(model, torch.ones(3, 4))
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_with_several_outputs(kind):
    model = nn.Sequential(getattr(nn, kind)(4, 4, batch_first=True))
    with torch.no_grad():
        model.get_parameter("0.weight_hh_l0").fill_(float("nan"))
    assert locate(model, torch.ones(1, 3, 4)).parameter == "weight_hh_l0"

"""What a module holds that no config can express: hooks, parametrisations, frozen parameters, several dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, weight_norm

import modelforge as mf
from tests.tracing.test_steps import Net, Scores, linear, refused


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = linear()
        self.token = nn.Parameter(torch.zeros(4))
        self.register_buffer("shift", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x + self.token) + self.shift


@pytest.mark.parametrize(
    ("shape", "layer"),
    [((1, 1, 4), "a class token is `ClassToken`"), ((1, 9, 4), "positions are `PositionEmbedding`"), ((4,), "")],
)
def test_a_parameter_for_which_there_is_a_layer(shape: tuple[int, ...], layer: str):
    holder = Holder()
    holder.token = nn.Parameter(torch.zeros(shape))
    lines = refused(nn.Sequential(holder, linear())).splitlines()
    hint = next(line for line in lines if "mf.register_layer" in line)  # that of the parameter comes first
    assert layer in hint
    assert (";" in hint) == bool(layer)


def test_parameters_and_buffers_of_no_layer():
    text = refused(nn.Sequential(Holder(), linear()))
    assert "Holder holds the parameter token itself, which only layers do\n  --> 0" in text
    assert "Holder holds the buffer shift itself, which only layers do\n  --> 0" in text
    assert text.count("error[") == 2


def test_hooks():
    net = nn.Sequential(linear(), nn.ReLU())
    net[1].register_forward_hook(lambda module, args, output: output * 2)
    assert "ReLU has hooks, which a config cannot hold\n  --> 1" in refused(net)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, weight_norm], ids=["new", "old"])
def test_parametrisations(wrap):
    text = refused(nn.Sequential(wrap(linear()), nn.ReLU()))
    assert "is computed by a parametrisation\n  --> 0" in text
    assert text.count("error[") == 1, text


def test_frozen_parameters():
    net = nn.Sequential(linear(), linear())
    net[0].weight.requires_grad_(False)
    assert "weight of Linear is frozen\n  --> 0" in refused(net)


def test_several_dtypes():
    net = nn.Sequential(linear(), linear().double())
    assert "its parameters are of several dtypes: float32 (`0.bias`) and float64 (`1.bias`)" in refused(net)


def test_several_modes():
    net = nn.Sequential(linear(), nn.Dropout())
    net[1].eval()
    assert "`1` is in evaluation mode, and the model is not" in refused(net)


@pytest.mark.parametrize("mode", [True, False])
def test_a_part_that_stays_in_evaluation_while_the_model_trains(mode: bool):
    class Held(nn.Sequential):
        def train(self, mode: bool = True) -> Held:
            super().train(mode)
            self[1].eval()
            return self

    net = Held(nn.Linear(4, 4), nn.BatchNorm1d(4)).train(mode)
    kind = "is in evaluation mode, and the model is not" if mode else "stays in evaluation mode while the model trains"
    assert f"`1` {kind}" in refused(net)


def test_parameters_without_a_shape():
    assert "weight, bias of LazyLinear has no shape yet" in refused(nn.Sequential(nn.LazyLinear(3)))


def test_a_layer_with_two_names():
    layer = linear()
    assert "`1` is the same module as `0`" in refused(nn.Sequential(layer, layer))


def test_a_layer_that_never_runs():
    text = refused(Net(lambda m, x: m.a(x), a=linear(), b=linear(), act=nn.ReLU()))
    assert "`b` holds parameters, but `forward` does not call it" in text
    assert "act" not in text


@pytest.mark.parametrize("name", ["spectral_norm", "weight_norm"])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_what_removes_a_parametrisation_of_each_kind(name):
    old = nn.Sequential(getattr(nn.utils, name)(linear()), linear())
    assert f"`torch.nn.utils.remove_{name}` removes it" in refused(old)
    getattr(nn.utils, f"remove_{name}")(old[0])
    assert "layers" in mf.from_module(old, torch.randn(2, 4))
    new = nn.Sequential(getattr(parametrizations, name)(linear()), linear())
    assert "`torch.nn.utils.parametrize.remove_parametrizations` removes it" in refused(new)


def test_auxiliary_heads_run_in_training_alone():
    """As in torchvision's GoogLeNet and Inception."""

    def forward(module: Any, x: Tensor) -> Any:
        x = module.trunk(x)
        aux = module.aux(x) if module.training else None
        return Scores(module.head(x), aux) if module.training else module.head(x)

    text = refused(Net(forward, trunk=linear(), aux=linear(), head=linear()))
    assert "`aux` holds parameters, but `forward` does not call it" in text


def test_modules_in_a_list_are_led_to_a_module_list():
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = [nn.Linear(3, 3)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner[0](x)

    with pytest.raises(mf.ForgeError) as caught:
        mf.from_module(Hidden(), torch.zeros(2, 3))
    assert any("ModuleList" in problem.hint for problem in caught.value.problems)


class GoogLeNetOutputs(NamedTuple):
    logits: Tensor
    aux_logits: Tensor | None


class GoogLeNet(nn.Module):
    """One inception block, and, as in torchvision, a head that only training reads."""

    def __init__(self, *, aux_logits: bool = True) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.branch1 = nn.Conv2d(4, 2, 1)
        self.branch2 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.Conv2d(4, 2, 1))
        self.aux = nn.Linear(4 * 4 * 4, 5) if aux_logits else None
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        x = F.relu(self.conv(x), inplace=True)
        aux = None
        if self.aux is not None and self.training:
            aux = self.aux(torch.flatten(F.adaptive_avg_pool2d(x, (4, 4)), 1))
        x = torch.cat([self.branch1(x), self.branch2(x)], 1)
        x = self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))
        return GoogLeNetOutputs(x, aux) if self.training and self.aux_logits else x


@pytest.mark.parametrize("training", [True, False])
def test_a_head_that_only_training_reads(training):
    net = GoogLeNet().train(training)
    said = refused(net, torch.randn(2, 3, 8, 8))
    assert "error[MF133]: `aux` holds parameters, but `forward` does not call it" in said
    assert net.training == training
    assert mf.initialize(net, {"scheme": "xavier"}, seed=0).ok


def test_without_that_head_it_is_read():
    config = mf.from_module(GoogLeNet(aux_logits=False), torch.randn(2, 3, 8, 8)).to_dict()
    assert str(mf.plan(mf.parse(config, init="xavier")).output) == "(5,)"

"""What a config cannot say is named, with its place, and all of it at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, weight_norm

import modelforge as mf


class Net(nn.Module):
    """Layers by name, and a function of the module and what arrives."""

    def __init__(self, forward: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(self, x)


def refused(module: nn.Module, *inputs: Tensor) -> str:
    with pytest.raises(mf.ForgeError) as caught:
        mf.from_module(module, *(inputs or (torch.randn(2, 4),)))
    for problem in caught.value.problems:
        assert problem.code in ("MF130", "MF131", "MF132", "MF133", "MF134", "MF135")
        assert problem.path
    return str(caught.value)


def linear(inputs: int = 4, outputs: int = 4) -> nn.Linear:
    return nn.Linear(inputs, outputs)


# --- what is no layer -------------------------------------------------------------------------------------------------


class Doubled(nn.Linear):
    """A layer that computes something else than its base."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def test_classes_that_are_not_registered():
    text = refused(nn.Sequential(Mixer(), Doubled(4, 4)))
    assert "error[MF130]: Mixer is not a registered layer\n  --> 0\n   = help: register it, with `mf.register_" in text
    assert "error[MF130]: Doubled is not a registered layer\n  --> 1\n   = help: it derives from Linear, and" in text


FUNCTIONS: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "matmul": (lambda m, x: m.a(x) @ x.transpose(0, 1), "moves the batch away from dimension 0"),
    "chunk": (lambda m, x: m.a(x).chunk(2, 1)[0], r"`x\.chunk` has no layer that does the same"),
    "norm": (lambda m, x: F.normalize(m.a(x)), "the function `normalize` has no layer that does the same"),
    "number": (lambda m, x: m.a(x) + 1, "the function `add` adds a number"),
    "slice": (lambda m, x: m.a(x)[:, 1:], "a slice of a tensor has no layer"),
    "detach": (lambda m, x: m.a(x).detach(), r"`x\.detach` has no layer .*\n.*\n.*gradients belong to training"),
    "dtype": (lambda m, x: m.a(x).double(), r"`x\.double` changes the dtype or the device"),
    "weight": (lambda m, x: F.linear(m.a(x), m.a.weight), r"`linear` reads the parameter `a\.weight` itself"),
    "constant": (lambda m, x: m.a(x) * torch.ones(4), "`mul` reads a tensor that `forward` makes"),
    "returned weight": (lambda m, x: m.a.weight, r"its output is the parameter `a\.weight` itself"),
    "constant input": (lambda m, x: m.a(torch.ones(2, 4)), "its `input` is a tensor that `forward` makes"),
    "zeros": (lambda m, x: m.a(x) + torch.zeros_like(x), "`add` reads a tensor that `forward` makes"),
    "batch": (lambda m, x: m.a(x).reshape(-1), r"`x\.reshape` mixes the batch with other dimensions"),
    "written batch": (lambda m, x: m.a(x).view(2, 2, 2), r"`x\.view` mixes the batch with other dimensions"),
    "moved": (lambda m, x: m.a(x).permute(1, 0), "moves the batch away from dimension 0"),
    "mean of all": (lambda m, x: m.a(x).mean(), "averages over the batch"),
    "along the batch": (lambda m, x: torch.cat([m.a(x), x]), "concatenates along the batch"),
    "drops always": (lambda m, x: F.dropout(m.a(x)), "does not drop in training alone, not in evaluation"),
    "drops never": (lambda m, x: F.dropout(m.a(x), training=False), "does not drop in training alone$"),
    "softmax dtype": (lambda m, x: F.softmax(m.a(x), 1, dtype=torch.float64), "is called with a dtype"),
    "alpha": (lambda m, x: torch.add(m.a(x), x, alpha=2), "is called with `alpha`"),
    "divided": (lambda m, x: m.a(x) / x, "divides by a tensor"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_are_no_layers(name):
    forward, message = FUNCTIONS[name]
    text = refused(Net(forward, a=linear()))
    assert re.search(message, text, re.MULTILINE), text
    assert f"--> {'a' if name == 'constant input' else 'Net'}" in text


def test_arguments_that_are_not_kept():
    class Power(nn.Module):
        def __init__(self, exponent: float = 2.0) -> None:
            super().__init__()
            self.hidden = exponent

        def forward(self, x: Tensor) -> Tensor:
            return x**self.hidden

    mf.register_layer(Power)
    try:
        text = refused(nn.Sequential(linear(), Power(3.0)))
        assert "Power does not keep its argument `exponent`, whose default is 2.0\n  --> 1" in text
        assert "keep it: `self.exponent = exponent`; or see `register_reader`" in text
    finally:
        from modelforge.layers.register import unregister_layer

        unregister_layer("Power")


def test_layers_that_were_changed_after_they_were_made():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    layer.dropout1.p = 0.7
    text = refused(nn.Sequential(layer), torch.randn(2, 3, 4))
    assert "this is not what TransformerEncoderLayer makes of its arguments: it was changed after it was made" in text


def test_what_is_always_so_in_a_config():
    text = refused(nn.Sequential(nn.GRU(4, 4)), torch.randn(2, 3, 4))
    assert "GRU has `batch_first=False`, which is always True in a config" in text


def test_masks_of_torchs_attention():
    mask = torch.zeros(3, 3)
    net = Net(lambda m, x: m.a(x, x, x, attn_mask=mask)[0], a=nn.MultiheadAttention(4, 2, batch_first=True))
    assert "MultiheadAttention reads `attn_mask`" in refused(net, torch.randn(2, 3, 4))


# --- what cannot be followed ------------------------------------------------------------------------------------------


def branches(module: Any, x: Tensor) -> Tensor:
    return module.a(x) if x.sum() > 0 else x


def test_decisions_by_values():
    inner = Net(branches, a=linear())
    text = refused(Net(lambda m, x: m.last(m.inner(m.first(x))), first=linear(), inner=inner, last=Mixer()))
    assert "error[MF131]: `forward` of Net cannot be followed at `return module.a(x) if x.sum() > 0 else x`" in text
    assert "--> inner" in text
    assert "error[MF130]: Mixer is not a registered layer" in text


def test_another_network_in_training():
    net = Net(lambda m, x: m.b(m.a(x)) if m.training else m.a(m.b(x)), a=linear(), b=linear())
    assert "Net is not the same network in training and in evaluation" in refused(net)


# --- what a module holds ----------------------------------------------------------------------------------------------


class Holder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = linear()
        self.token = nn.Parameter(torch.zeros(4))
        self.register_buffer("shift", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x + self.token) + self.shift


def test_parameters_and_buffers_of_no_layer():
    text = refused(nn.Sequential(Holder(), linear()))
    assert "Holder holds the parameter token itself, which only layers do\n  --> 0" in text
    assert "Holder holds the buffer shift itself, which only layers do\n  --> 0" in text
    assert text.count("error[") == 2


def test_tensors_that_are_neither():
    net = Net(lambda m, x: m.a(x) * m.factor, a=linear())
    net.factor = torch.ones(4)
    assert "`mul` reads the tensor `factor`\n  --> Net" in refused(net)


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


def test_parameters_without_a_shape():
    assert "weight, bias of LazyLinear has no shape yet" in refused(nn.Sequential(nn.LazyLinear(3)))


# --- what cannot be brought together ----------------------------------------------------------------------------------


def test_a_layer_that_runs_twice():
    text = refused(Net(lambda m, x: m.a(m.a(x)), a=linear()))
    assert (
        "error[MF133]: `a` is called twice\n  --> a\n   = help: a layer runs once; parameters are shared by `tie`"
        in text
    )
    inner = nn.Sequential(linear(), nn.ReLU())
    assert "`a` is called twice" in refused(Net(lambda m, x: m.a(m.a(x)), a=inner))


def test_a_layer_with_two_names():
    layer = linear()
    assert "`1` is the same module as `0`" in refused(nn.Sequential(layer, layer))


def test_a_layer_that_never_runs():
    text = refused(Net(lambda m, x: m.a(x), a=linear(), b=linear(), act=nn.ReLU()))
    assert "`b` holds parameters, but `forward` does not call it" in text
    assert "act" not in text


def test_several_values_of_one_container():
    def both(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        y = module.first(x)
        return y, module.second(y)

    inner = Net(both, first=linear(), second=linear())
    net = Net(lambda m, x: m.head(m.inner(x)[1]) + m.other(m.inner_first), head=linear(), inner=inner, other=linear())

    def outer(module: Any, x: Tensor) -> Tensor:
        y, z = module.inner(x)
        return module.head(z) * module.other(y)

    net = Net(outer, inner=inner, head=linear(), other=linear())
    text = refused(net)
    assert "several layers of `inner` are read outside of it: `inner.first`, `inner.second`" in text


def test_two_lists_in_turn():
    def forward(module: Any, x: Tensor) -> Tensor:
        for layer, norm in zip(module.layers, module.norms, strict=True):
            x = norm(layer(x))
        return x

    layers, norms = (nn.ModuleList([make(), make()]) for make in (linear, lambda: nn.LayerNorm(4)))
    text = refused(Net(forward, layers=layers, norms=norms))
    assert re.search(r"`(norms|layers)\.[01]` runs between layers of `(layers|norms)`", text)


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


@pytest.mark.parametrize(
    ("forward", "kind"),
    [
        (lambda m, x: (m.a(x), x), "the model gives a tuple"),
        (lambda m, x: {"a": m.a(x), "n": 1}, "the model gives a dict"),
        (lambda m, x: m.a(x).shape, "the model gives a tuple"),
    ],
    ids=["tuple", "dict", "shape"],
)
def test_outputs_that_no_model_has(forward, kind):
    assert kind in refused(Net(forward, a=linear()))


class Scores(NamedTuple):
    logits: Tensor
    aux: Tensor | None = None


@dataclass
class Found:
    logits: Tensor
    aux: Tensor | None = None


@pytest.mark.parametrize("record", [Scores, Found, lambda *values: dict(zip(("logits", "aux"), values, strict=True))])
def test_results_with_names_become_outputs(record):
    net = Net(lambda m, x: record(m.a(x), m.b(x)), a=linear(), b=linear())
    config = mf.from_module(net, torch.randn(2, 4))
    assert config["outputs"] == {"logits": "a", "aux": "b"}
    model = mf.build(mf.parse(config, init="zeros"))
    model.load_state_dict(net.state_dict())
    x = torch.randn(3, 4)
    torch.testing.assert_close(model(x), {"logits": net.a(x), "aux": net.b(x)})


@pytest.mark.parametrize("record", [Scores, Found])
def test_what_a_record_leaves_out_is_no_output(record):
    assert mf.from_module(Net(lambda m, x: record(m.a(x)), a=linear()), torch.randn(2, 4))["outputs"] == {"logits": "a"}


@pytest.mark.parametrize("record", [Scores, Found])
def test_records_that_no_model_gives(record):
    nested = Net(lambda m, x: record((m.a(x), x)), a=linear())
    assert f"the model gives a {record.__name__}" in refused(nested)
    training = Net(lambda m, x: record(m.a(x), m.b(x)) if m.training else m.a(x), a=linear(), b=linear())
    assert "`b` holds parameters, but `forward` does not call it" in refused(training)


@pytest.mark.parametrize("name", ["spectral_norm", "weight_norm"])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_what_removes_a_parametrisation_of_each_kind(name):
    old = nn.Sequential(getattr(nn.utils, name)(linear()), linear())
    assert f"`torch.nn.utils.remove_{name}` removes it" in refused(old)
    getattr(nn.utils, f"remove_{name}")(old[0])
    assert "layers" in mf.from_module(old, torch.randn(2, 4))
    new = nn.Sequential(getattr(parametrizations, name)(linear()), linear())
    assert "`torch.nn.utils.parametrize.remove_parametrizations` removes it" in refused(new)


def test_outputs_without_a_name():
    assert "the model names an output 0" in refused(Net(lambda m, x: {0: m.a(x), 1: x}, a=linear()))


def test_auxiliary_heads_run_in_training_alone():
    """As in torchvision's GoogLeNet and Inception."""

    def forward(module: Any, x: Tensor) -> Any:
        x = module.trunk(x)
        aux = module.aux(x) if module.training else None
        return Scores(module.head(x), aux) if module.training else module.head(x)

    text = refused(Net(forward, trunk=linear(), aux=linear(), head=linear()))
    assert "`aux` holds parameters, but `forward` does not call it" in text


def test_a_recurrent_layer_alone_gives_a_tuple():
    text = refused(nn.Sequential(nn.LSTM(4, 4, batch_first=True)), torch.randn(2, 3, 4))
    assert "the model's output is a tuple" in text


def test_no_layer():
    assert "there is no layer in it" in refused(Net(lambda m, x: x))
    assert "Linear is a layer itself, not a network of layers" in refused(linear())


# --- in place, and what nothing else shows ----------------------------------------------------------------------------


def test_overwriting_what_others_read():
    def forward(module: Any, x: Tensor) -> Tensor:
        y = module.a(x)
        return module.act(y) + y

    assert "it overwrites a value that is read afterwards\n  --> act" in refused(
        Net(forward, a=linear(), act=nn.ReLU(inplace=True))
    )


def test_what_only_running_it_shows():
    def keeps(module: Any, x: Tensor) -> Tensor:
        y = kept = module.a(x)
        y += x
        return y * kept

    text = refused(Net(keeps, a=linear()))
    assert "error[MF135]: the config makes a network with other outputs for 2 examples" in text
    text = refused(Net(lambda m, x: m.a(x) * x.shape[0], a=linear()))
    assert "error[MF135]: the config makes a network with other outputs for 4 examples" in text

    def counts(module: Any, x: Tensor) -> Tensor:
        assert x.shape[0] == 2, "two at a time"
        return module.a(x)

    assert "error[MF135]: the network cannot run on 4 examples: two at a time" in refused(Net(counts, a=linear()))


def test_compiled_modules():
    text = refused(torch.compile(nn.Sequential(linear())))
    assert "a compiled module has no `forward` to follow" in text
    assert "`module._orig_mod`" in text


# --- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "there is none"),
        ([torch.tensor(1.0)], "it has no batch: its shape is ()"),
        ([torch.zeros(0, 4)], "it has no batch: its shape is (0, 4)"),
        ([torch.zeros(2, 4), torch.zeros(3, 4)], "their batches differ: 2 and 3"),
        ([torch.zeros(2, 4, dtype=torch.complex64)], "a config has no input of dtype torch.complex64"),
    ],
)
def test_examples_that_cannot_be_used(inputs, message):
    with pytest.raises(mf.ForgeError) as caught:
        mf.from_module(nn.Sequential(linear()), *inputs)
    assert message in str(caught.value)
    assert {problem.code for problem in caught.value.problems} == {"MF134"}


def test_what_is_no_module():
    with pytest.raises(TypeError, match=r"from_module takes an nn\.Module, but gets a dict"):
        mf.from_module({}, torch.zeros(1))
    with pytest.raises(TypeError, match="example inputs are tensors, but one is a tuple"):
        mf.from_module(nn.Sequential(linear()), (1, 2))


def test_nothing_is_changed_by_a_refusal():
    net = Net(lambda m, x: m.a(m.norm(x)) + 1, norm=nn.BatchNorm1d(4), a=linear())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    example = torch.randn(2, 4)
    state = torch.get_rng_state()
    refused(net, example)
    assert net.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_runs_without_gradients_is_refused():
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                h = self.backbone(x)
            return self.head(h)

    with pytest.raises(mf.ForgeError, match="runs without gradients"):
        mf.from_module(Frozen(), torch.zeros(2, 3))


def test_a_softmax_over_the_batch_is_refused():
    class Compares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x).softmax(0)

    with pytest.raises(mf.ForgeError, match="compares the examples of the batch"):
        mf.from_module(Compares(), torch.zeros(2, 3))


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


# --- heads of training ------------------------------------------------------------------------------------------------


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

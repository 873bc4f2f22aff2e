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
        assert problem.key
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
    "divided by 0": (lambda m, x: m.a(x) / 0, "gives NaN or infinity, whatever it reads"),
    "times infinity": (lambda m, x: m.a(x) * float("inf"), "gives NaN or infinity, whatever it reads"),
    "rounded": (lambda m, x: torch.div(m.a(x), 2.0, rounding_mode="floor"), "the function `div` rounds"),
    "along the batch from the end": (lambda m, x: torch.cat([m.a(x), x], -2), "concatenates along the batch"),
    "similar examples": (lambda m, x: F.cosine_similarity(m.a(x), x, dim=-2), "compares the examples of the batch"),
    "similar to a constant": (
        lambda m, x: F.cosine_similarity(m.a(x), torch.ones(2, 4)),
        "`cosine_similarity` reads a tensor that `forward` makes",
    ),
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
    assert "`dropout.p` is 0.1, but `dropout1.p` is 0.7" in text
    layer.dropout1.p = 0.1
    layer.norm2.eps = 0.5
    text = refused(nn.Sequential(layer), torch.randn(2, 3, 4))
    assert "this is not what TransformerEncoderLayer makes of its arguments: it was changed after it was made" in text


def test_what_is_always_so_in_a_config():
    text = refused(nn.Sequential(nn.GRU(4, 4)), torch.randn(2, 3, 4))
    assert "GRU has `batch_first=False`, which is always True in a config" in text


def test_masks_of_torchs_attention():
    mask = torch.zeros(3, 3)
    net = Net(lambda m, x: m.a(x, x, x, attn_mask=mask)[0], a=nn.MultiheadAttention(4, 2, batch_first=True))
    assert "MultiheadAttention reads `attn_mask`" in refused(net, torch.randn(2, 3, 4))


# --- what a module holds ----------------------------------------------------------------------------------------------


def test_tensors_that_are_neither():
    net = Net(lambda m, x: m.a(x) * m.factor, a=linear())
    net.factor = torch.ones(4)
    assert "`mul` reads the tensor `factor`\n  --> Net" in refused(net)


# --- what cannot be brought together ----------------------------------------------------------------------------------


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


def test_outputs_without_a_name():
    assert "the model names an output 0" in refused(Net(lambda m, x: {0: m.a(x), 1: x}, a=linear()))


def test_a_recurrent_layer_alone_gives_a_tuple():
    text = refused(nn.Sequential(nn.LSTM(4, 4, batch_first=True)), torch.randn(2, 3, 4))
    assert "the model's output is a tuple" in text


# --- in place, and what nothing else shows ----------------------------------------------------------------------------


def test_overwriting_what_others_read():
    def forward(module: Any, x: Tensor) -> Tensor:
        y = module.a(x)
        return module.act(y) + y

    assert "it overwrites a value that is read afterwards\n  --> act" in refused(
        Net(forward, a=linear(), act=nn.ReLU(inplace=True))
    )


# --- examples ---------------------------------------------------------------------------------------------------------


def test_a_softmax_over_the_batch_is_refused():
    class Compares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x).softmax(0)

    with pytest.raises(mf.ForgeError, match="compares the examples of the batch"):
        mf.from_module(Compares(), torch.zeros(2, 3))

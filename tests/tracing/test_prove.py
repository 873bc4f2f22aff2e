"""prove: differences are seen whatever values the module and the examples have; where they cannot be, that is said."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.tracing.prove import _same, prove

PROVING = importlib.import_module("modelforge.tracing.prove")
HALVES = {
    "input": {"shape": [4]},
    "layers": {
        "l": {"type": "Linear", "out_features": 4},
        "scaled": {"type": "Rescale", "factor": 0.5},
        "head": "Tanh",
    },
}


class Floor(nn.Module):
    """What no config says; zeros hide it."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.l = nn.Linear(4, 4)
        nn.init.constant_(self.l.weight, value)
        nn.init.constant_(self.l.bias, value)

    def forward(self, x: Tensor) -> Tensor:
        return torch.div(self.l(x), 2.0, rounding_mode="floor").tanh()


class Half(Floor):
    """What the config says."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.l(x) / 2).tanh()


def on_meta(cls: type[nn.Module], *args: Any) -> nn.Module:
    with torch.device("meta"):
        return cls(*args)


@pytest.mark.parametrize("example", [torch.zeros(2, 4), torch.ones(1, 4)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_zeros_hide_nothing(example, value):
    (problem,), unproven = prove(HALVES, Floor(value), (example,))
    assert problem.code == "MF135"
    assert "gives other outputs than the module" in problem.message
    assert not unproven
    assert prove(HALVES, Half(value), (example,)) == ([], "")


@pytest.mark.parametrize("meta", [True, False])
def test_a_module_without_memory_gets_some(meta):
    example = torch.empty(2, 4, device="meta" if meta else "cpu")
    problems, _ = prove(HALVES, on_meta(Floor), (example,))
    assert [problem.code for problem in problems] == ["MF135"]
    assert prove(HALVES, on_meta(Half), (example,)) == ([], "")


def test_shared_parameters_without_memory_stay_shared():
    with torch.device("meta"):
        net = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 10, bias=False))
        net[1].weight = net[0].weight
        example = torch.zeros(2, 3, dtype=torch.int64)
    config = mf.from_module(net, example)
    assert config["tie"] == {"1.weight": "0.weight"}
    assert not config.unproven


def test_a_large_module_without_memory_is_not_proven_and_says_so(monkeypatch):
    monkeypatch.setattr(PROVING, "MAX_PARAMETERS", 19)
    config = mf.from_module(nn.Sequential(on_meta(nn.Linear, 4, 4)), torch.empty(2, 4, device="meta"))
    assert config.unproven == "20 parameters without memory are too many to compare outputs"
    assert str(config).startswith(f"# not proven: {config.unproven}\ninput: ")
    assert mf.plan(mf.parse(config, init="xavier")).num_parameters == 20


def test_a_costly_module_without_memory_is_not_proven(monkeypatch):
    monkeypatch.setattr(PROVING, "MAX_COST", 1)
    config = mf.from_module(nn.Sequential(on_meta(nn.Linear, 4, 4)), torch.empty(2, 4, device="meta"))
    assert config.unproven == "a module without memory is too costly to run"


def test_outputs_that_say_nothing_prove_nothing():
    net = nn.Sequential(nn.Linear(4, 4), nn.Threshold(1e9, 0))
    assert mf.from_module(net, torch.ones(2, 4)).unproven.startswith("an output is 0, NaN or infinity")


def test_one_infinity_does_not_make_all_outputs_equal():
    one, other = torch.tensor([torch.inf, 1.0]), torch.tensor([torch.inf, 2.0])
    assert not _same(one, other)
    assert _same(one, one.clone())


class Beside(nn.Module):
    """Small numbers beside large ones, of a layer whose `forward` no config knows."""

    def __init__(self, large: float, forward: bool) -> None:
        super().__init__()
        self.a, self.b, self.large = nn.Linear(4, 4), nn.Linear(4, 4), large
        if forward:
            own = self.b.forward
            self.b.forward = lambda x: 3 * own(x) + 1

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x) * self.large, self.b(x)], 1)


@pytest.mark.parametrize("large", [2.0, 1e6, 1e9])
def test_large_numbers_hide_no_small_ones(large):
    mf.from_module(Beside(large, forward=False), torch.randn(3, 4))
    with pytest.raises(mf.ForgeError, match="gives other outputs than the module"):
        mf.from_module(Beside(large, forward=True), torch.randn(3, 4))
